//! Options of the server, and their defaults.

use std::time::Duration;

use bg_charm_api::TraceContext;
use bg_charm_runtime::MAX_SOURCES;
use bg_identity::IntegrationId;

use crate::admission::limits::AdmissionLimits;
use crate::login::{LoginSessions, LoginToken};
use crate::origins::AllowedOrigin;
use crate::tls::Tls;

/// Who may register charms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationPolicy {
    /// Anybody, also by unsigned requests, as in the original.
    #[default]
    Open,
    /// Owners of the charm's space, by a signed request; and the operator.
    Signed,
    /// The operator alone.
    Closed,
}

/// Options of a server: limits, names, and who may do what.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Host names, without a port, by which clients may address this server, in addition to `localhost`, loopback
    /// addresses and the address it listens on. Requests to other names are refused: they may come from a page whose
    /// name was pointed at this server (DNS rebinding), or be signed for another server.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may register charms, in addition to this server's. On a loopback address, pages from this
    /// machine may, too.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Who may register charms.
    pub registration: RegistrationPolicy,
    /// The integrations for which charms may be registered; all if empty.
    pub integrations: Vec<IntegrationId>,
    /// The certificate for TLS.
    pub tls: Option<Tls>,
    /// Whether a proxy in front terminates TLS. Its `X-Forwarded-For` and `X-Forwarded-Proto` are trusted, so nobody
    /// else may reach the server.
    pub behind_proxy: bool,
    /// Reads the trace context from requests; disabled by default.
    pub trace_context: TraceContext,
    /// The operator's login token; random by default.
    pub login_token: Option<LoginToken>,
    /// Login sessions of an earlier process; none by default.
    pub login_sessions: LoginSessions,
    /// Limits on what clients may take.
    pub limits: AdmissionLimits,
    /// How long a client may take to send a request's header, and how long a connection may be idle between requests.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a request waits if its client has used up its share.
    pub place_timeout: Duration,
    /// How long a client may take to accept the next part of a response.
    pub write_timeout: Duration,
    /// How long a shutdown waits for requests under way.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    /// Anybody registers, from this machine's pages; no TLS. 30 s for a header, a body and each write; 10 s for a turn
    /// and for draining.
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

/// The largest body of a request about accounts: a token, or the query of a redirect.
pub(crate) const ACCOUNT_BODY: usize = 64 * 1024;

/// The largest body of a form.
pub(crate) const FORM_BODY: usize = 4 * 1024;

/// The largest body of a deployment: the longest sources as JSON, and initial values.
pub(crate) const DEPLOY_BODY: usize = 2 * MAX_SOURCES;

/// The largest body of a request that sets a value.
pub(crate) const VALUE_BODY: usize = 4 * 1024 * 1024;

/// The largest report of a poll loop. One integration takes 0.4 MB at most, a failing charm 300 bytes; a loop with more
/// splits its report.
pub(crate) const REPORT_BODY: usize = 4 * 1024 * 1024;

/// The largest body of any other request that has one.
pub(crate) const BODY: usize = 1024 * 1024;

/// The limit for requests without a body.
pub(crate) const NO_BODY: usize = 0;

/// Bodies up to this size need no share of `server-large-bodies`: 16 MiB if all 256 connections send one.
pub(crate) const SMALL_BODY: usize = 64 * 1024;

/// A request's header, with the part of the body that came along.
pub(crate) const HEADER: usize = 64 * 1024;
