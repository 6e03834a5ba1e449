//! One record per request, however it ends.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_identity::{Lines, Most, SECRET_MASK, excerpt};
use http::{Method, StatusCode};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use crate::error::EgressError;
use crate::secrets::Secrets;
use crate::target::Target;
use crate::{Owner, RequestCharm};

/// Longest path in a record, in bytes; the rest is cut. Paths of real APIs are far shorter.
const PATH_BYTES: usize = 512;

/// Longest method in a record, in bytes. `VERSION-CONTROL` is the longest one registered.
const METHOD_BYTES: usize = 32;

/// How a request ended. Contains no header, query, body or credential. A text that contains a secret known to the guest
/// is replaced by a mask.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Who sent it.
    pub owner: Owner,
    /// The charm that the guest named.
    pub charm: Option<String>,
    /// The method.
    pub method: String,
    /// The destination: scheme, host and port. Empty if the URL could not be parsed.
    pub origin: String,
    /// The path without the query, or the guest's text if it could not be parsed.
    pub path: String,
    /// The grant that covers the request, or the rule or kind of error that refused it.
    pub rule: String,
    /// The gate's decision.
    pub decision: Decision,
    /// The option, or the two options, that would allow what was, or would be, denied.
    pub option: Option<String>,
    /// Whether a credential was attached.
    pub credential: bool,
    /// How often the request was sent again: over a new connection if the server closed the previous one without an
    /// answer, and with a renewed credential. Limits count it as one request.
    pub resent: u32,
    /// The address that answered.
    pub address: Option<SocketAddr>,
    /// The status of the response.
    pub status: Option<StatusCode>,
    /// Bytes of the response's body that arrived.
    pub bytes: u64,
    /// From the guest's request to the end of the response's body.
    pub elapsed: Duration,
    /// The error, if it failed.
    pub error: Option<String>,
}

/// The gate's decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// A grant covers it.
    Allowed,
    /// Refused; nothing was sent.
    Denied,
    /// No grant covers it, but the gate only reports.
    WouldDeny,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::WouldDeny => "would deny",
        })
    }
}

/// Called with each record, from whichever task ends the request; must not block.
pub type AuditHook = Arc<dyn Fn(&AuditRecord) + Send + Sync>;

/// A record under construction. It is written when this is dropped: exactly once, even if the guest's call is
/// cancelled.
pub(crate) struct Audit {
    record: AuditRecord,
    started: Instant,
    ended: bool,
    /// No text of the record may contain these.
    secrets: Arc<Secrets>,
    hook: Option<AuditHook>,
    /// The span of the request in a trace.
    span: Span,
}

impl Audit {
    pub(crate) fn start(owner: Owner, method: &Method, secrets: Arc<Secrets>, hook: Option<AuditHook>) -> Self {
        let method = method.as_str();
        let record = AuditRecord {
            owner,
            charm: None,
            // Checked before it is cut: a truncated secret would not be found.
            method: if secrets.appear_in(method) { SECRET_MASK.to_owned() } else { cut(method, METHOD_BYTES) },
            origin: String::new(),
            path: String::new(),
            rule: String::new(),
            decision: Decision::Denied,
            option: None,
            credential: false,
            resent: 0,
            address: None,
            status: None,
            bytes: 0,
            elapsed: Duration::ZERO,
            error: None,
        };
        let span = info_span!(
            target: "span", "egress", otel.kind = "client", owner = %record.owner, http.request.method = record.method,
            server.address = Empty, url.path = Empty, decision = Empty, http.response.status_code = Empty,
            http.request.resend_count = Empty, error = Empty,
        );
        Self { record, started: Instant::now(), ended: false, secrets, hook, span }
    }

    pub(crate) fn charm(&mut self, charm: Option<&RequestCharm>) {
        self.record.charm = charm.map(|charm| self.secrets.masked(charm.to_string()));
    }

    pub(crate) fn target(&mut self, target: &Target) {
        self.record.origin = self.secrets.masked(target.origin().to_string());
        self.record.path = target.shown_path().map_or_else(|| "/(secret)".to_owned(), |path| cut(path, PATH_BYTES));
    }

