//! A Google on loopback.

mod answer;
mod batch;
mod calendar;
mod change;
mod clock;
mod gmail;
mod history;
mod log;
mod mailbox;
mod oauth;
mod quota;
mod search;
mod server;
mod tokens;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use calendar::Calendar;
use mailbox::Mailbox;
use oauth::OAuth;
use quota::Quota;
use tokens::Tokens;

pub use answer::Refusal;
pub use calendar::{Recurrence, When};
pub use log::{Authorization, SeenRequest};
pub use mailbox::Broken;

/// A Google on loopback: one user with one mailbox and one calendar, and [others](Self::sign_in_as) with a mailbox.
///
/// | path | what |
/// |---|---|
/// | `/gmail/v1/users/me/messages`, `…/messages/{id}`, `…/profile`, `…/history` | Gmail API v1 |
/// | `POST /batch/gmail/v1` | up to 100 requests of Gmail's in one; those after the fiftieth are refused |
/// | `/calendar/v3/calendars/{id}/events` | Calendar API v3; its sync tokens are bound to calendar and parameters |
/// | `POST /api/integrations/google-oauth/refresh` | what renews a token, as Common Tools offers it |
/// | `/o/oauth2/v2/auth`, `POST /token`, `POST /revoke`, `/v1/userinfo` | Google's authorization server, with a "Desktop app" as its client; a browser that comes agrees at once |
///
/// Gmail's quota is 6,000 units a minute: `messages.get` takes 20, a list 5, history 2, the profile 1. Tokens have
/// scopes.
///
/// It serves on a separate thread until dropped. Its `Debug` shows no token.
pub struct FakeGoogle {
    address: SocketAddr,
    google: Arc<Mutex<Google>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// All its data.
pub(crate) struct Google {
    mailbox: Mailbox,
    calendar: Calendar,
    /// The mailboxes of other users.
    others: HashMap<String, Mailbox>,
    tokens: Tokens,
    oauth: OAuth,
    quota: Quota,
    /// Of the token of the request that is being answered.
    scopes: Option<Vec<String>>,
    requests: Vec<SeenRequest>,
    /// How every request is refused, if at all.
    refusal: Option<Refusal>,
    /// After how many requests refusals begin, and which.
    refusal_after: Option<(usize, Refusal)>,
    /// How many of the next requests are refused, how, and the `Retry-After` of the answers.
    refused_requests: (usize, Refusal, Option<u64>),
    /// How many of the next requests within batches are refused, and how.
    refused_parts: (usize, Refusal),
    /// How many of the next renewals fail.
    failing_renewals: usize,
    /// How far ahead its clock is.
    advanced_ms: u64,
    /// How many of the newest messages are deleted right after the next list.
    short_lived: usize,
    /// The largest page of a list, for any request.
    page_limit: usize,
    delay: Duration,
}

/// The user's address, for Gmail and as the name of the primary calendar.
pub(crate) const USER: &str = "someone@example.com";

impl FakeGoogle {
    /// Starts one on a free port of 127.0.0.1, with an empty mailbox and calendar.
    pub fn start() -> anyhow::Result<Self> {
        let google = Arc::new(Mutex::new(Google {
            mailbox: Mailbox::new(),
            calendar: Calendar::new(),
            others: HashMap::new(),
            tokens: Tokens::new(),
            oauth: OAuth::new(),
            quota: Quota::new(),
            scopes: None,
            requests: Vec::new(),
            refusal: None,
            refusal_after: None,
            refused_requests: (0, Refusal::TooManyRequests, None),
            refused_parts: (0, Refusal::TooManyRequests),
            failing_renewals: 0,
            advanced_ms: 0,
            short_lived: 0,
            page_limit: usize::MAX,
            delay: Duration::ZERO,
        }));
        let stop = CancellationToken::new();
        let (address, thread) = server::start(google.clone(), stop.clone())?;
        Ok(Self { address, google, stop, thread: Some(thread) })
    }

    fn google(&self) -> MutexGuard<'_, Google> {
        lock(&self.google)
    }

