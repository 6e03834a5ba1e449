//! What can be set, and the limits that hold unless it is.

use std::time::Duration;

use bg_charm_api::TraceContext;
use bg_identity::IntegrationId;

use crate::admission::limits::AdmissionLimits;
use crate::login::{LoginSessions, LoginToken};
use crate::origins::AllowedOrigin;
use crate::tls::Tls;

/// Who may register charms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Anybody, as the original allows: also by a request that is not signed.
    #[default]
    Open,
    /// Whoever owns the charm's space, by a signed request; and the operator.
    Signed,
    /// The operator alone.
    Closed,
}

/// Limits of a server, and the names by which it may be called.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Host names, without a port, under which clients may address this server, beside `localhost`, loopback addresses and the
    /// address it listens on. A request to any other is refused: it may come from a page whose name was pointed at this server
    /// (DNS rebinding), or be a signed request that was meant for another server.
    pub allowed_hosts: Vec<String>,
    /// Pages of which origins may register charms, beside those of this server itself; on a loopback address, pages that come from this
    /// machine may as well.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Who may register charms.
    pub registration: RegistrationPolicy,
    /// The integrations for which charms may be registered; all, if there are none here.
    pub integrations: Vec<IntegrationId>,
    /// The certificate, if it is to speak TLS itself.
    pub tls: Option<Tls>,
    /// Whether a proxy in front speaks TLS. It is believed who the client is (`X-Forwarded-For`, `X-Forwarded-Proto`), so nobody else may reach
    /// the server.
    pub behind_proxy: bool,
    /// What reads the context of traces from requests; nothing does by default.
    pub trace_context: TraceContext,
    /// What lets the operator in; a random one, if none is given.
    pub login_token: Option<LoginToken>,
    /// Sessions that were begun with it before. None.
    pub login_sessions: LoginSessions,
    /// How much clients may take.
    pub limits: AdmissionLimits,
    /// How long a client may take to send a request's header, and how long a connection may be idle between requests.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a request waits for a place, if all that its client may have are taken.
    pub place_timeout: Duration,
    /// How long a client may take to accept the next part of an answer.
    pub write_timeout: Duration,
    /// How long a shutdown waits for requests that are being answered.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    /// Anybody registers, from this machine's pages; no TLS. 30 s for a header, a body and each write; 10 s for a place and to drain.
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            registration: RegistrationPolicy::Open,
            integrations: Vec::new(),
            tls: None,
            behind_proxy: false,
            trace_context: TraceContext::default(),
            login_token: None,
            login_sessions: LoginSessions::default(),
            limits: AdmissionLimits::default(),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            place_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The largest body of a request about registrations: one entry takes about 200 bytes.
pub(crate) const REGISTRATION_BODY: usize = 64 * 1024;

/// The largest body of a form.
pub(crate) const FORM_BODY: usize = 4 * 1024;

/// The largest body of a deployment: a source file and initial values.
pub(crate) const DEPLOY_BODY: usize = 4 * 1024 * 1024;

/// The largest body of a request that sets a value: as large as one that a charm is deployed with.
pub(crate) const VALUE_BODY: usize = DEPLOY_BODY;

/// What a poll loop reports. One integration takes 0.4 MB at most, a failing charm 300 bytes; a loop with more reports them one after the other.
pub(crate) const REPORT_BODY: usize = DEPLOY_BODY;

/// The largest body of any other request that has one.
pub(crate) const BODY: usize = 1024 * 1024;

/// The limit of requests that have none.
pub(crate) const NO_BODY: usize = 0;

/// A body up to this size is received whatever others there are: 16 MiB, if all 256 connections send one.
pub(crate) const SMALL_BODY: usize = 64 * 1024;

/// A request's header, together with what of its body came along.
pub(crate) const HEADER: usize = 64 * 1024;
