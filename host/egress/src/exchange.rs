//! One request, from the guest to the head of its response.

use std::net::SocketAddr;
use std::time::Duration;

use bg_manifest::{CredentialPath, Scheme};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Body;
use tokio::time::{Instant, timeout};

use crate::audit::Audit;
use crate::body::{RequestBody, ResponseBody, Times};
use crate::budget::{CallBudget, Place};
use crate::client::Inner;
use crate::credential::CredentialError;
use crate::error::{BoxError, EgressError, Rule, Wait};
use crate::grants::Admitted;
use crate::limits::{HttpLimits, RequestOptions};
use crate::resolve::{PINNED, Pinned};
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
        let target = Target::parse(&parts.uri.to_string(), &self.limits)?;
        audit.target(&target);
        let charm = charm?;

        let admitted = self.granted.admit(self.gate.mode, &parts.method, &target)?;
        let checked = headers::check(parts.headers, &self.limits)?;
        let mut headers = checked.headers;
        self.check_authorization(&headers, &target)?;
        let Admitted { decision, rule, option, credential } = admitted;
        audit.decided(decision, rule, option);

        let place = budget.place(&self.limits).await?;
        let started = Instant::now();
        let deadline = budget.deadline().min(started + self.limits.request_time);
        let within = |asked: Option<Duration>| {
            let left = deadline.saturating_duration_since(Instant::now());
            asked.map_or(left, |asked| asked.min(left))
        };
        let body = RequestBody::new(body, checked.length, &self.limits, deadline)?;

        let addresses = route::find(&self.gate, &self.limits, &target, within(options.connect)).await?;
        if let (Some(charm), Some(path)) = (&charm, &credential) {
            self.check_protected(&target, &addresses)?;
            let bearer = self.bearer(charm, path, &target, within(None)).await?;
            headers.insert(header::AUTHORIZATION, bearer);
            audit.with_credential();
        }

        let mut request = reqwest::Request::new(parts.method, target.url().clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let pinned =
            Pinned { host: target.host().into(), addresses: addresses.into(), connect_within: within(options.connect) };
        let origin = target.origin().to_string();
        let head_within = within(options.first_byte);
        let sending = PINNED.scope(pinned, self.http.execute(request));
        let response = match timeout(head_within, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure::of(&error, &origin, &self.limits)),
            Err(_) if Instant::now() >= deadline => {
                return Err(EgressError::Timeout { what: Wait::Whole, after: deadline - started });
            }
            Err(_) => return Err(EgressError::Timeout { what: Wait::Head, after: head_within }),
        };

        audit.answered(response.remote_addr(), response.status());
        let (mut parts, body) = http::Response::from(response).into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(EgressError::Protocol { origin, message: "it switched protocols unasked".to_owned() });
        }
        headers::check_response(&mut parts.headers, &self.limits)?;
        let times = Times { started, deadline, between: options.between_bytes };
        let http::response::Parts { status, version, headers, .. } = parts;
        Ok(Exchanged { status, version, headers, body, origin, times, place })
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

    /// A credential leaves this machine over TLS alone. It may go without where it stays here, and the operator named that
    /// very origin.
    fn check_protected(&self, target: &Target, addresses: &[SocketAddr]) -> Result<(), EgressError> {
        let origin = target.origin();
        let stays =
            || self.gate.allow_private.contains(origin) && addresses.iter().all(|address| address.ip().is_loopback());
        if origin.scheme() == Scheme::Https || stays() {
            return Ok(());
        }
        let message = format!("a credential is never sent to {origin}, which is not protected by TLS");
        Err(EgressError::Denied { rule: Rule::PlainCredential, message, option: None })
    }

    async fn bearer(
        &self,
        charm: &str,
        path: &CredentialPath,
        target: &Target,
        within: Duration,
    ) -> Result<HeaderValue, EgressError> {
        let failed = |source| EgressError::Credential { origin: target.origin().to_string(), source };
        let Some(credentials) = &self.credentials else {
            return Err(failed(CredentialError::Missing("there is no source of credentials".to_owned())));
        };
        let secret = match timeout(within, credentials.bearer(&self.granted.owner, charm, path)).await {
            Ok(secret) => secret.map_err(failed)?,
            Err(_) => return Err(EgressError::Timeout { what: Wait::Credential, after: within }),
        };
        let unfit = || failed(CredentialError::Missing(format!("{path} of {charm} is no bearer token")));
        // RFC 6750 knows a narrower alphabet; what matters is that it stays one header and one token.
        if secret.expose().is_empty() || !secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit());
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose())).map_err(|_| unfit())?;
        // Keeps it out of Debug texts, and out of the tables of HTTP/2's header compression.
        value.set_sensitive(true);
        Ok(value)
    }
}
