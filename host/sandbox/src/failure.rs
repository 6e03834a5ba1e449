//! Why a call failed, as an [`OutcomeKind`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_identity::units::Seconds;
use bg_identity::{Secret, mask};
use bg_poller::{Blame, Cause, FailedServer, IntegrationError, Outcome, OutcomeKind, Servers};
use http::StatusCode;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::observer::Effort;
use crate::store_limits::StoreLimits;
use crate::text;

/// The longest guest text kept in a failure, in bytes.
const MESSAGE_BYTES: usize = 4 * 1024;
/// The longest stack trace kept, in bytes.
const STACK_BYTES: usize = 16 * 1024;
/// The longest function name in a stack trace, in bytes.
const FUNCTION_BYTES: usize = 120;

/// wasmtime's messages for a store over its limits, where it has no error type for that. The test
/// `limits_are_recognized_by_wasmtimes_messages` checks them against its version.
const LIMIT_WORDS: [&str; 4] = [
    "fuel allocated for hostcalls has been exhausted",
    "store handle limit exceeded",
    "resource limit exceeded",
    "total size of fields exceeds limit",
];

/// Why a component call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct CallFailure {
    /// How the call ended.
    pub kind: OutcomeKind,
    /// What exactly was the cause, if it is not the usual one of the kind.
    pub cause: Option<Cause>,
    /// The server because of which it failed.
    pub server: Option<FailedServer>,
    /// What happened, for people. Safe to show: text from the guest is escaped and cut.
    pub message: String,
    /// Where in the guest: one frame per line, innermost first.
    pub stack: Option<String>,
}

/// A host function refused what a guest asked for, and ended the call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitHit(pub(crate) String);

/// The call is over its deadline. Raised while the guest computes; while the host works for it, a timer ends the call.
#[derive(Debug, thiserror::Error)]
#[error("out of time")]
pub(crate) struct OutOfTime;

/// A request that the gate refused, that failed, or that a server answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What exactly is wrong.
    pub(crate) cause: Cause,
    /// What was refused or failed, and why.
    pub(crate) text: String,
    /// The host that answered, and the status, if there was an answer.
    pub(crate) answered: Option<(Arc<str>, StatusCode)>,
    /// The server, if others may wait for it as well.
    pub(crate) server: Option<FailedServer>,
}

impl Refusal {
    /// The outcome of a call that ends because of it.
    pub(crate) fn kind(&self) -> OutcomeKind {
        match (self.cause, self.cause.blame()) {
            (_, Blame::Upstream | Blame::Service | Blame::Runtime)
            | (Cause::CharmBusy | Cause::CharmSlow | Cause::SpaceDamaged, _) => OutcomeKind::Unavailable,
            (Cause::Damaged, _) => OutcomeKind::Invalid,
            _ => OutcomeKind::Denied,
        }
    }
}

/// What a call waits for that has sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// For that server's answer, or the rest of it.
    Server {
        /// Its name, for people.
        host: String,
        /// It, if others may wait for it as well.
        server: Option<FailedServer>,
    },
    /// For the gate to have room: other calls send too many.
    Room,
}

/// How the requests of a call are related to the error that its guest returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Explanation {
    /// Not at all.
    None,
    /// The error comes from this one.
    Cause(Refusal),
    /// This was refused before, but the error is the guest's own.
    Before(String),
}

/// The error that a guest itself returned.
pub(crate) struct GuestError {
    /// [`OutcomeKind::HandlerFailed`], or [`OutcomeKind::Unavailable`] for a temporary error.
    pub(crate) kind: OutcomeKind,
    pub(crate) message: String,
    pub(crate) stack: Option<String>,
}

impl CallFailure {
    pub(crate) fn new(kind: OutcomeKind, message: impl Into<String>) -> Self {
        Self { kind, cause: None, server: None, message: message.into(), stack: None }
    }

    /// For a call of a charm: deep nesting in its program fills the stack of the engine that runs it, which is not the
    /// engine's fault.
    pub(crate) fn of_charm(self) -> Self {
        if self.kind != OutcomeKind::Trapped || !self.message.ends_with(&Trap::StackOverflow.to_string()) {
            return self;
        }
        let (function, _) = self.message.split_once(':').unwrap_or_default();
        let message = format!("{function} nested calls, or went through nested values, deeper than its stack allows");
        Self { kind: OutcomeKind::LimitExceeded, message, stack: None, ..self }
    }

    /// The call took longer than `limit`: its own fault, unless it waits for something, or got no processor.
    pub(crate) fn timeout(function: &str, limit: Duration, waits_for: Option<Awaited>, effort: &Effort) -> Self {
        let text = format!("{function} took longer than {}", Seconds(limit));
        match waits_for {
            Some(Awaited::Server { host, server }) => {
                let text = format!("{text}, and {host} had not answered its request in full");
                Self { cause: Some(Cause::ComponentWaited), server, ..Self::new(OutcomeKind::Timeout, text) }
            }
            Some(Awaited::Room) => {
                let text = format!("{text}, and there had been no room for its request");
                Self { cause: Some(Cause::NoRoomForRequest), ..Self::new(OutcomeKind::Unavailable, text) }
            }
            None if effort.was_starved(limit, Instant::now()) => {
                let text = format!("{text}, and had a processor for {} ms of it", effort.computed().as_millis());
                Self { cause: Some(Cause::NoProcessor), ..Self::new(OutcomeKind::Unavailable, text) }
            }
            None => Self::new(OutcomeKind::Timeout, text),
        }
    }

