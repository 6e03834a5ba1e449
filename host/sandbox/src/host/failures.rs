//! The failed requests of one call, and which of them explains the error that its guest returned.
//!
//! If a guest can report which request its error comes from, only that report counts: a failure that the guest has
//! handled does not explain a later error. For other guests, it is only known that a request was refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bg_egress::{CredentialError, EgressError, NotRenewed, Progress, Rule, Stage, Wait};
use bg_identity::retry_after;
use bg_poller::{Cause, FailedServer, RuntimeError, Servers};
use http::{HeaderMap, StatusCode};

use super::challenges;
use crate::credentials::of_runtime;
use crate::failure::{Awaited, Explanation, Refusal};
use crate::text;

/// The longest text about a failed request, in bytes.
const TEXT_BYTES: usize = 1024;

/// How many requests of a call are kept: more than a call may send, unless the operator raises that limit.
const MOST: usize = 1_000;

/// The failed requests of one call. Clones share them.
#[derive(Clone)]
pub(crate) struct Failures {
    /// Whether the guest can report which one its error comes from.
    says_causes: bool,
    /// When the call ends.
    deadline: Instant,
    known: Arc<Mutex<Known>>,
}

/// The server that a request is for.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Its name, for people.
    pub(super) host: Arc<str>,
    /// Its scheme, host and port; none if that says something secret.
    pub(super) origin: Option<Arc<str>>,
}

impl Server {
    /// It has failed this request, for the given cause. Of a server that asks for fewer requests (429), nobody knows
    /// whether others may send some: only its wait counts. One that refuses a request may refuse those of others as
    /// well, until somebody changes that.
    fn failed_by(&self, cause: Cause, retry_after: Option<Duration>) -> Option<FailedServer> {
        match cause {
            Cause::ServerFails => self.failed(retry_after),
            Cause::TooManyRequests => retry_after.map(|_| FailedServer { retry_after, ..FailedServer::default() }),
            Cause::Unauthorized | Cause::Forbidden => {
                self.failed(None).map(|server| FailedServer { refused: true, ..server })
            }
            _ => None,
        }
    }

    fn failed(&self, retry_after: Option<Duration>) -> Option<FailedServer> {
        self.origin.as_ref().map(|origin| FailedServer {
            origin: origin.as_ref().to_owned(),
            retry_after,
            refused: false,
        })
    }

    fn awaited(&self) -> Awaited {
        Awaited::Server { host: text::one_line(&self.host, TEXT_BYTES), server: self.failed(None) }
    }
}

/// The answer to a request.
struct Answered {
    server: Server,
    status: StatusCode,
    retry_after: Option<Duration>,
}

/// A request that may explain how the call ends.
struct Request {
    server: Server,
    /// Whether the guest waits for its answer, or the rest of that.
    is_open: bool,
    /// How far the gate is with it.
    progress: Progress,
    /// When it was sent.
    since: Instant,
    /// Why it failed, if the guest can report that its error comes from it.
    refusal: Option<Refusal>,
}

impl Request {
    fn new(server: Server, progress: Progress) -> Self {
        Self { server, is_open: true, progress, since: Instant::now(), refusal: None }
    }

    /// What the guest waits for, other than itself.
    fn waits_for(&self) -> Option<Awaited> {
        match self.progress.stage() {
            Stage::Permit => Some(Awaited::Room),
            Stage::Gate | Stage::Body => None,
            Stage::Server => Some(self.server.awaited()),
        }
    }
}

#[derive(Default)]
struct Known {
    /// The first request that the gate refused, or for which it had no valid credential.
    first: Option<Refusal>,
    /// The origins that have answered a request well.
    answered: BTreeSet<Arc<str>>,
    /// Those that have accepted one.
    accepted: BTreeSet<Arc<str>>,
    /// The origins that have not answered well, and the newest of these failures.
    unwell: BTreeSet<Arc<str>>,
    newest: Option<FailedServer>,
    /// How long the guest waited for servers in vain, until the time of a request ended or the guest gave it up; and
    /// the last of these servers.
    in_vain: (Duration, Option<Server>),
    /// The requests that have no answer yet, that the guest gave up, and that failed, by their numbers.
    requests: BTreeMap<u32, Request>,
    /// All answers, by the numbers of their requests.
    answers: BTreeMap<u32, Answered>,
    /// The request that the guest's error comes from, and the status that its answer amounts to, if it has another one.
    named: Option<(u32, Option<StatusCode>)>,
}

impl Known {
    fn is_well(&mut self, server: &Server) {
        note(&mut self.answered, server);
    }

