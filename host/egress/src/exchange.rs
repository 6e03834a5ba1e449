//! One request, from the guest to the head of its response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::{Instant, timeout};

use crate::attached::Attached;
use crate::audit::Audit;
use crate::body::{Copied, RequestBody, ResponseBody, Times};
use crate::budget::{CallBudget, Permit, Progress, Stage};
use crate::charm::RequestCharm;
use crate::client::{HttpClient, Inner};
use crate::connect::ConnectionState;
use crate::credential::NotRenewed;
use crate::error::{BoxError, EgressError, Rule, Wait};
use crate::grants::Admitted;
use crate::limits::{HttpLimits, RequestOptions};
use crate::resolve::{PINNED, Pinned};
use crate::secrets::Secrets;
use crate::target::Target;
use crate::{failure, headers, route};

/// A response whose head has arrived, with everything its body needs.
pub(crate) struct Exchanged {
    status: StatusCode,
    version: http::Version,
    headers: HeaderMap,
    body: Incoming,
    origin: String,
    times: Times,
    permit: Permit,
    not_renewed: Option<NotRenewed>,
}

impl Exchanged {
    pub(crate) fn finish(self, audit: Audit, limits: &HttpLimits) -> Result<http::Response<ResponseBody>, EgressError> {
        let Self { status, version, headers, body, origin, times, permit, not_renewed } = self;
        let body = ResponseBody::new(body, audit, origin, limits.clone(), times, permit)?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = version;
        *response.headers_mut() = headers;
        if let Some(not_renewed) = not_renewed {
            response.extensions_mut().insert(not_renewed);
        }
        Ok(response)
    }
}

impl Inner {
    /// Makes all checks in order, and then sends the request.
    pub(crate) async fn exchange<B>(
        &self,
        request: http::Request<B>,
        budget: &CallBudget,
        options: RequestOptions,
        audit: &mut Audit,
    ) -> Result<Exchanged, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let named = headers::take_charm(&mut parts.headers);
        let charm = match budget.charm() {
            Some(charm) => Ok(Some(RequestCharm::Known(Arc::clone(charm)))),
            None => named.map(|named| named.map(RequestCharm::Named)),
        };
        audit.charm(charm.as_ref().ok().and_then(Option::as_ref));
        let text = parts.uri.to_string();
        let secrets = budget.secrets();
        let hidden = secrets.are_in(&text);
        let mut target = Target::parse(&text, &self.limits).inspect_err(|_| {
            if !hidden {
                audit.unread(&text);
            }
        })?;
        if hidden {
            target = target.hidden();
        }
        audit.target(&target);
        let charm = charm?;

        let admitted = self.granted.admit(&self.gate, &parts.method, &target)?;
        let checked = headers::check(parts.headers, &self.limits)?;
        self.check_authorization(&checked.headers, &target)?;
        secrets.check_head(&self.granted.owner, &target, &parts.method, &checked.headers)?;
        let Admitted { decision, rule, option, credential, is_named } = admitted;
        audit.decided(decision, rule, option);

        let progress = parts.extensions.get::<Progress>().cloned().unwrap_or_default();
        progress.reach(Stage::Permit);
        let permit = budget.permit(&self.permits, &self.limits).await?;
        progress.reach(Stage::Body);
        let started = Instant::now();
        let deadline = budget.deadline().min(started + self.limits.request_time);
        let time = Time { started, deadline, options };
        let body = RequestBody::new(body, checked.length, &self.limits, deadline)?;
        let body = if secrets.are_bound_elsewhere(&target) {
            self.search_body(body, &target, secrets, deadline).await?
        } else {
            body.gathered().await.map_err(|error| failure::of_request_body(&error))?
        };
        progress.reach(Stage::Server);
        let mut headers = checked.headers;
        headers::complete(&mut headers, &parts.method, body.size_hint().exact(), checked.length);

        let addresses = route::find(&self.gate, &self.limits, &target, time.within(options.connect)).await?;
        let credential = match (&charm, &credential) {
            (Some(charm), Some(asked)) => Some(self.credential(charm, asked, &target, &addresses)?),
            _ => None,
        };
        let http = if is_named { &self.http } else { &self.http_closing };
        let dispatch = Dispatch { http, method: parts.method, headers, target: &target, addresses, time };
        let mut not_renewed = None;
        let response = match credential {
            None => self.send(&dispatch, None, body, audit).await?.0,
            Some(credential) => {
                let attached = credential.attached(time.within(None)).await?;
                audit.with_credential();
                let (response, copy) = self.send(&dispatch, Some(&attached), body, audit).await?;
                // A refused request had no effect, so it may be sent once more.
                let again = copy.as_ref().filter(|_| response.status() == StatusCode::UNAUTHORIZED);
                let mut renewed = None;
                if let Some(body) = again.and_then(Copied::whole) {
                    match credential.renewed(&attached, time.within(None)).await {
                        Ok(attached) => renewed = attached.map(|attached| (attached, body)),
                        Err(error) => not_renewed = Some(error),
                    }
                }
                if let Some((attached, body)) = renewed {
                    audit.resent();
                    self.send(&dispatch, Some(&attached), RequestBody::whole(body, deadline), audit).await?.0
                } else {
                    response
                }
            }
        };