    /// The guest returned an error. If it comes from a request of this call, the same party is to blame for both.
    /// Secrets are masked before the text is escaped and cut: a secret that was cut or escaped would no longer be
    /// recognized.
    pub(crate) fn guest(error: GuestError, explanation: Explanation, secrets: &[Secret]) -> Self {
        let GuestError { mut kind, message, stack } = error;
        let mut message = text::one_line(&mask(&message, secrets), MESSAGE_BYTES);
        let (mut cause, mut server) = (None, None);
        match explanation {
            Explanation::None => {}
            Explanation::Cause(refusal) => {
                // The error may say the same: which server it was, and its status.
                let says = |(host, status): &(Arc<str>, StatusCode)| {
                    message.contains(&**host) && message.contains(status.as_str())
                };
                if !refusal.answered.as_ref().is_some_and(says) {
                    message = format!("{message} ({})", refusal.text);
                }
                if kind == OutcomeKind::HandlerFailed {
                    kind = refusal.kind();
                }
                (cause, server) = (Some(refusal.cause), refusal.server);
            }
            Explanation::Before(text) => message = format!("{message} (before that: {text})"),
        }
        Self {
            kind,
            cause,
            server,
            message,
            stack: stack.map(|stack| text::lines(&mask(&stack, secrets), STACK_BYTES)),
        }
    }

    /// Of a temporary error that no request explains: the server that failed last may be the reason.
    pub(crate) fn perhaps_of(mut self, server: Option<FailedServer>) -> Self {
        if self.kind == OutcomeKind::Unavailable && self.cause.is_none() {
            self.server = server;
        }
        self
    }

    /// The call ended without an answer.
    pub(crate) fn of_error(function: &str, error: &wasmtime::Error, limits: &StoreLimits, secrets: &[Secret]) -> Self {
        if let Some(limit) = limits.refused_memory() {
            let message = format!("{function} wanted more than {} MiB of memory", limit >> 20);
            return Self::new(OutcomeKind::OutOfMemory, message);
        }
        if let Some(limit) = limits.refused_elements() {
            let message = format!("{function} wanted tables of more than {limit} elements");
            return Self::new(OutcomeKind::LimitExceeded, message);
        }
        // It may quote what the guest passed to the host.
        let cause = text::one_line(&mask(&error.root_cause().to_string(), secrets), MESSAGE_BYTES);
        let kind = if is_over_a_limit(error) {
            OutcomeKind::LimitExceeded
        } else if error.is::<PoolConcurrencyLimitError>() {
            OutcomeKind::Unavailable
        } else {
            OutcomeKind::Trapped
        };
        let message = match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(status)) => format!("{function} ended the program, with status {status}"),
            None => format!("{function}: {cause}"),
        };
        // The pool has no room: the program is at its limits, not the component.
        let cause = (kind == OutcomeKind::Unavailable).then_some(Cause::NoRoomForCall);
        Self { kind, cause, server: None, message, stack: error.downcast_ref::<WasmBacktrace>().and_then(stack) }
    }
}

fn is_over_a_limit(error: &wasmtime::Error) -> bool {
    if error.is::<Trap>() {
        return false;
    }
    error.is::<LimitHit>()
        || matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || error.chain().any(|cause| {
            let words = cause.to_string();
            LIMIT_WORDS.iter().any(|known| words.contains(known))
        })
}

/// The names of the functions on the stack. A guest chooses them.
fn stack(backtrace: &WasmBacktrace) -> Option<String> {
    let names = backtrace.frames().iter().map(|frame| match frame.func_name() {
        Some(name) => text::one_line(name, FUNCTION_BYTES),
        None => format!("function {}", frame.func_index()),
    });
    let stack = names.collect::<Vec<_>>().join("\n");
    (!stack.is_empty()).then_some(stack)
}

impl From<CallFailure> for IntegrationError {
    fn from(failure: CallFailure) -> Self {
        let CallFailure { kind, cause, server, message, .. } = failure;
        let cause = match cause {
            None => Cause::of_component(kind),
            // A request breaks a rule for all guests: the component chose to send it.
            Some(Cause::NeverAllowed) => Cause::ComponentNeverAllowed,
            Some(cause) => cause,
        };
        Self { kind, cause, server, message }
    }
}

