//! What is remembered of earlier answers: validators, and times to wait for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::News;
use super::retry::retry_after;
use crate::charms::Polls;
use crate::http::{Request, Response};
use crate::{CharmRef, state, warn};

/// The number of keys of the state that it is spread over: a value has at most 64 KiB, enough for some 400 charms.
const BUCKETS: u64 = 16;
const BUCKET: &str = "answers-";
/// Until when origins must not be queried.
const ORIGINS: &str = "origins";
/// A service that asks for a longer pause is queried after an hour anyway.
const LONGEST_WAIT_MS: u64 = 3_600_000;
/// A status 503 is about a fault that may be over much sooner: five intervals of a minute.
const LONGEST_WAIT_AFTER_503_MS: u64 = 300_000;
/// An origin is down if it answers so to the queries of charms of that many spaces, and answers none well.
const SPACES_OF_A_FAULT: usize = 2;
/// A longer validator is not stored.
const LONGEST_VALIDATOR: usize = 256;

/// What is remembered of one charm. Its field names in the state are short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The answer after which a poll of the charm has succeeded.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    seen: Option<Validators>,
    /// An answer for which the charm was named, and the charm's last successful poll before that.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    named_for: Option<(Validators, Option<u64>)>,
    /// It is not queried before this time, in milliseconds since 1970.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    not_before: u64,
    /// Its credential was not accepted.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    unauthorized: Option<Unauthorized>,
}

/// The sign-in with which a query was answered 401.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Unauthorized {
    /// The hash of what can be seen of it.
    #[serde(rename = "h")]
    sign_in: u64,
    /// The charm's last successful poll before that.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    last_success: Option<u64>,
    /// When it is queried again anyway.
    #[serde(rename = "b")]
    not_before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a service uses to decide whether an answer has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Validators {
    /// The hash of the queried URL: for another URL they are meaningless.
    #[serde(rename = "u")]
    url: u64,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
}

impl Validators {
    fn of(url: &str, response: &Response) -> Option<Self> {
        let header = |name| response.header(name).filter(|value| value.len() <= LONGEST_VALIDATOR).map(str::to_owned);
        let (etag, modified) = (header("etag"), header("last-modified"));
        (etag.is_some() || modified.is_some()).then(|| Self { url: hash(url), etag, modified })
    }
}

impl Entry {
    /// A poll of the charm has succeeded since it was named for an answer: that answer is seen.
    fn settle(&mut self, last_success: Option<u64>) {
        if let Some((validators, _)) = self.named_for.take_if(|(_, before)| *before != last_success) {
            self.seen = Some(validators);
        }
        self.unauthorized.take_if(|refused| refused.last_success != last_success);
    }

    fn answered(&mut self, validators: Option<Validators>, status: u16, news: News, last_success: Option<u64>) {
        match (status, news) {
            // Unchanged since the charm was last polled.
            (304, _) => self.named_for = None,
            (200, News::None) => (self.seen, self.named_for) = (validators, None),
            (200, News::Some | News::Unknown) => {
                self.named_for = validators.map(|validators| (validators, last_success));
            }
            _ => {}
        }
    }
}

/// What is remembered of all registered charms.
#[derive(Debug, Default)]
pub(super) struct Memory {
    now: u64,
    last_success: HashMap<CharmRef, Option<u64>>,
    kept: BTreeMap<u64, BTreeMap<String, Entry>>,
    entries: BTreeMap<u64, BTreeMap<String, Entry>>,
    origins_kept: BTreeMap<String, u64>,
    origins: BTreeMap<String, u64>,
    /// The origins that have answered a query of this call other than by a failure.
    well: BTreeSet<String>,
    /// Those that have answered 503 with a time to wait.
    down: BTreeMap<String, Down>,
}

/// What an origin asked for by 503.
#[derive(Debug)]
struct Down {
    /// The spaces of the charms that were queried.
    spaces: BTreeSet<String>,
    /// The earliest end of the waits.
    not_before: u64,
}