    /// `http://127.0.0.1:<port>`, which replaces `https://gmail.googleapis.com` and `https://www.googleapis.com`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a token is renewed.
    pub fn refresh_url(&self) -> String {
        format!("{}{}", self.base_url(), server::REFRESH_PATH)
    }

    /// The provider `google` as it is here: TOML that overrides the endpoints.
    pub fn provider(&self) -> String {
        let base = self.base_url();
        format!(
            "[google]\nauthorization = \"{base}/o/oauth2/v2/auth\"\ntoken = \"{base}/token\"\n\
             revocation = \"{base}/revoke\"\nuserinfo = \"{base}/v1/userinfo\"\n"
        )
    }

    /// The file that Google's console offers for a client of the type "Desktop app".
    pub fn client_file(&self) -> String {
        let client = json!({
            "client_id": oauth::CLIENT_ID,
            "project_id": "mail-in-a-charm",
            "auth_uri": format!("{}/o/oauth2/v2/auth", self.base_url()),
            "token_uri": format!("{}/token", self.base_url()),
            "client_secret": oauth::CLIENT_SECRET,
            "redirect_uris": ["http://localhost"],
        });
        json!({ "installed": client }).to_string()
    }

    /// From now on this user signs in. Another than [`user`](Self::user) has a mailbox too, and no calendar.
    pub fn sign_in_as(&self, account: &str) {
        account.clone_into(&mut self.google().oauth.account);
    }

    /// From now on the person ticks off these scopes.
    pub fn withhold_scopes(&self, scopes: &[&str]) {
        self.google().oauth.withheld = scopes.iter().map(ToString::to_string).collect();
    }

    /// From now on the person refuses, or does not.
    pub fn deny_sign_in(&self, on: bool) {
        self.google().oauth.denies = on;
    }

    /// While on, the app is "in testing": refresh tokens end after 7 days.
    pub fn be_in_testing(&self, on: bool) {
        self.google().oauth.in_testing = on;
    }

    /// Ends the grants of a user, as at "third-party access".
    pub fn end_grants(&self, account: &str) {
        self.google().oauth.end_grants(account, false);
    }

    /// Ends those grants of a user that can read mail, as Google does then.
    pub fn change_password(&self, account: &str) {
        self.google().oauth.end_grants(account, true);
    }

    /// The next `count` requests to the token endpoint are answered with 503.
    pub fn make_token_endpoint_fail(&self, count: usize) {
        self.google().oauth.outages = count;
    }

    /// The requests to the token endpoint, as `refresh_token 200`; clears the list.
    pub fn take_exchanges(&self) -> Vec<String> {
        std::mem::take(&mut self.google().oauth.exchanges)
    }

    /// All codes, refresh tokens and client secrets: what must be found nowhere.
    pub fn oauth_secrets(&self) -> Vec<String> {
        self.google().oauth.secrets()
    }

    /// Puts a message into another user's inbox.
    pub fn deliver_to(&self, account: &str, subject: &str, from: &str) -> String {
        self.google().with_mailbox_of(account, |google| google.mailbox.deliver(subject, from))
    }

    /// The user's mail address.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// A new access token, accepted until [`expire_tokens`](Self::expire_tokens).
    pub fn issue_token(&self) -> String {
        self.google().tokens.issue()
    }

    /// A new access token with only these scopes.
    pub fn issue_token_for(&self, scopes: &[&str]) -> String {
        self.google().tokens.issue_for(scopes)
    }

    /// While on, each renewal replaces the refresh token: the previous one becomes invalid.
    pub fn rotate_refresh_tokens(&self, on: bool) {
        self.google().tokens.rotate = on;
    }

    /// While on, renewals have no `expiresAt`, and `null` for an unchanged refresh token.
    pub fn terse_renewals(&self, on: bool) {
        self.google().tokens.terse = on;
    }

    /// The next `count` renewals are answered with 503.
    pub fn make_renewals_fail(&self, count: usize) {
        self.google().failing_renewals = count;
    }