/// For a charm's handler.
impl From<CallFailure> for Outcome {
    fn from(failure: CallFailure) -> Self {
        let CallFailure { kind, cause, server, message, stack } = failure;
        // Its time ended while a server did not answer, which is no fault of the charm.
        let (kind, cause) = match cause {
            Some(Cause::ComponentWaited) => (OutcomeKind::Unavailable, Some(Cause::TooSlow)),
            cause => (kind, cause.or_else(|| Cause::of_handler(kind))),
        };
        let servers = Servers { failed: server, ..Servers::default() };
        let outcome = Self::failure(kind, message).with_stack(stack).with_servers(servers);
        cause.into_iter().fold(outcome, Self::caused_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_error() -> GuestError {
        let kind = OutcomeKind::HandlerFailed;
        GuestError { kind, message: "fetch failed\u{1b}".into(), stack: Some("at a\nat b\u{202e}".into()) }
    }

    #[test]
    fn the_text_of_a_guest_is_escaped() {
        let failure = CallFailure::guest(guest_error(), Explanation::None, &[]);
        assert_eq!(failure.kind, OutcomeKind::HandlerFailed);
        assert_eq!(failure.to_string(), "HandlerFailed: fetch failed\\u{1b}");
        assert_eq!(failure.stack.as_deref(), Some("at a\nat b\\u{202e}"));
    }

    #[test]
    fn a_denied_request_is_reported_as_the_reason() {
        let refused = Refusal {
            cause: Cause::NotGranted,
            text: "GET https://a.example/ is not granted".into(),
            answered: None,
            server: None,
        };
        let failure = CallFailure::guest(guest_error(), Explanation::Cause(refused.clone()), &[]);
        assert_eq!((failure.kind, failure.cause), (OutcomeKind::Denied, Some(Cause::NotGranted)));
        assert!(failure.message.ends_with("(GET https://a.example/ is not granted)"));
        // The guest caught it, and fails with a different error.
        let failure = CallFailure::guest(guest_error(), Explanation::Before(refused.text), &[]);
        assert_eq!((failure.kind, failure.cause), (OutcomeKind::HandlerFailed, None));
        assert!(failure.message.ends_with("(before that: GET https://a.example/ is not granted)"));
    }

    #[test]
    fn an_outcome_names_the_server_and_its_status_once() {
        for (message, appended) in
            [("status 403", true), ("a.example does not want it", true), ("a.example says 403", false)]
        {
            let refused = Refusal {
                cause: Cause::Forbidden,
                text: "a.example answered 403 Forbidden".into(),
                answered: Some(("a.example".into(), StatusCode::FORBIDDEN)),
                server: None,
            };
            let error = GuestError { message: message.into(), ..guest_error() };
            let failure = CallFailure::guest(error, Explanation::Cause(refused), &[]);
            let expected =
                if appended { format!("{message} (a.example answered 403 Forbidden)") } else { message.into() };
            assert_eq!(failure.message, expected);
        }
    }

    #[test]
    fn a_temporary_error_stays_temporary() {
        let error = GuestError { kind: OutcomeKind::Unavailable, ..guest_error() };
        let refused = Refusal { cause: Cause::NotGranted, text: "not granted".into(), answered: None, server: None };
        let failure = CallFailure::guest(error, Explanation::Cause(refused), &[]);
        // It still waits for the grant.
        assert_eq!((failure.kind, failure.cause), (OutcomeKind::Unavailable, Some(Cause::NotGranted)));
    }

    #[test]
    fn a_secret_is_masked_before_the_text_around_it_is_escaped_and_cut() {
        let token = "ya29.".repeat(10);
        let key = "-----BEGIN KEY-----\nMIIE\n-----END KEY-----";
        let secrets = [token.as_str(), key].map(|text| Secret::new(text.to_owned()));
        let upto = |bytes: usize| format!("{key} {}{token}", "x".repeat(bytes - key.len() - token.len()));
        let error =
            GuestError { message: upto(MESSAGE_BYTES + 1), stack: Some(upto(STACK_BYTES + 1)), ..guest_error() };
        let failure = CallFailure::guest(error, Explanation::None, &secrets);
        for text in [failure.message, failure.stack.unwrap()] {
            assert!(text.starts_with("(secret) x") && text.ends_with("x(secret)"), "{text}");
        }
    }

    #[test]
    fn times_are_written_for_people() {
        for (millis, text) in [(5000, "5 s"), (1500, "1500 ms"), (1, "1 ms")] {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn a_call_that_never_had_a_processor_is_not_to_blame_for_its_time() {
        let starved = CallFailure::timeout("handle", Duration::from_mins(1), None, &Effort::default());
        assert_eq!(
            (starved.kind, starved.cause, &*starved.message),
            (
                OutcomeKind::Unavailable,
                Some(Cause::NoProcessor),
                "handle took longer than 60 s, and had a processor for 0 ms of it"
            )
        );
        let failure = CallFailure::timeout("handle", Duration::from_millis(50), None, &Effort::default());
        assert_eq!((failure.kind, failure.cause), (OutcomeKind::Timeout, None));
        assert_eq!(IntegrationError::from(starved).cause.blame(), Blame::Service);
    }
}