impl Memory {
    /// Loads the memory. Charms whose entry cannot be read are queried unconditionally.
    pub(super) fn load(polls: &[Polls], now: u64) -> Self {
        let read = |number| {
            state::get(&format!("{BUCKET}{number:02}")).unwrap_or_else(|error| forgotten(&error)).unwrap_or_default()
        };
        let kept = (0..BUCKETS).map(|number| (number, read(number))).collect();
        Self::new(polls, now, kept, state::get(ORIGINS).unwrap_or_else(|error| forgotten(&error)).unwrap_or_default())
    }

    fn new(
        polls: &[Polls],
        now: u64,
        kept: BTreeMap<u64, BTreeMap<String, Entry>>,
        origins_kept: BTreeMap<String, u64>,
    ) -> Self {
        let last_success: HashMap<CharmRef, Option<u64>> =
            polls.iter().map(|polls| (polls.charm.clone(), polls.last_success)).collect();
        let mut entries: BTreeMap<u64, BTreeMap<String, Entry>> = BTreeMap::new();
        for polls in polls {
            let (bucket, key) = place(&polls.charm);
            if let Some(entry) = kept.get(&bucket).and_then(|bucket| bucket.get(&key)) {
                let mut entry = entry.clone();
                entry.settle(polls.last_success);
                entries.entry(bucket).or_default().insert(key, entry);
            }
        }
        let mut origins = origins_kept.clone();
        origins.retain(|_, not_before| waits(*not_before, now));
        Self { now, last_success, kept, entries, origins_kept, origins, well: BTreeSet::new(), down: BTreeMap::new() }
    }

    /// Saves the changes.
    pub(super) fn save(self) {
        for number in 0..BUCKETS {
            let (before, after) = (self.kept.get(&number), self.entries.get(&number));
            if before.is_none_or(BTreeMap::is_empty) && after.is_none() || before == after {
                continue;
            }
            let key = format!("{BUCKET}{number:02}");
            let written = after.map_or_else(|| state::delete(&key), |bucket| state::set(&key, bucket));
            if let Err(error) = written {
                warn!("validators could not be saved; the next queries are unconditional: {error}");
                // No validator is better than an outdated one.
                let _ = state::delete(&key);
            }
        }
        if self.origins != self.origins_kept
            && let Err(error) = state::set(ORIGINS, &self.origins)
        {
            warn!("{error}");
        }
    }

    /// Has all charms wait for the origins that this call found to be down.
    pub(super) fn note_origins_that_are_down(&mut self) {
        for (origin, Down { spaces, not_before }) in std::mem::take(&mut self.down) {
            if spaces.len() < SPACES_OF_A_FAULT || self.well.contains(&origin) || not_before <= self.now {
                continue;
            }
            let seconds = (not_before - self.now).div_ceil(1_000);
            warn!(
                "{origin} answers 503 to charms of {} spaces: no charm is queried there for {seconds} s",
                spaces.len()
            );
            self.origins.insert(origin, not_before);
        }
    }

    /// Whether a charm's credential was not accepted, and nothing has changed since. `sign_in` is what can be seen of it.
    pub(super) fn is_unauthorized(&self, charm: &CharmRef, sign_in: impl FnOnce() -> Option<String>) -> bool {
        let refused = self.entry(charm).and_then(|entry| entry.unauthorized.as_ref());
        let refused = refused.filter(|refused| waits(refused.not_before, self.now));
        refused.is_some_and(|refused| refused.sign_in == hash(&sign_in().unwrap_or_default()))
    }

    /// A charm's credential was not accepted.
    pub(super) fn unauthorized(&mut self, charm: &CharmRef, sign_in: Option<String>) {
        let last_success = self.last_success.get(charm).copied().flatten();
        let (sign_in, not_before) = (hash(&sign_in.unwrap_or_default()), self.now + LONGEST_WAIT_MS);
        self.entry_mut(charm).unauthorized = Some(Unauthorized { sign_in, last_success, not_before });
    }