    /// Sets the mailbox's user, as its profile reports it.
    pub fn be(&self, address: &str) {
        address.clone_into(&mut self.google().mailbox.owner);
    }

    /// A new refresh token, which stays valid.
    pub fn issue_refresh_token(&self) -> String {
        self.google().tokens.issue_refresh()
    }

    /// From now on every access token issued so far is refused with 401.
    pub fn expire_tokens(&self) {
        self.google().tokens.expire();
    }

    /// Puts a message into the inbox, unread, and returns its ID.
    pub fn deliver(&self, subject: &str, from: &str) -> String {
        self.google().mailbox.deliver(subject, from)
    }

    /// Deletes a message permanently; false if there is none with that ID.
    pub fn delete(&self, id: &str) -> bool {
        self.google().mailbox.delete(id)
    }

    /// Adds or removes a label of a message, such as `UNREAD` or `STARRED`; false if there is no such message.
    pub fn label(&self, id: &str, label: &str, on: bool) -> bool {
        self.google().mailbox.label(id, label, on)
    }

    /// Records a change of a message that its history record does not name; false if there is no such message.
    pub fn touch(&self, id: &str) -> bool {
        self.google().mailbox.touch(id)
    }

    /// Breaks a message, or repairs it; false if there is no such message.
    pub fn break_message(&self, id: &str, broken: Option<Broken>) -> bool {
        self.google().mailbox.break_message(id, broken)
    }

    /// From now on each list of changes begins with that many empty pages, as Gmail's sometimes does.
    pub fn begin_history_with_empty_pages(&self, count: usize) {
        self.google().mailbox.empty_pages = count;
    }

    /// From now on a record of the history holds up to that many changes.
    pub fn put_changes_together(&self, changes_a_record: usize) {
        self.google().mailbox.changes_a_record = changes_a_record;
    }

    /// How many messages the mailbox holds.
    pub fn message_count(&self) -> usize {
        self.google().mailbox.len()
    }

    /// The mailbox's current history ID.
    pub fn history_id(&self) -> u64 {
        self.google().mailbox.history_id()
    }

    /// Forgets the history up to now, as Gmail does after about a week: every earlier history ID is answered with 404.
    pub fn forget_history(&self) {
        self.google().mailbox.forget_history();
    }

    /// Adds an event of one hour to the primary calendar and returns its ID. `start_ms`: Unix milliseconds.
    pub fn add_event(&self, summary: &str, start_ms: u64) -> String {
        self.add_event_to(USER, summary, When::At { start_ms, offset: 0 }, None)
    }

    /// Adds an event, or a series, to a calendar and returns its ID.
    pub fn add_event_to(&self, calendar: &str, summary: &str, when: When, recurrence: Option<Recurrence>) -> String {
        self.google().calendar.add(calendar, summary, when, recurrence)
    }

    /// Another calendar of the user's.
    pub fn add_calendar(&self, name: &str) {
        self.google().calendar.add_calendar(name);
    }

    /// Gives an event another summary; false if there is none of that ID.
    pub fn rename_event(&self, id: &str, summary: &str) -> bool {
        self.google().calendar.rename(id, summary)
    }

    /// Cancels an event; false if there is none of that ID.
    pub fn cancel_event(&self, id: &str) -> bool {
        self.google().calendar.cancel(id)
    }

    /// From now on every sync token handed out so far is refused with 410, as Google does when one is too old.
    pub fn expire_sync_tokens(&self) {
        self.google().calendar.expire_sync_tokens();
    }

    /// While on, every API request is answered with 429.
    pub fn rate_limit(&self, on: bool) {
        self.refuse_all(on.then_some(Refusal::TooManyRequests));
    }

    /// From now on every API request is refused like this, or none is.
    pub fn refuse_all(&self, refusal: Option<Refusal>) {
        let mut google = self.google();
        google.refusal = refusal;
        google.refusal_after = None;
    }

