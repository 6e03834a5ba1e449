//! One request, from the guest to the head of its response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use tokio::time::{Instant, timeout};

use crate::audit::Audit;
use crate::bearer::Bearer;
use crate::body::{RequestBody, ResponseBody, Times};
use crate::budget::{CallBudget, Place};
use crate::client::Inner;
use crate::error::{BoxError, EgressError, Rule, Wait};
use crate::grants::Admitted;
use crate::limits::{HttpLimits, RequestOptions};
use crate::resolve::{PINNED, Pinned};
use crate::secrets::Secrets;
use crate::target::Target;
use crate::{failure, headers, route};

/// A response whose head has come, with all that its body needs.
pub(crate) struct Exchanged {
    status: StatusCode,
    version: http::Version,
    headers: HeaderMap,
    body: reqwest::Body,
    origin: String,
    times: Times,
    place: Place,
}

impl Exchanged {
    pub(crate) fn finish(self, audit: Audit, limits: &HttpLimits) -> Result<http::Response<ResponseBody>, EgressError> {
        let Self { status, version, headers, body, origin, times, place } = self;
        let body = ResponseBody::new(body, audit, origin, limits.clone(), times, place)?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.version_mut() = version;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl Inner {
    /// All checks, in order, and then the request.
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
        let charm = headers::take_charm(&mut parts.headers);
        audit.charm(charm.as_ref().ok().and_then(Option::as_deref));
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

        let place = budget.place(&self.places, &self.limits).await?;
        let started = Instant::now();
        let deadline = budget.deadline().min(started + self.limits.request_time);
        let time = Time { started, deadline, options };
        let mut body = RequestBody::new(body, checked.length, &self.limits, deadline)?;
        if secrets.are_bound_elsewhere(&target) {
            body = self.looked_through(body, &target, secrets, deadline).await?;
        }

        let addresses = route::find(&self.gate, &self.limits, &target, time.within(options.connect)).await?;
        let credential = match (&charm, &credential) {
            (Some(charm), Some(path)) => Some(self.credential(charm, path, &target, &addresses)?),
            _ => None,
        };
        let http = if is_named { &self.http } else { &self.http_closing };
        let dispatch =
            Dispatch { http, method: parts.method, headers: checked.headers, target: &target, addresses, time };
        let response = match credential {
            None => self.send_once(&dispatch, None, reqwest::Body::wrap(body)).await?,
            Some(credential) => {
                let bearer = credential.bearer(time.within(None)).await?;
                audit.with_credential();
                let copy = body.copied();
                let response = self.send_once(&dispatch, Some(&bearer), reqwest::Body::wrap(body)).await?;
                // What was refused was not done, so it may be sent once more.
                if response.status() == StatusCode::UNAUTHORIZED
                    && let Some(body) = copy.whole()
                    && let Some(bearer) = credential.renewed(&bearer, time.within(None)).await
                {
                    self.send_once(&dispatch, Some(&bearer), body.into()).await?
                } else {
                    response
                }
            }
        };

        audit.answered(response.remote_addr(), response.status());
        let (mut parts, body) = http::Response::from(response).into_parts();
        let origin = target.origin().to_string();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(EgressError::Protocol { origin, message: "it switched protocols unasked".to_owned() });
        }
        headers::check_response(&mut parts.headers, &self.limits)?;
        let times = Times { started, deadline, between: options.between_bytes };
        let http::response::Parts { status, version, headers, .. } = parts;
        Ok(Exchanged { status, version, headers, body, origin, times, place })
    }

    /// A body that was read to its end, and holds no secret that may not go to the target.
    async fn looked_through(
        &self,
        body: RequestBody,
        target: &Target,
        secrets: &Arc<Secrets>,
        deadline: Instant,
    ) -> Result<RequestBody, EgressError> {
        let whole = body.collected().await.map_err(|error| failure::of_request_body(&error))?;
        let (owner, to, secrets) = (self.granted.owner.clone(), target.clone(), Arc::clone(secrets));
        let bytes = whole.clone();
        // A mebibyte takes milliseconds, which others should not wait for.
        let checked = tokio::task::spawn_blocking(move || secrets.check_body(&owner, &to, &bytes)).await;
        checked.unwrap_or_else(|error| {
            Err(EgressError::RequestBody(format!("it could not be looked through: {error}")))
        })?;
        let length = Some(whole.len() as u64);
        RequestBody::new(Full::new(whole), length, &self.limits, deadline)
    }

    /// Sends the request, with this token, and waits for the head of the response.
    async fn send_once(
        &self,
        dispatch: &Dispatch<'_>,
        bearer: Option<&Bearer>,
        body: reqwest::Body,
    ) -> Result<reqwest::Response, EgressError> {
        let Dispatch { http, method, headers, target, addresses, time } = dispatch;
        let mut request = reqwest::Request::new(method.clone(), target.url().clone());
        *request.headers_mut() = headers.clone();
        if let Some(bearer) = bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer.header());
        }
        *request.body_mut() = Some(body);
        let pinned = Pinned {
            host: target.host().into(),
            addresses: addresses.as_slice().into(),
            connect_within: time.within(time.options.connect),
        };
        let head_within = time.within(time.options.first_byte);
        match timeout(head_within, PINNED.scope(pinned, http.execute(request))).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure::of(&error, &target.origin().to_string(), &self.limits)),
            Err(_) if Instant::now() >= time.deadline => {
                Err(EgressError::Timeout { what: Wait::Whole, after: time.deadline - time.started })
            }
            Err(_) => Err(EgressError::Timeout { what: Wait::Head, after: head_within }),
        }
    }

    /// A guest may bring an authorization of its own, but not where the host attaches one: it could pass off its own account
    /// as the charm's, or try out which of the two wins.
    fn check_authorization(&self, headers: &HeaderMap, target: &Target) -> Result<(), EgressError> {
        if headers.contains_key(header::AUTHORIZATION) && self.granted.has_credential_at(target) {
            let message = format!(
                "{} may not send its own Authorization header to {}, where the host attaches one",
                self.granted.owner,
                target.origin()
            );
            return Err(EgressError::Denied { rule: Rule::OwnAuthorization, message, option: None });
        }
        Ok(())
    }
}

/// A request that has passed every check.
struct Dispatch<'a> {
    http: &'a reqwest::Client,
    method: Method,
    headers: HeaderMap,
    target: &'a Target,
    addresses: Vec<SocketAddr>,
    time: Time,
}

/// How long a request may take.
#[derive(Clone, Copy)]
struct Time {
    started: Instant,
    deadline: Instant,
    options: RequestOptions,
}

impl Time {
    /// What is left, or as much of it as the guest asks for.
    fn within(&self, asked: Option<Duration>) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        asked.map_or(left, |asked| asked.min(left))
    }
}