    /// What an answer says of the failure of its request, if it amounts to one of that status.
    fn meant(&self, number: u32, status: StatusCode) -> Option<Refusal> {
        let Answered { server, status: answered, retry_after } = self.answers.get(&number)?;
        let cause = cause_of_answer(status, &HeaderMap::new())?;
        let text = format!("{} answered {answered}, which the charm takes for {status}", server.host);
        let failed = server.failed_by(cause, *retry_after);
        Some(Refusal { cause, text: text::one_line(&text, TEXT_BYTES), answered: None, server: failed })
    }

    fn is_unwell(&mut self, server: &Server, failed: Option<FailedServer>) {
        self.newest = failed;
        let Some(origin) = &server.origin else { return };
        if self.unwell.len() < Servers::MOST {
            self.unwell.insert(origin.clone());
        }
        // Too many to remember which ones failed.
        if self.unwell.len() >= Servers::MOST {
            self.answered.clear();
        }
    }

    fn waited_in_vain(&mut self, number: u32) {
        let Some(request) = self.requests.get(&number) else { return };
        if request.progress.stage() == Stage::Server {
            let (waited, server) = &mut self.in_vain;
            *waited += request.since.elapsed();
            *server = Some(request.server.clone());
        }
    }

    /// Of too many, the oldest that failed: what the call still waits for is kept, whatever else fails meanwhile.
    fn forget_the_oldest(&mut self) {
        if self.requests.len() <= MOST {
            return;
        }
        let closed = self.requests.iter().find(|(_, request)| !request.is_open).map(|(number, _)| *number);
        match closed {
            Some(number) => drop(self.requests.remove(&number)),
            None => drop(self.requests.pop_first()),
        }
    }
}