    /// The URL could not be parsed: records the text instead, up to its query.
    pub(crate) fn unread(&mut self, text: &str) {
        let start = text.split('?').next().unwrap_or_default();
        self.record.path = excerpt(start, Lines::Escaped, Most::Bytes(PATH_BYTES));
    }

    /// Records the decision.
    pub(crate) fn decided(&mut self, decision: Decision, rule: String, option: Option<String>) {
        self.record.decision = decision;
        self.record.rule = self.secrets.masked(rule);
        self.record.option = option.map(|option| self.secrets.masked(option));
    }

    pub(crate) fn with_credential(&mut self) {
        self.record.credential = true;
    }

    /// Records that the request is sent again.
    pub(crate) fn resent(&mut self) {
        self.record.resent += 1;
    }

    pub(crate) fn answered(&mut self, address: Option<SocketAddr>, status: StatusCode) {
        self.record.address = address;
        self.record.status = Some(status);
    }

    pub(crate) fn received(&mut self, bytes: u64) {
        self.record.bytes = bytes;
    }

    /// Records that the response ended without an error.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Records the error.
    pub(crate) fn fail(&mut self, error: &EgressError) {
        self.ended = true;
        self.record.error = Some(self.secrets.masked(error.to_string()));
        if error.is_refusal() {
            self.record.decision = Decision::Denied;
            self.record.option = error.option().map(|option| self.secrets.masked(option.to_owned()));
            self.record.rule = match error {
                EgressError::Denied { rule, .. } => rule.to_string(),
                EgressError::Address { what, .. } => (*what).to_owned(),
                other => other.kind().to_owned(),
            };
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Self { record, started, ended, hook, span, .. } = self;
        record.elapsed = started.elapsed();
        if !*ended && record.error.is_none() {
            record.error = Some("ended early by the guest".to_owned());
        }
        write(record);
        span.record("server.address", &record.origin);
        span.record("url.path", &record.path);
        span.record("decision", display(&record.decision));
        span.record("http.response.status_code", record.status.map(|status| status.as_u16()));
        span.record("http.request.resend_count", (record.resent > 0).then_some(record.resent));
        span.record("error", record.error.as_deref());
        if let Some(hook) = hook {
            hook(record);
        }
    }
}

/// Every value here is either our own or safe to show: the path and origin of a URL, a method, the name of a charm.
fn write(record: &AuditRecord) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                target: "egress",
                owner = %record.owner,
                charm = record.charm.as_deref(),
                method = record.method,
                origin = record.origin,
                path = record.path,
                rule = record.rule,
                decision = %record.decision,
                option = record.option.as_deref(),
                credential = record.credential,
                resent = (record.resent > 0).then_some(record.resent),
                address = record.address.map(tracing::field::display),
                status = record.status.map(|status| status.as_u16()),
                bytes = record.bytes,
                ms = u64::try_from(record.elapsed.as_millis()).unwrap_or(u64::MAX),
                error = record.error.as_deref(),
                "{}: {} {}{}",
                record.decision,
                record.method,
                record.origin,
                record.path,
            )
        };
    }
    match record.decision {
        Decision::Allowed => event!(info),
        Decision::Denied | Decision::WouldDeny => event!(warn),
    }
}

/// The first `bytes` bytes of a text, cut at a character boundary.
fn cut(text: &str, bytes: usize) -> String {
    match &text[..text.floor_char_boundary(bytes)] {
        start if start.len() < text.len() => format!("{start}…"),
        whole => whole.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_of_guests_are_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc…");
        assert_eq!(cut("abéd", 3), "ab…");
    }

    #[test]
    fn a_record_is_written_once_even_if_the_request_was_never_ended() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = seen.clone();
        let hook: AuditHook = Arc::new(move |record| kept.lock().unwrap().push(record.error.clone()));
        let mut audit = Audit::start(Owner::Charms, &Method::GET, Arc::default(), Some(hook.clone()));
        audit.end();
        drop(audit);
        drop(Audit::start(Owner::Charms, &Method::GET, Arc::default(), Some(hook)));
        assert_eq!(*seen.lock().unwrap(), [None, Some("ended early by the guest".to_owned())]);
    }
}
