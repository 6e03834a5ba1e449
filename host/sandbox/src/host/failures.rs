//! The failed requests of one call, and which of them explains the error that its guest returned.
//!
//! If a guest can report which request its error comes from, only that report counts: a failure that the guest has
//! handled does not explain a later error. For other guests, it is only known that a request was refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bg_egress::{CredentialError, EgressError, Rule, Wait};
use bg_poller::Blame;
use http::{HeaderMap, StatusCode, header};

use crate::failure::{Explanation, Refusal};
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
    known: Arc<Mutex<Known>>,
}

/// A request that may explain an error.
enum Request {
    /// It was sent to this host, which has not answered yet.
    Open(String),
    /// It failed.
    Failed(Refusal),
}

#[derive(Default)]
struct Known {
    /// The first request that the gate refused.
    first: Option<Refusal>,
    /// All requests that have no answer yet, or that failed, by their numbers.
    requests: BTreeMap<u32, Request>,
    /// The one that the guest's error comes from.
    named: Option<u32>,
}

impl Failures {
    pub(super) fn new(says_causes: bool) -> Self {
        Self { says_causes, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent to this host.
    pub(super) fn sent(&self, number: u32, host: String) {
        self.keep(&mut self.known(), number, Some(Request::Open(host)));
    }

    /// A request was refused, or failed.
    pub(super) fn failed(&self, number: u32, error: &EgressError) {
        let refused = to_blame(error);
        let failure = refused.or_else(|| failed_elsewhere(error)).map(|blame| {
            let text = text::one_line(&error.to_string(), TEXT_BYTES);
            Refusal { blame, text, status: None }
        });
        let mut known = self.known();
        if refused.is_some() && known.first.is_none() {
            known.first.clone_from(&failure);
        }
        self.keep(&mut known, number, failure.map(Request::Failed));
    }

    /// A server answered with this status, and these headers.
    pub(super) fn answered(&self, number: u32, host: &str, status: StatusCode, headers: &HeaderMap) {
        let failure = blame_of_answer(status, headers).map(|blame| {
            let text = text::one_line(&format!("{host} answered {status}"), TEXT_BYTES);
            Request::Failed(Refusal { blame, text, status: Some(status) })
        });
        self.keep(&mut self.known(), number, failure);
    }

    /// Keeps what is known about a request: nothing if it explains no error.
    fn keep(&self, known: &mut Known, number: u32, request: Option<Request>) {
        if !self.says_causes {
            return;
        }
        let Some(request) = request else {
            known.requests.remove(&number);
            return;
        };
        known.requests.insert(number, request);
        if known.requests.len() > MOST {
            known.requests.pop_first();
        }
    }

    /// The guest reports that its error comes from this request.
    pub(super) fn name(&self, number: u32) {
        self.known().named = Some(number);
    }

    /// What explains the error that the guest returned.
    pub(crate) fn explain(&self) -> Explanation {
        let known = self.known();
        match known.named.and_then(|number| known.requests.get(&number)) {
            Some(Request::Failed(refusal)) => return Explanation::Cause(refusal.clone()),
            Some(Request::Open(host)) => {
                let text = format!("{host} did not answer in the time that the charm allows");
                let text = text::one_line(&text, TEXT_BYTES);
                return Explanation::Cause(Refusal { blame: Blame::Upstream, text, status: None });
            }
            None => {}
        }
        match &known.first {
            None => Explanation::None,
            Some(refusal) if self.says_causes => Explanation::Before(refusal.text.clone()),
            Some(refusal) => Explanation::Cause(refusal.clone()),
        }
    }
}

/// Who can fix a refused request; `None` if it was not refused, but failed.
fn to_blame(error: &EgressError) -> Option<Blame> {
    match error {
        EgressError::Denied { rule: Rule::Grant, .. }
        | EgressError::Denied { option: Some(_), .. }
        | EgressError::Address { .. }
        | EgressError::Credential { source: CredentialError::Refused(_), .. } => Some(Blame::Configuration),
        // No option would help: no guest may send this.
        EgressError::Denied { .. } => Some(Blame::Charm),
        EgressError::Credential { source: CredentialError::Missing(_), .. } => Some(Blame::Credential),
        EgressError::Credential { source: CredentialError::Unavailable(_), .. } => Some(Blame::Upstream),
        // Requests of all charms, or of all calls of an integration, share these permits.
        EgressError::Timeout { what: Wait::SharedPermit, .. } => Some(Blame::Service),
        _ => None,
    }
}

/// Whether a request failed because of the server that it was for, or on the way there.
fn failed_elsewhere(error: &EgressError) -> Option<Blame> {
    match error {
        EgressError::Dns { .. }
        | EgressError::Connect { .. }
        | EgressError::Tls { .. }
        | EgressError::Protocol { .. }
        | EgressError::Timeout {
            what: Wait::Lookup | Wait::Connection | Wait::Head | Wait::Piece | Wait::Whole, ..
        } => Some(Blame::Upstream),
        _ => None,
    }
}

/// Who can do something about an answer; none if it says nothing of that.
fn blame_of_answer(status: StatusCode, headers: &HeaderMap) -> Option<Blame> {
    // RFC 6750, section 3.1: somebody has to allow more than at the last sign-in.
    let needs_scope = || {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
        challenges.filter_map(|value| value.to_str().ok()).any(|value| value.contains("insufficient_scope"))
    };
    match status {
        StatusCode::UNAUTHORIZED => Some(Blame::Credential),
        StatusCode::FORBIDDEN if needs_scope() => Some(Blame::Credential),
        StatusCode::FORBIDDEN => Some(Blame::Configuration),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Some(Blame::Upstream),
        status => status.is_server_error().then_some(Blame::Upstream),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bg_egress::Owner;

    use super::*;

    fn denied() -> EgressError {
        EgressError::Denied { rule: Rule::Grant, message: "GET https://a.example/ is not granted".into(), option: None }
    }

    #[test]
    fn a_request_that_the_guest_gave_up_for_its_own_timeout_is_the_upstreams_fault_until_it_is_answered() {
        let failures = Failures::new(true);
        failures.sent(1, "slow.example".to_owned());
        assert_eq!(failures.explain(), Explanation::None, "it is not named");
        failures.name(1);
        let explanation = failures.explain();
        assert!(
            matches!(&explanation, Explanation::Cause(refusal) if refusal.blame == Blame::Upstream && refusal.text.starts_with("slow.example")),
            "{explanation:?}"
        );
        failures.answered(1, "slow.example", StatusCode::OK, &HeaderMap::new());
        assert_eq!(failures.explain(), Explanation::None);
    }

    #[test]
    fn only_the_failure_that_the_guest_names_excuses_it() {
        let attempt = bg_abuse::Attempt::begin("excuses", "a denied request, and numbers of others that did not fail");
        let failures = Failures::new(true);
        failures.failed(1, &denied());
        failures.answered(2, "b.example", StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new());
        failures.answered(3, "c.example", StatusCode::NOT_FOUND, &HeaderMap::new());
        failures.answered(4, "d.example", StatusCode::UNAUTHORIZED, &HeaderMap::new());
        assert!(matches!(failures.explain(), Explanation::Before(text) if text.contains("a.example")));
        for (number, blame) in [(1, Blame::Configuration), (2, Blame::Upstream), (4, Blame::Credential)] {
            failures.name(number);
            assert!(matches!(failures.explain(), Explanation::Cause(refusal) if refusal.blame == blame), "{number}");
        }
        // One that did not fail, and one that was never sent.
        for number in [0, 3, 5, u32::MAX] {
            failures.name(number);
            assert!(matches!(failures.explain(), Explanation::Before(_)), "{number}");
        }
        attempt.ended("the charm is to blame");
    }

    #[test]
    fn a_guest_that_cannot_name_a_request_has_the_first_refusal_as_its_reason() {
        let failures = Failures::new(false);
        failures.answered(1, "b.example", StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new());
        assert_eq!(failures.explain(), Explanation::None);
        failures.failed(2, &denied());
        assert!(matches!(failures.explain(), Explanation::Cause(refusal) if refusal.blame == Blame::Configuration));
    }

    #[test]
    fn endless_failures_take_bounded_memory() {
        let failures = Failures::new(true);
        for number in 0..10_000 {
            failures.failed(number, &denied());
        }
        assert_eq!(failures.known().requests.len(), MOST);
    }

    #[test]
    fn a_request_that_failed_elsewhere_is_blamed_on_upstream_and_an_answer_by_its_status() {
        let timeout = |what| EgressError::Timeout { what, after: Duration::ZERO };
        for (error, blame) in [
            (EgressError::Connect { origin: "https://a.example".into(), message: "x".into() }, Some(Blame::Upstream)),
            (EgressError::Dns { host: "a.example".into(), message: "x".into() }, Some(Blame::Upstream)),
            (timeout(Wait::Head), Some(Blame::Upstream)),
            (timeout(Wait::Permit), None),
            (EgressError::Budget { limit: 1 }, None),
            (EgressError::Request("x".into()), None),
        ] {
            assert_eq!(failed_elsewhere(&error), blame, "{error:?}");
        }
        for (status, blame) in [
            (200, None),
            (400, None),
            (401, Some(Blame::Credential)),
            (403, Some(Blame::Configuration)),
            (404, None),
            (408, Some(Blame::Upstream)),
            (425, Some(Blame::Upstream)),
            (429, Some(Blame::Upstream)),
            (500, Some(Blame::Upstream)),
            (503, Some(Blame::Upstream)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(blame_of_answer(status, &HeaderMap::new()), blame, "{status}");
        }
        let challenge = "Bearer realm=\"https://a.example/\", error=\"insufficient_scope\", scope=\"mail\"";
        let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge.parse().unwrap())]);
        assert_eq!(blame_of_answer(StatusCode::FORBIDDEN, &headers), Some(Blame::Credential));
        assert_eq!(blame_of_answer(StatusCode::NOT_FOUND, &headers), None);
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
            (credential(CredentialError::Refused("invalid_client".into())), Some(Blame::Configuration)),
            (credential(CredentialError::Unavailable("away".into())), Some(Blame::Upstream)),
            (credential(not_its), None),
            (connect, None),
            (EgressError::Timeout { what: Wait::SharedPermit, after: Duration::ZERO }, Some(Blame::Service)),
        ] {
            assert_eq!(to_blame(&error), blame, "{error:?}");
        }
    }
}