    /// Whether a charm, or the origin of its query, must not be queried yet.
    pub(super) fn must_wait(&self, charm: &CharmRef, url: &str) -> bool {
        let asked = self.entry(charm).is_some_and(|entry| waits(entry.not_before, self.now));
        asked || self.origins.get(origin(url)).is_some_and(|not_before| waits(*not_before, self.now))
    }

    /// A query with the validators of the answer that the charm has seen, if it is to be conditional.
    pub(super) fn conditional(&self, charm: &CharmRef, request: Request) -> Request {
        let seen = self.entry(charm).and_then(|entry| entry.seen.as_ref());
        let Some(seen) = seen.filter(|seen| request.if_changed && seen.url == hash(request.url())) else {
            return request;
        };
        let headers = [("if-none-match", &seen.etag), ("if-modified-since", &seen.modified)];
        headers.into_iter().fold(request, |request, (name, value)| match value {
            Some(value) => request.header(name, value),
            None => request,
        })
    }

    /// Records when a service wants to be queried again. Returns whether it asked to wait instead of answering.
    pub(super) fn heed(&mut self, charm: &CharmRef, url: &str, response: &Response) -> bool {
        let until = |wait: u64, longest: u64| self.now + wait.min(longest);
        let interval = response.header("x-poll-interval").and_then(|value| value.trim().parse::<u64>().ok());
        let interval = interval.map(|seconds| until(seconds.saturating_mul(1_000), LONGEST_WAIT_MS));
        let longest = match response.status {
            429 => Some(LONGEST_WAIT_MS),
            503 => Some(LONGEST_WAIT_AFTER_503_MS),
            _ => None,
        };
        let retry = longest.and_then(|longest| Some(until(retry_after(response, self.now)?, longest)));
        if let Some(not_before) = retry.or(interval) {
            self.entry_mut(charm).not_before = not_before;
        }
        if response.status < 500 && response.status != 429 {
            self.well.insert(origin(url).to_owned());
        }
        if let Some(not_before) = retry.filter(|_| response.status == 503) {
            let down = self.down.entry(origin(url).to_owned());
            let down = down.or_insert(Down { spaces: BTreeSet::new(), not_before });
            down.spaces.insert(charm.space.clone());
            down.not_before = down.not_before.min(not_before);
        }
        retry.is_some()
    }

    /// Records the answer to a query, and what it means.
    pub(super) fn answered(&mut self, charm: &CharmRef, url: &str, response: &Response, news: News) {
        let validators = Validators::of(url, response);
        let last_success = self.last_success.get(charm).copied().flatten();
        if validators.is_some() || self.entry(charm).is_some() {
            self.entry_mut(charm).answered(validators, response.status, news, last_success);
        }
    }

    fn entry(&self, charm: &CharmRef) -> Option<&Entry> {
        let (bucket, key) = place(charm);
        self.entries.get(&bucket)?.get(&key)
    }

    fn entry_mut(&mut self, charm: &CharmRef) -> &mut Entry {
        let (bucket, key) = place(charm);
        self.entries.entry(bucket).or_default().entry(key).or_default()
    }
}

fn forgotten<T>(error: &state::StateError) -> Option<T> {
    warn!("{error}");
    None
}

/// Whether a time is in the future, but not further than it can have been set: the clock may have been set back.
fn waits(not_before: u64, now: u64) -> bool {
    not_before > now && not_before <= now + LONGEST_WAIT_MS
}