impl Failures {
    pub(super) fn new(says_causes: bool, deadline: Instant) -> Self {
        Self { says_causes, deadline, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent to this host.
    pub(super) fn sent(&self, number: u32, server: &Server, progress: &Progress) {
        let mut known = self.known();
        known.requests.insert(number, Request::new(server.clone(), progress.clone()));
        known.forget_the_oldest();
    }

    /// A request was refused, or failed.
    pub(super) fn failed(&self, number: u32, server: &Server, error: &EgressError) {
        let (refused, elsewhere) = (refused(error), failed_elsewhere(error));
        let failed = elsewhere.and_then(|_| server.failed(None));
        let failure = refused.or(elsewhere).map(|cause| {
            let text = text::one_line(&error.to_string(), TEXT_BYTES);
            Refusal { cause, text, answered: None, server: failed.clone() }
        });
        let mut known = self.known();
        if elsewhere.is_some() {
            known.is_unwell(server, failed);
        }
        if elsewhere == Some(Cause::TooSlow) {
            known.waited_in_vain(number);
        }
        // The gate and the call may both find out first that the call is over.
        let ends_with_the_call = matches!(error, EgressError::Timeout { .. }) && Instant::now() >= self.deadline;
        let is_open = ends_with_the_call && known.requests.get(&number).is_some_and(|request| request.is_open);
        if refused.is_some() && known.first.is_none() {
            known.first.clone_from(&failure);
        }
        self.keep(&mut known, number, server, is_open, failure);
    }

    /// A server answered so. If it refused a token that could not be renewed, it is that which is wrong.
    pub(super) fn answered<B>(&self, number: u32, server: &Server, response: &http::Response<B>) {
        let (status, headers) = (response.status(), response.headers());
        let not_renewed = response.extensions().get().and_then(|NotRenewed(error)| {
            let text = format!("{} answered {status}, and the token cannot be renewed: {error}", server.host);
            Some((cause_of_credential(error)?, text))
        });
        if let Some((cause, text)) = not_renewed {
            let refusal = Refusal { cause, text: text::one_line(&text, TEXT_BYTES), answered: None, server: None };
            let mut known = self.known();
            known.is_well(server);
            // As if the gate had refused the request because there is no credential.
            known.first.get_or_insert_with(|| refusal.clone());
            self.keep(&mut known, number, server, false, Some(refusal));
            return;
        }
        let cause = cause_of_answer(status, headers);
        let failed = cause.and_then(|cause| server.failed_by(cause, retry_after(headers)));
        let failure = cause.map(|cause| {
            let text = text::one_line(&format!("{} answered {status}", server.host), TEXT_BYTES);
            Refusal { cause, text, answered: Some((server.host.clone(), status)), server: failed.clone() }
        });
        let mut known = self.known();
        if status.is_success() {
            note(&mut known.accepted, server);
        }
        if self.says_causes {
            let answered = Answered { server: server.clone(), status, retry_after: retry_after(headers) };
            known.answers.insert(number, answered);
            if known.answers.len() > MOST {
                known.answers.pop_first();
            }
        }
        match cause {
            Some(Cause::TooManyRequests) => known.is_unwell(server, None),
            Some(Cause::ServerFails) => known.is_unwell(server, failed),
            _ => known.is_well(server),
        }
        self.keep(&mut known, number, server, false, failure);
    }

    /// The guest waits for more of an answer.
    pub(super) fn reads(&self, number: u32, server: &Server, progress: &Progress) {
        let mut known = self.known();
        let request = || Request::new(server.clone(), progress.clone());
        known.requests.entry(number).or_insert_with(request).is_open = true;
        known.forget_the_oldest();
    }

    /// More of an answer has come, or its end.
    pub(super) fn has_read(&self, number: u32) {
        let mut known = self.known();
        let Some(request) = known.requests.get_mut(&number) else { return };
        request.is_open = false;
        if request.refusal.is_none() {
            known.requests.remove(&number);
        }
    }

    /// The guest has given up a request, or the rest of its answer, unless the end of the call did that.
    pub(super) fn given_up(&self, number: u32) {
        if Instant::now() >= self.deadline {
            return;
        }
        let mut known = self.known();
        let Some(request) = known.requests.get_mut(&number) else { return };
        let was_open = std::mem::take(&mut request.is_open);
        if was_open {
            known.waited_in_vain(number);
        }
        if !self.says_causes {
            known.requests.remove(&number);
        }
    }

    /// What the guest waits for, if it waits for a request: a server rather than room.
    pub(crate) fn waits_for(&self) -> Option<Awaited> {
        let known = self.known();
        let mut open = known.requests.values().filter(|request| request.is_open).filter_map(Request::waits_for);
        let first = open.next()?;
        let server = (first == Awaited::Room).then(|| open.find(|awaited| *awaited != Awaited::Room)).flatten();
        Some(server.unwrap_or(first))
    }

    /// The server that the guest waited for in vain last, if it did that for more than half of `time` in all.
    pub(crate) fn waited_for(&self, time: Duration) -> Option<Awaited> {
        let known = self.known();
        let (waited, server) = &known.in_vain;
        server.as_ref().filter(|_| *waited > time / 2).map(Server::awaited)
    }

    /// What a call that succeeded says about servers.
    pub(crate) fn servers(&self) -> Servers {
        let known = self.known();
        let well = known.answered.difference(&known.unwell).map(|origin| origin.as_ref().to_owned());
        let accepted = known.accepted.iter().map(|origin| origin.as_ref().to_owned()).collect();
        Servers { failed: None, answered: well.collect(), accepted }
    }

    /// The server that failed last, for a guest that cannot report which one its error comes from.
    pub(crate) fn newest(&self) -> Option<FailedServer> {
        self.known().newest.clone()
    }

    /// Keeps what is known about a request: nothing, if it explains no end of the call.
    fn keep(&self, known: &mut Known, number: u32, server: &Server, is_open: bool, refusal: Option<Refusal>) {
        let refusal = refusal.filter(|_| self.says_causes);
        if !is_open && refusal.is_none() {
            known.requests.remove(&number);
            return;
        }
        let server = server.clone();
        let request = known.requests.entry(number).or_insert_with(|| Request::new(server, Progress::default()));
        (request.is_open, request.refusal) = (is_open, refusal);
        known.forget_the_oldest();
    }

    /// The guest reports that its error comes from this request.
    pub(super) fn name(&self, number: u32) {
        self.known().named = Some((number, None));
    }

    /// The guest reports that its error comes from this request, whose answer amounts to one of that status.
    pub(super) fn name_answer(&self, number: u32, status: u16) {
        self.known().named = Some((number, StatusCode::from_u16(status).ok()));
    }

    /// What explains the error that the guest returned.
    pub(crate) fn explain(&self) -> Explanation {
        let known = self.known();
        if let Some(refusal) = known.named.and_then(|(number, status)| known.meant(number, status?)) {
            return Explanation::Cause(refusal);
        }
        if self.says_causes
            && let Some(request) = known.named.and_then(|(number, _)| known.requests.get(&number))
        {
            let refusal = request.refusal.clone().or_else(|| {
                let (cause, text, server) = match request.waits_for()? {
                    Awaited::Server { host, server } => {
                        let text = format!("{host} did not answer in the time that the charm allows");
                        (Cause::TooSlow, text::one_line(&text, TEXT_BYTES), server)
                    }
                    Awaited::Room => {
                        let text = "there was no room for the request in the time that the charm allows";
                        (Cause::NoRoomForRequest, text.to_owned(), None)
                    }
                };
                Some(Refusal { cause, text, answered: None, server })
            });
            if let Some(refusal) = refusal {
                return Explanation::Cause(refusal);
            }
        }
        match &known.first {
            None => Explanation::None,
            Some(refusal) if self.says_causes => Explanation::Before(refusal.text.clone()),
            Some(refusal) => Explanation::Cause(refusal.clone()),
        }
    }
}

/// Why a request was refused; `None` if it was not refused, but failed.
fn refused(error: &EgressError) -> Option<Cause> {
    match error {
        EgressError::Denied { rule: Rule::Grant, .. } | EgressError::Denied { option: Some(_), .. } => {
            Some(Cause::NotGranted)
        }
        EgressError::Address { .. } => Some(Cause::PrivateAddress),
        // No option would help: no guest may send this.
        EgressError::Denied { .. } => Some(Cause::NeverAllowed),
        EgressError::Credential { source, .. } => cause_of_credential(source),
        EgressError::Timeout { what: Wait::Credential, .. } => Some(Cause::TokenServiceFails),
        // Requests of all charms, or of all calls of an integration, share these permits.
        EgressError::Timeout { what: Wait::SharedPermit, .. } => Some(Cause::NoRoomForRequest),
        _ => None,
    }
}

/// Why there is no credential: the same as if the charm runtime had ended a poll for it. None if the guest asked for
/// one that is not its own.
fn cause_of_credential(error: &CredentialError) -> Option<Cause> {
    match error {
        CredentialError::NotItsCharm { .. } => None,
        CredentialError::Missing(_) => Some(Cause::SignInMissing),
        CredentialError::Failed(_) => Some(match of_runtime(error) {
            Some(RuntimeError::NotFound(_) | RuntimeError::Unfit(_) | RuntimeError::Invalid(_)) => Cause::SignInMissing,
            Some(error) => error.cause(),
            None => Cause::TokenServiceFails,
        }),
    }
}

/// Why a request failed, if that is the fault of the server that it was for, or of the way there.
fn failed_elsewhere(error: &EgressError) -> Option<Cause> {
    match error {
        EgressError::Dns { .. } | EgressError::Timeout { what: Wait::Lookup, .. } => Some(Cause::NameUnknown),
        EgressError::Connect { .. } | EgressError::Timeout { what: Wait::Connection, .. } => Some(Cause::Unreachable),
        EgressError::Tls { .. } => Some(Cause::Untrusted),
        EgressError::Protocol { .. } => Some(Cause::BadAnswer),
        EgressError::Timeout { what: Wait::Head | Wait::Piece | Wait::Whole, .. } => Some(Cause::TooSlow),
        _ => None,
    }
}

/// Notes a server, unless there are many.
fn note(servers: &mut BTreeSet<Arc<str>>, server: &Server) {
    if let Some(origin) = server.origin.as_ref().filter(|_| servers.len() < Servers::MOST) {
        servers.insert(origin.clone());
    }
}

/// What an answer says of the failure of its request; none if it is none, or the guest's own.
fn cause_of_answer(status: StatusCode, headers: &HeaderMap) -> Option<Cause> {
    match status {
        StatusCode::UNAUTHORIZED => Some(Cause::Unauthorized),
        StatusCode::FORBIDDEN if challenges::needs_scope(headers) => Some(Cause::ScopeMissing),
        StatusCode::FORBIDDEN => Some(Cause::Forbidden),
        StatusCode::TOO_MANY_REQUESTS => Some(Cause::TooManyRequests),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Some(Cause::ServerFails),
        status => status.is_server_error().then_some(Cause::ServerFails),
    }
}

#[cfg(test)]
mod tests {
    use bg_egress::Owner;
    use bg_poller::{Blame, OutcomeKind};
    use http::header;

    use super::*;

    fn server(host: &str) -> Server {
        Server { host: host.into(), origin: Some(format!("https://{host}").into()) }
    }

    fn failures(says_causes: bool) -> Failures {
        Failures::new(says_causes, Instant::now() + Duration::from_mins(1))
    }

    /// The gate has room for it.
    fn sent(failures: &Failures, number: u32, host: &str) {
        let progress = Progress::default();
        progress.reach(Stage::Server);
        failures.sent(number, &server(host), &progress);
    }

    fn waits_for(failures: &Failures) -> Option<String> {
        failures.waits_for().map(|awaited| match awaited {
            Awaited::Server { host, .. } => host,
            Awaited::Room => "room".to_owned(),
        })
    }

    fn answer(status: StatusCode) -> http::Response<()> {
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        response
    }

    fn denied() -> EgressError {
        EgressError::Denied { rule: Rule::Grant, message: "GET https://a.example/ is not granted".into(), option: None }
    }

    #[test]
    fn a_request_that_the_guest_gave_up_for_its_own_timeout_is_the_upstreams_fault_until_it_is_answered() {
        let failures = failures(true);
        sent(&failures, 1, "slow.example");
        assert_eq!(failures.explain(), Explanation::None, "it is not named");
        failures.name(1);
        let explanation = failures.explain();
        assert!(
            matches!(&explanation, Explanation::Cause(refusal) if refusal.cause == Cause::TooSlow && refusal.text.starts_with("slow.example")),
            "{explanation:?}"
        );
        failures.answered(1, &server("slow.example"), &answer(StatusCode::OK));
        assert_eq!(failures.explain(), Explanation::None);
    }

    #[test]
    fn a_call_waits_for_the_oldest_request_that_has_no_answer_when_its_time_ends() {
        for says_causes in [true, false] {
            let failures = failures(says_causes);
            assert_eq!(waits_for(&failures), None);
            for (number, host) in [(1, "a.example"), (2, "b.example"), (3, "c.example")] {
                sent(&failures, number, host);
            }
            failures.answered(1, &server("a.example"), &answer(StatusCode::OK));
            failures.failed(2, &server("a.example"), &EgressError::Timeout { what: Wait::Head, after: Duration::ZERO });
            assert_eq!(waits_for(&failures).unwrap(), "c.example");
            failures.failed(3, &server("a.example"), &denied());
            assert_eq!(waits_for(&failures), None);
        }
        let over = Failures::new(true, Instant::now());
        sent(&over, 1, "a.example");
        over.failed(1, &server("a.example"), &EgressError::Timeout { what: Wait::Whole, after: Duration::ZERO });
        assert_eq!(waits_for(&over).unwrap(), "a.example", "both ended at the same time");
    }

    #[test]
    fn a_call_waits_for_room_only_if_it_waits_for_no_server() {
        let failures = failures(true);
        let progress = Progress::default();
        failures.sent(1, &server("a.example"), &progress);
        assert_eq!(failures.waits_for(), None, "the gate has not looked at it");
        progress.reach(Stage::Body);
        assert_eq!(failures.waits_for(), None, "it waits for its guest");
        progress.reach(Stage::Permit);
        assert_eq!(failures.waits_for(), Some(Awaited::Room));
        failures.name(1);
        let explanation = failures.explain();
        assert!(matches!(&explanation, Explanation::Cause(refusal) if refusal.cause == Cause::NoRoomForRequest));
        sent(&failures, 2, "b.example");
        assert_eq!(waits_for(&failures).unwrap(), "b.example");
    }

    #[test]
    fn a_call_waits_for_the_rest_of_an_answer_until_it_has_come_or_is_given_up() {
        for says_causes in [true, false] {
            let failures = failures(says_causes);
            let progress = Progress::default();
            progress.reach(Stage::Server);
            for number in [1, 2] {
                sent(&failures, number, "a.example");
                failures.answered(number, &server("a.example"), &answer(StatusCode::OK));
                assert_eq!(waits_for(&failures).is_some(), number == 2);
                failures.reads(number, &server("a.example"), &progress);
                assert_eq!(waits_for(&failures).unwrap(), "a.example");
            }
            failures.has_read(1);
            assert_eq!(waits_for(&failures).unwrap(), "a.example");
            failures.given_up(2);
            assert_eq!(waits_for(&failures), None);
            assert!(failures.waited_for(Duration::ZERO).is_some());
            assert_eq!(failures.waited_for(Duration::from_mins(1)), None, "it waited for moments only");
            // Its own limit of time may have ended the request.
            failures.name(2);
            assert_eq!(matches!(failures.explain(), Explanation::Cause(_)), says_causes);
            failures.name(1);
            assert_eq!(failures.explain(), Explanation::None);
        }
        let over = Failures::new(true, Instant::now());
        sent(&over, 1, "a.example");
        over.given_up(1);
        assert_eq!(waits_for(&over).unwrap(), "a.example", "the end of the call dropped it");
    }

    #[test]
    fn only_the_failure_that_the_guest_names_excuses_it() {
        let attempt = bg_abuse::Attempt::begin("excuses", "a denied request, and numbers of others that did not fail");
        let failures = failures(true);
        failures.failed(1, &server("a.example"), &denied());
        failures.answered(2, &server("b.example"), &answer(StatusCode::SERVICE_UNAVAILABLE));
        failures.answered(3, &server("c.example"), &answer(StatusCode::NOT_FOUND));
        failures.answered(4, &server("d.example"), &answer(StatusCode::UNAUTHORIZED));
        assert!(matches!(failures.explain(), Explanation::Before(text) if text.contains("a.example")));
        for (number, blame) in [(1, Blame::Configuration), (2, Blame::Upstream), (4, Blame::Credential)] {
            failures.name(number);
            assert!(
                matches!(failures.explain(), Explanation::Cause(refusal) if refusal.cause.blame() == blame),
                "{number}"
            );
        }
        // One that did not fail, and one that was never sent.
        for number in [0, 3, 5, u32::MAX] {
            failures.name(number);
            assert!(matches!(failures.explain(), Explanation::Before(_)), "{number}");
        }
        attempt.ended("the charm is to blame");
    }

    #[test]
    fn a_guest_may_say_which_status_an_answer_amounts_to() {
        let failures = failures(true);
        let mut later = answer(StatusCode::OK);
        later.headers_mut().insert(header::RETRY_AFTER, 7.into());
        failures.answered(1, &server("a.example"), &later);
        failures.answered(2, &server("b.example"), &answer(StatusCode::FORBIDDEN));
        failures.answered(4, &server("c.example"), &later);
        for (number, status, cause, text, server) in [
            (4, 429, Cause::TooManyRequests, "c.example answered 200 OK", Some(Some(7))),
            (1, 502, Cause::ServerFails, "a.example answered 200 OK", Some(Some(7))),
            (2, 429, Cause::TooManyRequests, "b.example answered 403 Forbidden", None),
            (1, 403, Cause::Forbidden, "a.example answered 200 OK", Some(None)),
            // What is no status, or none of a failure, leaves what the answer itself says.
            (2, 200, Cause::Forbidden, "b.example answered 403 Forbidden", Some(None)),
            (2, 7, Cause::Forbidden, "b.example answered 403 Forbidden", Some(None)),
        ] {
            failures.name_answer(number, status);
            let Explanation::Cause(refusal) = failures.explain() else { panic!("{number} {status}") };
            assert_eq!(refusal.cause, cause, "{number} {status}");
            assert!(refusal.text.starts_with(text), "{refusal:?}");
            let failed = refusal.server.map(|server| server.retry_after.map(|wait| wait.as_secs()));
            assert_eq!(failed, server, "{number} {status}");
        }
        // An answer of no failure, and one that never came.
        for (number, status) in [(1, 404), (1, 200), (3, 503)] {
            failures.name_answer(number, status);
            assert_eq!(failures.explain(), Explanation::None, "{number} {status}");
        }
    }

    #[test]
    fn a_guest_that_cannot_name_a_request_has_the_first_refusal_as_its_reason() {
        let failures = failures(false);
        failures.answered(1, &server("b.example"), &answer(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(failures.explain(), Explanation::None);
        failures.failed(2, &server("a.example"), &denied());
        assert!(matches!(failures.explain(), Explanation::Cause(refusal) if refusal.cause == Cause::NotGranted));
    }

    #[test]
    fn a_server_works_if_it_answered_all_requests_of_a_call_that_it_got() {
        let failures = failures(true);
        let away = EgressError::Connect { origin: "https://b.example".into(), message: "x".into() };
        let with = |after: &str| HeaderMap::from_iter([(header::RETRY_AFTER, after.parse().unwrap())]);
        for (number, host, status) in [
            (1, "a.example", StatusCode::OK),
            (2, "b.example", StatusCode::OK),
            (4, "c.example", StatusCode::TOO_MANY_REQUESTS),
            (5, "c.example", StatusCode::OK),
            (6, "d.example", StatusCode::NOT_FOUND),
            (7, "e.example", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let mut response = answer(status);
            *response.headers_mut() = with("7");
            failures.answered(number, &server(host), &response);
        }
        failures.failed(3, &server("b.example"), &away);
        assert_eq!(failures.servers().answered, ["https://a.example", "https://d.example"]);
        let accepted = ["https://a.example", "https://b.example", "https://c.example"];
        assert_eq!(failures.servers().accepted, accepted);
        let failed = |number| {
            failures.name(number);
            let Explanation::Cause(Refusal { server, .. }) = failures.explain() else { panic!("{number}") };
            server.map(|server| (server.origin, server.retry_after.map(|wait| wait.as_secs())))
        };
        assert_eq!(failed(3), Some(("https://b.example".to_owned(), None)));
        assert_eq!(failed(4), Some((String::new(), Some(7))), "its quota is its own");
        assert_eq!(failed(7), Some(("https://e.example".to_owned(), Some(7))));
        assert_eq!(failures.newest().unwrap().origin, "https://b.example");
    }

    #[test]
    fn a_server_that_refuses_a_request_may_accept_another() {
        let failures = failures(true);
        for (number, status) in [(1, StatusCode::UNAUTHORIZED), (2, StatusCode::FORBIDDEN), (3, StatusCode::NOT_FOUND)]
        {
            failures.answered(number, &server("a.example"), &answer(status));
        }
        for number in [1, 2] {
            failures.name(number);
            let Explanation::Cause(Refusal { server, .. }) = failures.explain() else { panic!("{number}") };
            let refused = FailedServer { origin: "https://a.example".into(), retry_after: None, refused: true };
            assert_eq!(server, Some(refused));
        }
        // It works: charms that wait for it to work again go on, and those whose requests it refuses do not.
        assert_eq!((failures.servers().answered.len(), failures.servers().accepted.len()), (1, 0));
        failures.answered(4, &server("a.example"), &answer(StatusCode::NO_CONTENT));
        assert_eq!(failures.servers().accepted, ["https://a.example"]);
    }

    #[test]
    fn endless_servers_take_bounded_memory() {
        let failures = failures(true);
        for number in 0..1_000 {
            failures.answered(number, &server(&format!("ok{number}.example")), &answer(StatusCode::OK));
        }
        assert_eq!(failures.servers().answered.len(), Servers::MOST);
        assert_eq!(failures.servers().accepted.len(), Servers::MOST);
        for number in 0..1_000 {
            let away = EgressError::Dns { host: "x".into(), message: "x".into() };
            failures.failed(number, &server(&format!("no{number}.example")), &away);
        }
        assert!(failures.servers().answered.is_empty());
        assert_eq!(failures.known().unwell.len(), Servers::MOST);
    }

    #[test]
    fn endless_failures_take_bounded_memory_and_hide_no_request_that_the_call_waits_for() {
        let failures = failures(true);
        sent(&failures, 0, "slow.example");
        for number in 1..10_000 {
            sent(&failures, number, "a.example");
            failures.failed(number, &server("a.example"), &denied());
        }
        assert_eq!(failures.known().requests.len(), MOST);
        assert_eq!(waits_for(&failures).unwrap(), "slow.example");
        let named = |number| {
            failures.name(number);
            match failures.explain() {
                Explanation::Cause(refusal) => Some(refusal.cause),
                _ => None,
            }
        };
        assert_eq!([0, 1, 9_999].map(named), [Some(Cause::TooSlow), None, Some(Cause::NotGranted)]);
        // So are the newest answers.
        for number in 10_000..12_000 {
            failures.answered(number, &server("a.example"), &answer(StatusCode::OK));
        }
        assert_eq!(failures.known().answers.len(), MOST);
        // Of requests that all wait, the newest are kept.
        for number in 10_000..12_000 {
            sent(&failures, number, "b.example");
        }
        assert_eq!(failures.known().requests.len(), MOST);
        assert_eq!(waits_for(&failures).unwrap(), "b.example");
    }

    #[test]
    fn of_a_guest_that_names_no_request_only_those_without_an_answer_are_kept() {
        let failures = failures(false);
        for number in 0..3 {
            sent(&failures, number, "a.example");
        }
        failures.failed(0, &server("a.example"), &denied());
        failures.answered(1, &server("a.example"), &answer(StatusCode::FORBIDDEN));
        assert_eq!(failures.known().requests.keys().copied().collect::<Vec<_>>(), [2]);
        failures.name(2);
        assert!(matches!(failures.explain(), Explanation::Cause(refusal) if refusal.cause == Cause::NotGranted));
    }

    #[test]
    fn a_credential_that_is_not_there_has_the_cause_of_the_runtime_also_if_a_renewal_failed() {
        let charm = crate::testing::charm("a");
        for (error, cause) in [
            (RuntimeError::unmet(Cause::WrongClient, "x"), Cause::WrongClient),
            (RuntimeError::unmet(Cause::NoRefreshUrl, "x"), Cause::NoRefreshUrl),
            (RuntimeError::unmet(Cause::SignInEnded, "x"), Cause::SignInEnded),
            (RuntimeError::unmet(Cause::Damaged, "x"), Cause::Damaged),
            (RuntimeError::unavailable_by(Cause::TokenServiceBusy, "x"), Cause::TokenServiceBusy),
            (RuntimeError::unavailable_by(Cause::CharmBusy, "x"), Cause::CharmBusy),
            (RuntimeError::unavailable("x"), Cause::RuntimeAway),
            (RuntimeError::Authorization { space: charm.space.clone(), message: "x".into() }, Cause::NoAccess),
            (RuntimeError::Invalid("x".into()), Cause::SignInMissing),
            (RuntimeError::NotFound(charm), Cause::SignInMissing),
        ] {
            let kind = if error.is_unavailable() { OutcomeKind::Unavailable } else { OutcomeKind::Denied };
            let kind = if cause == Cause::Damaged { OutcomeKind::Invalid } else { kind };
            let source = CredentialError::failed(error);
            let failures = failures(true);
            let mut refused = answer(StatusCode::UNAUTHORIZED);
            refused.extensions_mut().insert(NotRenewed(source.clone()));
            let of_component = Failures::new(false, failures.deadline);
            of_component.answered(1, &server("a.example"), &refused);
            let explanation = of_component.explain();
            assert!(matches!(&explanation, Explanation::Cause(refusal) if refusal.cause == cause), "{explanation:?}");
            failures.answered(1, &server("a.example"), &refused);
            failures.failed(2, &server("a.example"), &EgressError::Credential { origin: "x".into(), source });
            for number in [1, 2] {
                failures.name(number);
                let Explanation::Cause(refusal) = failures.explain() else { panic!("{cause} {number}") };
                assert_eq!((refusal.cause, refusal.kind(), refusal.answered), (cause, kind, None), "{number}");
            }
        }
    }

    #[test]
    fn a_request_that_failed_elsewhere_is_blamed_on_upstream_and_an_answer_by_its_status() {
        let timeout = |what| EgressError::Timeout { what, after: Duration::ZERO };
        for (error, cause) in [
            (
                EgressError::Connect { origin: "https://a.example".into(), message: "x".into() },
                Some(Cause::Unreachable),
            ),
            (EgressError::Dns { host: "a.example".into(), message: "x".into() }, Some(Cause::NameUnknown)),
            (EgressError::Tls { origin: "https://a.example".into(), message: "x".into() }, Some(Cause::Untrusted)),
            (EgressError::Protocol { origin: "https://a.example".into(), message: "x".into() }, Some(Cause::BadAnswer)),
            (timeout(Wait::Head), Some(Cause::TooSlow)),
            (timeout(Wait::Permit), None),
            (EgressError::Budget { limit: 1 }, None),
            (EgressError::Request("x".into()), None),
        ] {
            assert_eq!(failed_elsewhere(&error), cause, "{error:?}");
            assert!(cause.is_none_or(|cause| cause.blame() == Blame::Upstream), "{error:?}");
        }
        for (status, cause) in [
            (200, None),
            (400, None),
            (401, Some(Cause::Unauthorized)),
            (403, Some(Cause::Forbidden)),
            (404, None),
            (408, Some(Cause::ServerFails)),
            (425, Some(Cause::ServerFails)),
            (429, Some(Cause::TooManyRequests)),
            (500, Some(Cause::ServerFails)),
            (503, Some(Cause::ServerFails)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(cause_of_answer(status, &HeaderMap::new()), cause, "{status}");
        }
        let challenge = "Bearer realm=\"https://a.example/\", error=\"insufficient_scope\", scope=\"mail\"";
        let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge.parse().unwrap())]);
        assert_eq!(cause_of_answer(StatusCode::FORBIDDEN, &headers), Some(Cause::ScopeMissing));
        assert_eq!(cause_of_answer(StatusCode::NOT_FOUND, &headers), None);
    }

    #[test]
    fn a_refused_request_is_blamed_on_the_one_who_can_fix_it() {
        let denied = |rule, option: Option<&str>| EgressError::Denied {
            rule,
            message: "x".into(),
            option: option.map(str::to_owned),
        };
        let credential = |source| EgressError::Credential { origin: "https://a.example".into(), source };
        let connect = EgressError::Connect { origin: "https://a.example".into(), message: "x".into() };
        let not_its = CredentialError::NotItsCharm { charm: "x".into(), owner: Owner::Charms };
        for (error, blame) in [
            (denied(Rule::Grant, Some("--allow-charm-http https://a.example")), Some(Blame::Configuration)),
            (denied(Rule::Grant, None), Some(Blame::Configuration)),
            (denied(Rule::BoundSecret, Some("--charm-credential x")), Some(Blame::Configuration)),
            (denied(Rule::BoundSecret, None), Some(Blame::Charm)),
            (denied(Rule::Header, None), Some(Blame::Charm)),
            (denied(Rule::OwnAuthorization, None), Some(Blame::Charm)),
            (credential(CredentialError::Missing("no token".into())), Some(Blame::Credential)),
            (credential(CredentialError::failed("away")), Some(Blame::Upstream)),
            (credential(not_its), None),
            (connect, None),
            (EgressError::Timeout { what: Wait::SharedPermit, after: Duration::ZERO }, Some(Blame::Service)),
        ] {
            assert_eq!(refused(&error).map(Cause::blame), blame, "{error:?}");
        }
    }
}
