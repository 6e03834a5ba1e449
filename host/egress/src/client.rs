//! One owner's way through the gate.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bg_manifest::{AskedHttp, CredentialPath, EffectiveGrant};
use bytes::Bytes;
use http::Method;
use http_body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
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
use crate::{Owner, budget, route, tls};

/// How long an unused connection is kept: longer than the shortest usual poll interval (20 s), so that it serves the next
/// poll, too.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Unused connections to one origin. More would hardly be used again.
const IDLE_CONNECTIONS: usize = 4;

pub(crate) type HttpClient = Client<Connector, RequestBody>;

/// Whose client it is and what it may do.
pub struct ClientOptions {
    /// For whom.
    pub owner: Owner,
    /// What it may ask for; nothing by default.
    pub grants: Vec<EffectiveGrant>,
    /// What its manifest asks for, so that a denial can say whether an option would help. None for charms, and where it is not
    /// known.
    pub asked: Option<Vec<AskedHttp>>,
    /// Where the credentials come from that its grants name. Without it, requests for one fail.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Its limits.
    pub limits: HttpLimits,
}

impl ClientOptions {
    /// A client that may do nothing yet.
    pub fn new(owner: Owner) -> Self {
        Self { owner, grants: Vec::new(), asked: None, credentials: None, limits: HttpLimits::default() }
    }
}

/// One owner's way through the gate: its grants, its connections and its TLS sessions. Clones share them.
#[derive(Clone)]
pub struct GateClient(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) gate: Arc<Shared>,
    pub(crate) granted: Granted,
    pub(crate) credentials: Option<Arc<dyn CredentialSource>>,
    pub(crate) limits: HttpLimits,
    /// For requests under way, in all calls.
    pub(crate) places: Arc<Semaphore>,
    /// For hosts that the operator named: keeps connections for the next request.
    pub(crate) http: HttpClient,
    /// For all others: makes a connection for each request, and closes it after that, since a guest may send to any number of hosts, and the
    /// process has only so many sockets.
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
    pub credential: Option<CredentialPath>,
}

impl fmt::Debug for GateClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateClient")
            .field("owner", &self.0.granted.owner)
            .field("grants", &self.0.granted.grants)
            .field("limits", &self.0.limits)
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
        let places = budget::places(limits.concurrent_per_owner);
        Ok(Self(Arc::new(Inner { gate, granted, credentials, limits, places, http, http_closing })))
    }

    /// For whom it is.
    pub fn owner(&self) -> &Owner {
        &self.0.granted.owner
    }

    /// What it may ask for.
    pub fn grants(&self) -> &[EffectiveGrant] {
        &self.0.granted.grants
    }

    /// Its limits.
    pub fn limits(&self) -> &HttpLimits {
        &self.0.limits
    }

    /// The budget of a call that ends at `deadline` (a `std` or a `tokio` instant).
    pub fn budget(&self, deadline: impl Into<Instant>) -> CallBudget {
        CallBudget::new(&self.0.limits, deadline)
    }

    /// What would become of a request, as far as that can be said without looking a name up or sending anything. An error is
    /// a refusal.
    pub fn check(&self, method: &Method, url: &str) -> Result<Verdict, EgressError> {
        let Inner { gate, granted, limits, .. } = &*self.0;
        let target = Target::parse(url, limits)?;
        let Admitted { decision, rule, option, credential, .. } = granted.admit(gate, method, &target)?;
        route::check_known(gate, &target)?;
        Ok(Verdict { decision, rule, option, credential })
    }

    /// Sends a request of the guest's, within what is left of the call's `budget`.
    ///
    /// The response's body counts on: it ends with an error at its limits, and holds one of the budget's places until its end
    /// or until it is dropped. Dropping the future cancels the request. It must be polled within a tokio runtime.
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
                // One line says it; a guest that goes on asking gets no more of the log.
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
                    let error = budget.secrets().veiled_error(error, &method);
                    audit.fail(&error);
                    Err(error)
                }
            }
        };
        // Whoever polls this may be a task of its own.
        sending.in_current_span()
    }
}

impl Inner {
    fn audit(&self, method: &Method, budget: &CallBudget) -> Audit {
        Audit::start(self.granted.owner.clone(), method, budget.secrets().clone(), self.gate.audit.clone())
    }
}

/// The HTTP client of one owner, which keeps at most `idle` unused connections to one origin. It follows no redirects, keeps no cookies, and
/// knows of no proxies.
fn http_client(connector: Connector, limits: &HttpLimits, idle: usize) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(idle)
        // Only what the connection that was lost has not seen; `exchange` decides of the rest.
        .retry_canceled_requests(true)
        .http1_max_headers(limits.response_headers)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http2_max_header_list_size(u32::try_from(limits.response_header_bytes).unwrap_or(u32::MAX))
        .build(connector)
}