/// Where a charm's entry is stored.
fn place(charm: &CharmRef) -> (u64, String) {
    let hash = hash(&charm.to_string());
    (hash % BUCKETS, format!("{hash:016x}"))
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// FNV-1a: stable across versions and compilers.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://api.example.com/v1/news?x=1";

    fn charm() -> CharmRef {
        CharmRef { space: "did:key:z6Mk".into(), charm_id: "a".into() }
    }

    fn polls(last_success: Option<u64>) -> [Polls; 1] {
        [Polls { charm: charm(), last_success, last_poll: last_success, last_outcome: None }]
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Response { status, headers, body: Vec::new() }
    }

    /// The memory of the next call, after a while, loaded from what this one saved.
    fn next(memory: Memory, after_ms: u64, last_success: Option<u64>) -> Memory {
        Memory::new(&polls(last_success), memory.now + after_ms, memory.entries, memory.origins)
    }

    fn asked_with(memory: &Memory, url: &str) -> Option<String> {
        let request = memory.conditional(&charm(), Request::get(url).if_changed());
        request.headers_named("if-none-match").next().map(str::to_owned)
    }

    #[test]
    fn a_validator_is_sent_only_if_a_poll_succeeded_after_its_answer() {
        let mut memory = Memory::new(&polls(Some(5)), 1_000, BTreeMap::new(), BTreeMap::new());
        assert_eq!(asked_with(&memory, URL), None);
        memory.answered(&charm(), URL, &answer(200, &[("etag", "\"1\"")]), News::Some);
        // The poll failed, or has not happened yet.
        let mut memory = next(memory, 60_000, Some(5));
        assert_eq!(asked_with(&memory, URL), None, "the change is announced again");
        memory.answered(&charm(), URL, &answer(200, &[("etag", "\"2\"")]), News::Some);
        // It succeeded.
        let mut memory = next(memory, 60_000, Some(61_000));
        assert_eq!(asked_with(&memory, URL).as_deref(), Some("\"2\""));
        assert_eq!(
            asked_with(&memory, "https://api.example.com/v1/news?x=2"),
            None,
            "it is meaningless for another \
            URL"
        );
        memory.answered(&charm(), URL, &answer(304, &[]), News::None);
        let mut memory = next(memory, 60_000, Some(61_000));
        assert_eq!(asked_with(&memory, URL).as_deref(), Some("\"2\""));
        // An answer without validators.
        memory.answered(&charm(), URL, &answer(200, &[]), News::Some);
        let memory = next(memory, 60_000, Some(200_000));
        assert_eq!(asked_with(&memory, URL).as_deref(), Some("\"2\""), "older than necessary, never newer");
    }

    #[test]
    fn a_query_is_conditional_only_if_requested() {
        let mut memory = Memory::new(&polls(None), 1_000, BTreeMap::new(), BTreeMap::new());
        memory.answered(&charm(), URL, &answer(200, &[("last-modified", "yesterday")]), News::None);
        let memory = next(memory, 1, None);
        let header = |request: Request| {
            memory.conditional(&charm(), request).headers_named("if-modified-since").next().map(str::to_owned)
        };
        assert_eq!(header(Request::get(URL)), None);
        assert_eq!(header(Request::get(URL).if_changed()).as_deref(), Some("yesterday"));
    }

    #[test]
    fn a_service_is_not_queried_too_early_but_after_an_hour_anyway() {
        let other = "https://other.example.com/";
        for (status, header, value, refused, waits_here, waits_at_origin, until) in [
            (200, "x-poll-interval", "60", false, true, false, 60_000),
            (304, "x-poll-interval", "60", false, true, false, 60_000),
            (429, "retry-after", "120", true, true, false, 120_000),
            (503, "retry-after", "120", true, true, false, 120_000),
            (503, "retry-after", "999999999999", true, true, false, LONGEST_WAIT_AFTER_503_MS),
            (200, "retry-after", "120", false, false, false, 0),
            (503, "retry-after", "Thu, 01 Jan 1970 00:02:01 GMT", true, true, false, 120_000),
            (429, "retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", true, true, false, LONGEST_WAIT_MS),
            (503, "retry-after", "Wed, 21 Oct 2026", false, false, false, 0),
            (503, "x", "1", false, false, false, 0),
        ] {
            let case = format!("{status} {header}: {value}");
            let mut memory = Memory::new(&polls(None), 1_000, BTreeMap::new(), BTreeMap::new());
            assert_eq!(memory.heed(&charm(), URL, &answer(status, &[(header, value)])), refused, "{case}");
            let stranger = CharmRef { charm_id: "b".into(), ..charm() };
            memory.note_origins_that_are_down();
            let memory = next(memory, 1, None);
            assert_eq!(memory.must_wait(&charm(), URL), waits_here, "{case}");
            assert_eq!(memory.must_wait(&stranger, URL), waits_at_origin, "{case}");
            assert!(!memory.must_wait(&stranger, other), "{case}");
            assert!(!next(memory, until, None).must_wait(&charm(), URL), "{case}");
        }
    }

    #[test]
    fn an_origin_is_down_if_it_says_so_to_charms_of_two_spaces_and_answers_nobody_well() {
        let of = |space: &str| CharmRef { space: space.into(), charm_id: "a".into() };
        let wait = |seconds: &str| answer(503, &[("retry-after", seconds)]);
        let (ok, gone, failed) = (answer(200, &[]), answer(404, &[]), answer(500, &[]));
        for (answers, until) in [
            (vec![("a", wait("3600"))], None),
            (vec![("a", wait("3600")), ("a", wait("3600"))], None),
            (vec![("a", wait("3600")), ("b", wait("3600"))], Some(LONGEST_WAIT_AFTER_503_MS)),
            (vec![("a", wait("3600")), ("b", wait("60"))], Some(60_000)),
            (vec![("a", wait("60")), ("b", wait("0"))], None),
            (vec![("a", wait("60")), ("b", failed.clone())], None),
            (vec![("a", wait("60")), ("b", failed), ("c", wait("60"))], Some(60_000)),
            (vec![("a", wait("60")), ("b", wait("60")), ("c", ok)], None),
            (vec![("c", gone), ("a", wait("60")), ("b", wait("60"))], None),
        ] {
            let mut memory = Memory::new(&polls(None), 1_000, BTreeMap::new(), BTreeMap::new());
            for (space, answer) in &answers {
                memory.heed(&of(space), &format!("https://api.example.com/{space}"), answer);
            }
            memory.note_origins_that_are_down();
            let stranger = of("z");
            let memory = next(memory, 1, None);
            assert_eq!(memory.must_wait(&stranger, URL), until.is_some(), "{answers:?}");
            assert!(!memory.must_wait(&stranger, "https://other.example.com/"), "{answers:?}");
            assert!(!next(memory, until.unwrap_or_default(), None).must_wait(&stranger, URL), "{answers:?}");
        }
    }

    #[test]
    fn a_credential_that_was_refused_is_not_tried_again_until_something_changes() {
        let mut memory = Memory::new(&polls(Some(5)), 1_000, BTreeMap::new(), BTreeMap::new());
        let sign_in = || Some(r#"{"expiresAt": 7}"#.to_owned());
        assert!(!memory.is_unauthorized(&charm(), sign_in));
        memory.unauthorized(&charm(), sign_in());
        let memory = next(memory, 60_000, Some(5));
        assert!(memory.is_unauthorized(&charm(), sign_in));
        assert!(!memory.is_unauthorized(&charm(), || Some(r#"{"expiresAt": 8}"#.to_owned())), "it was renewed");
        let stored = serde_json::to_string(&memory.entries).unwrap();
        assert_eq!(serde_json::from_str::<BTreeMap<u64, BTreeMap<String, Entry>>>(&stored).unwrap(), memory.entries);
        let memory = next(memory, 60_000, Some(5));
        assert!(memory.is_unauthorized(&charm(), sign_in), "it lasts");
        let entries = memory.entries.clone();
        let later = Memory::new(&polls(Some(9)), memory.now, entries, BTreeMap::new());
        assert!(!later.is_unauthorized(&charm(), sign_in), "a poll has succeeded");
        assert!(!next(memory, LONGEST_WAIT_MS, Some(5)).is_unauthorized(&charm(), sign_in), "an hour is over");
    }

    #[test]
    fn charms_that_are_no_longer_registered_are_forgotten() {
        let mut memory = Memory::new(&polls(None), 1_000, BTreeMap::new(), BTreeMap::new());
        memory.answered(&charm(), URL, &answer(200, &[("etag", "1")]), News::None);
        let memory = Memory::new(&[], 2_000, memory.entries, memory.origins);
        assert!(memory.entries.is_empty());
    }
}