    /// The next `count` API requests are answered, and all later ones are refused like this.
    pub fn refuse_after(&self, count: usize, refusal: Refusal) {
        self.google().refusal_after = Some((count, refusal));
    }

    /// The next `count` API requests are answered with 429, and with a `Retry-After` of that many seconds, if any.
    pub fn refuse_next(&self, count: usize, retry_after: Option<u64>) {
        self.google().refused_requests = (count, Refusal::TooManyRequests, retry_after);
    }

    /// The next `count` API requests are refused like this.
    pub fn refuse_next_as(&self, count: usize, refusal: Refusal) {
        self.google().refused_requests = (count, refusal, None);
    }

    /// The next `count` requests within batches are answered with 429, as Gmail does if a batch is too large.
    pub fn refuse_next_parts(&self, count: usize) {
        self.refuse_next_parts_as(count, Refusal::TooManyRequests);
    }

    /// The next `count` requests within batches are refused like this.
    pub fn refuse_next_parts_as(&self, count: usize, refusal: Refusal) {
        self.google().refused_parts = (count, refusal);
    }

    /// Advances the clock by which tokens end and the quota is counted.
    pub fn advance(&self, by: Duration) {
        self.google().advanced_ms += u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    }

    /// Sets Gmail's quota, in units per minute.
    pub fn set_units_a_minute(&self, units: u64) {
        self.google().quota.units_a_minute = units;
    }

    /// The units of Gmail's quota that were spent, and the most of them in any minute.
    pub fn units(&self) -> (u64, u64) {
        let google = self.google();
        (google.quota.total(), google.quota.most_a_minute())
    }

    /// Deletes the `count` newest messages right after the next list of messages, before they are fetched.
    pub fn vanish_next(&self, count: usize) {
        self.google().short_lived = count;
    }

    /// From now on no page of a list is larger than this.
    pub fn limit_pages(&self, most: usize) {
        self.google().page_limit = most;
    }

    /// How long every request waits before it is handled.
    pub fn set_delay(&self, delay: Duration) {
        self.google().delay = delay;
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.google().requests.clone()
    }

    /// All requests so far, oldest first; clears the log.
    pub fn take_requests(&self) -> Vec<SeenRequest> {
        std::mem::take(&mut self.google().requests)
    }
}

impl Google {
    /// Its own time, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        clock::now_ms() + self.advanced_ms
    }

    /// Does something with the mailbox of that user in place.
    pub(crate) fn with_mailbox_of<T>(&mut self, account: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        if account == USER {
            return act(self);
        }
        let mut other = self.others.remove(account).unwrap_or_else(|| {
            let mut mailbox = Mailbox::new();
            account.clone_into(&mut mailbox.owner);
            mailbox
        });
        std::mem::swap(&mut self.mailbox, &mut other);
        let result = act(self);
        std::mem::swap(&mut self.mailbox, &mut other);
        self.others.insert(account.to_owned(), other);
        result
    }
}

impl std::fmt::Debug for FakeGoogle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeGoogle").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for FakeGoogle {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread was visible in the answers; a second one in a drop would hide it.
            let _ = thread.join();
        }
    }
}

/// Locks, even after a panic in another test thread: the data is consistent after every statement.
pub(crate) fn lock(google: &Mutex<Google>) -> MutexGuard<'_, Google> {
    google.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The query parameters of a request, in order, and the most that a page may hold.
pub(crate) struct Query(Vec<(String, String)>, usize);

impl Query {
    pub(crate) fn parse(query: &str, page_limit: usize) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(), page_limit)
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A page size: `default` if it is not given, at most `most`; an error if it is not a positive number.
    pub(crate) fn page_size(&self, default: usize, most: usize) -> Result<usize, answer::Failure> {
        match self.get("maxResults") {
            None => Ok(default.min(self.1)),
            Some(text) => match text.parse::<usize>() {
                Ok(0) | Err(_) => Err(answer::Failure::invalid(&format!("Invalid value at 'max_results': {text}"))),
                Ok(size) => Ok(size.min(most).min(self.1)),
            },
        }
    }
}
