//! One owner's client of the gate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bg_manifest::{AskedHttp, Credential, EffectiveGrant};
use bytes::Bytes;
use http::Method;
use http_body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::audit::{Audit, Decision};
use crate::body::{RequestBody, ResponseBody};
use crate::budget::CallBudget;
use crate::connect::Connector;
use crate::credential::CredentialSource;
use crate::error::{BoxError, EgressError};
use crate::grants::{Admitted, Granted};
use crate::limits::{HttpLimits, RequestOptions};
use crate::shared::{GateError, Shared};
use crate::target::Target;
use crate::turns::{Purpose, Turns};
use crate::{Owner, route, tls};

/// How long an idle connection is kept: longer than the shortest usual poll interval (20 s), so that the next poll can
/// reuse it.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Idle connections per origin. More would rarely be reused.
const IDLE_CONNECTIONS: usize = 4;

pub(crate) type HttpClient = Client<Connector, RequestBody>;

/// Whose client it is and what it may do.
pub struct ClientOptions {
    /// Who sends the requests.
    pub owner: Owner,
    /// What it may request; nothing by default.
    pub grants: Vec<EffectiveGrant>,
    /// What its manifest asks for, so that a denial can say whether an option would help. `None` for charms, and if the
    /// manifest is not known.
    pub asked: Option<Vec<AskedHttp>>,
    /// The source of the credentials that its grants name. Without one, requests that need a credential fail.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Its limits.
    pub limits: HttpLimits,
}

impl ClientOptions {
    /// Options of a client that may do nothing yet.
    pub fn new(owner: Owner) -> Self {
        Self { owner, grants: Vec::new(), asked: None, credentials: None, limits: HttpLimits::default() }
    }
}

/// One owner's client of the gate, with its own grants, connections and TLS sessions. Clones share them.
#[derive(Clone)]
pub struct GateClient(Arc<Inner>, Purpose);

pub(crate) struct Inner {
    pub(crate) gate: Arc<Shared>,
    pub(crate) granted: Granted,
    pub(crate) credentials: Option<Arc<dyn CredentialSource>>,
    pub(crate) limits: HttpLimits,
    /// Permits for requests in flight, shared by all calls.
    pub(crate) permits: Arc<Turns>,
    /// For hosts that the operator named: keeps connections for later requests.
    pub(crate) http: HttpClient,
    /// For all other hosts: opens a connection for each request and closes it afterwards, since a guest may send to any
    /// number of hosts, and sockets are limited.
    pub(crate) http_closing: HttpClient,
}

/// What the gate would do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it would be sent.
    pub decision: Decision,
    /// The grant that covers it, or why none does.
    pub rule: String,
    /// The option that would cover it.
    pub option: Option<String>,
    /// Where a credential would come from.
    pub credential: Option<Credential>,
}

impl fmt::Debug for GateClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateClient")
            .field("owner", &self.0.granted.owner)
            .field("grants", &self.0.granted.grants)
            .field("limits", &self.0.limits)
            .field("purpose", &self.1)
            .finish_non_exhaustive()
    }
}

impl GateClient {
    pub(crate) fn new(gate: Arc<Shared>, options: ClientOptions) -> Result<Self, GateError> {
        let ClientOptions { owner, grants, asked, credentials, limits } = options;
        let granted = Granted { owner, grants, asked };
        let connector = Connector::new(Arc::new(tls::config(&gate.extra_roots)?));
        let http = http_client(connector.clone(), &limits, IDLE_CONNECTIONS);
        let http_closing = http_client(connector, &limits, 0);
        let permits = Turns::new(limits.concurrent_per_owner);
        // A component is called for polls only.
        let purpose = if granted.owner == Owner::Charms { Purpose::Other } else { Purpose::Poll };
        let inner = Inner { gate, granted, credentials, limits, permits, http, http_closing };
        Ok(Self(Arc::new(inner), purpose))
    }

    /// The same client, for calls that are part of polls: some of the permits are for them only.
    #[must_use]
    pub fn for_polls(&self) -> Self {
        Self(Arc::clone(&self.0), Purpose::Poll)
    }

    /// Who sends the requests.
    pub fn owner(&self) -> &Owner {
        &self.0.granted.owner
    }

    /// What it may request.
    pub fn grants(&self) -> &[EffectiveGrant] {
        &self.0.granted.grants
    }

    /// Its limits.
    pub fn limits(&self) -> &HttpLimits {
        &self.0.limits
    }

    /// The budget of a call that ends at `deadline` (a `std` or a `tokio` instant).
    pub fn budget(&self, deadline: impl Into<Instant>) -> CallBudget {
        CallBudget::new(&self.0.limits, deadline).for_purpose(self.1)
    }

    /// What the gate would decide about a request, as far as that is known without looking up a name or sending
    /// anything. An error is a refusal.
    pub fn check(&self, method: &Method, url: &str) -> Result<Verdict, EgressError> {
        let Inner { gate, granted, limits, .. } = &*self.0;
        let target = Target::parse(url, limits)?;
        let Admitted { decision, rule, option, credential, .. } = granted.admit(gate, method, &target)?;
        route::check_known(gate, &target)?;
        Ok(Verdict { decision, rule, option, credential })
    }

    /// Sends a guest's request, within the rest of the call's `budget`.
    ///
    /// The response's body is limited too: it ends with an error at its limits, and holds the request's permits until
    /// it ends or is dropped. Dropping the future cancels the request. It must be polled within a tokio runtime.
    pub fn send<B>(
        &self,
        request: http::Request<B>,
        budget: &CallBudget,
        options: RequestOptions,
    ) -> impl Future<Output = Result<http::Response<ResponseBody>, EgressError>> + Send + 'static + use<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (inner, budget) = (self.0.clone(), budget.clone());
        let sending = async move {
            if let Err(over) = budget.count() {
                let error = EgressError::Budget { limit: over.limit };
                // Logged once: a guest that keeps sending gets no more lines in the log.
                if over.first {
                    inner.audit(request.method(), &budget).fail(&error);
                }
                return Err(error);
            }
            let method = request.method().clone();
            let mut audit = inner.audit(&method, &budget);
            match inner.exchange(request, &budget, options, &mut audit).await {
                Ok(exchanged) => exchanged.finish(audit, &inner.limits),
                Err(error) => {
                    let error = budget.secrets().masked_error(error, &method);
                    audit.fail(&error);
                    Err(error)
                }
            }
        };
        // The future may be polled by another task.
        sending.in_current_span()
    }
}

impl Inner {
    fn audit(&self, method: &Method, budget: &CallBudget) -> Audit {
        Audit::start(self.granted.owner.clone(), method, budget.secrets().clone(), self.gate.audit.clone())
    }
}

/// The HTTP client of one owner, which keeps at most `idle` idle connections per origin. It follows no redirects, keeps
/// no cookies, and uses no proxies.
fn http_client(connector: Connector, limits: &HttpLimits, idle: usize) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(idle)
        // Retries only what the lost connection has not seen; `exchange` decides about everything else.
        .retry_canceled_requests(true)
        .http1_max_headers(limits.response_headers)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http2_max_header_list_size(u32::try_from(limits.response_header_bytes).unwrap_or(u32::MAX))
        .build(connector)
}