        let (mut parts, body) = response.into_parts();
        audit.answered(parts.extensions.get().and_then(|line: &ConnectionState| line.peer), parts.status);
        let origin = target.origin().to_string();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(EgressError::Protocol {
                origin,
                message: "it switched protocols without being asked \
                to"
                .to_owned(),
            });
        }
        headers::check_response(&mut parts.headers, &self.limits)?;
        let times = Times { started, deadline, between: options.between_bytes };
        let http::response::Parts { status, version, headers, .. } = parts;
        Ok(Exchanged { status, version, headers, body, origin, times, permit, not_renewed })
    }

    /// Reads a body to its end, and checks that it contains no secret that may not go to the target.
    async fn search_body(
        &self,
        body: RequestBody,
        target: &Target,
        secrets: &Arc<Secrets>,
        deadline: Instant,
    ) -> Result<RequestBody, EgressError> {
        let whole = body.collected().await.map_err(|error| failure::of_request_body(&error))?;
        let (owner, to, secrets) = (self.granted.owner.clone(), target.clone(), Arc::clone(secrets));
        let bytes = whole.clone();
        // A mebibyte takes milliseconds, for which no other task should wait.
        let checked = tokio::task::spawn_blocking(move || secrets.check_body(&owner, &to, &bytes)).await;
        checked.unwrap_or_else(|error| Err(EgressError::RequestBody(format!("it could not be checked: {error}"))))?;
        Ok(RequestBody::whole(whole, deadline))
    }

    /// Sends the request, and returns the head of the response with a copy of the request's body.
    ///
    /// A server may close a kept-alive connection at the very moment at which the next request is sent. Such a request
    /// is sent once more, over a new connection, if no byte of an answer arrived and its method is idempotent (RFC
    /// 9110, section 9.2.2): GET, HEAD, OPTIONS, TRACE, PUT and DELETE. A request with any other method may have taken
    /// effect.
    async fn send(
        &self,
        dispatch: &Dispatch<'_>,
        attached: Option<&Attached>,
        mut body: RequestBody,
        audit: &mut Audit,
    ) -> Result<(Response<Incoming>, Option<Copied>), EgressError> {
        let may_be_resent = attached.is_some() || dispatch.method.is_idempotent();
        let copy = may_be_resent.then(|| body.copied());
        let error = match self.send_once(dispatch.http, dispatch, attached, body).await {
            Ok(response) => return Ok((response, copy)),
            Err(Unanswered { error, connection_lost: false }) => return Err(error),
            Err(Unanswered { error, connection_lost: true }) => error,
        };
        let whole = copy.as_ref().filter(|_| dispatch.method.is_idempotent()).and_then(Copied::whole);
        let Some(body) = whole else { return Err(error) };
        audit.resent();
        let body = RequestBody::whole(body, dispatch.time.deadline);
        let response =
            self.send_once(&self.http_closing, dispatch, attached, body).await.map_err(|failed| failed.error)?;
        Ok((response, copy))
    }

    /// Sends the request with this token, and waits for the head of the response.
    async fn send_once(
        &self,
        http: &HttpClient,
        dispatch: &Dispatch<'_>,
        attached: Option<&Attached>,
        body: RequestBody,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Dispatch { method, headers, target, addresses, time, .. } = dispatch;
        let mut request = http::Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = target.uri().clone();
        *request.headers_mut() = headers.clone();
        if let Some(attached) = attached {
            attached.attach(request.headers_mut());
        }
        let connection = capture_connection(&mut request);
        let pinned = Pinned {
            host: target.host().into(),
            addresses: addresses.as_slice().into(),
            connect_within: time.within(time.options.connect),
        };
        let head_within = time.within(time.options.first_byte);
        let error = match timeout(head_within, PINNED.scope(pinned, http.request(request))).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => failure::of(&error, &target.origin().to_string(), &self.limits),
            Err(_) if Instant::now() >= time.deadline => {
                EgressError::Timeout { what: Wait::Whole, after: time.deadline - time.started }
            }
            Err(_) => EgressError::Timeout { what: Wait::Head, after: head_within },
        };
        let mut line = http::Extensions::new();
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.get_extras(&mut line);
        }
        let went_silent = line.get().is_some_and(ConnectionState::went_silent);
        let connection_lost = matches!(error, EgressError::Protocol { .. }) && went_silent;
        Err(Unanswered { error, connection_lost })
    }

    /// A guest may send its own `Authorization` header, but not where the host attaches a credential: it could pass off
    /// its own account as the charm's, or find out which of the two the server prefers. The same holds for the header
    /// that the host attaches there, in any spelling.
    fn check_authorization(&self, headers: &HeaderMap, target: &Target) -> Result<(), EgressError> {
        let attached = self.granted.headers_attached_at(target);
        let is_own = |name: &&HeaderName| {
            **name == header::AUTHORIZATION || attached.iter().any(|attached| headers::are_alike(attached, name))
        };
        let own = headers.keys().filter(|_| !attached.is_empty()).find(is_own);
        let Some(own) = own else { return Ok(()) };
        let own = if own == header::AUTHORIZATION { "Authorization" } else { own.as_str() };
        let message = format!(
            "{} may not send its own {own} header to {}, because the host attaches one there",
            self.granted.owner,
            target.origin()
        );
        Err(EgressError::Denied { rule: Rule::OwnAuthorization, message, option: None })
    }
}

/// Why there is no response.
struct Unanswered {
    error: EgressError,
    /// Whether the connection had carried earlier requests, and ended without a byte of an answer to this one.
    connection_lost: bool,
}

/// A request that has passed every check.
struct Dispatch<'a> {
    http: &'a HttpClient,
    method: Method,
    headers: HeaderMap,
    target: &'a Target,
    addresses: Vec<SocketAddr>,
    time: Time,
}

/// The time limit of a request.
#[derive(Clone, Copy)]
struct Time {
    started: Instant,
    deadline: Instant,
    options: RequestOptions,
}

impl Time {
    /// The time left, or less if the guest asked for less.
    fn within(&self, asked: Option<Duration>) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        asked.map_or(left, |asked| asked.min(left))
    }
}
