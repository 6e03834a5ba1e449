//! The bearer token of a request.

use std::net::SocketAddr;
use std::time::Duration;

use bg_identity::Secret;
use bg_manifest::{CredentialPath, Scheme};
use http::HeaderValue;
use tokio::time::timeout;

use crate::charm::RequestCharm;
use crate::client::Inner;
use crate::credential::{CredentialError, CredentialSource, NotRenewed};
use crate::error::{EgressError, Rule, Wait};
use crate::target::Target;

/// Where to get the token for one request.
pub(crate) struct Credential<'a> {
    gate: &'a Inner,
    source: &'a dyn CredentialSource,
    charm: &'a RequestCharm,
    path: &'a CredentialPath,
    target: &'a Target,
}

/// A token that is valid in a header.
pub(crate) struct Bearer {
    secret: Secret,
    header: HeaderValue,
}

impl Bearer {
    /// `None` if it is not a token. RFC 6750 allows fewer characters; here it only has to remain one header with one
    /// token.
    fn new(secret: Secret) -> Option<Self> {
        let text = secret.expose();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).ok()?;
        // Keeps it out of `Debug` output, and out of the header compression tables of HTTP/2.
        header.set_sensitive(true);
        Some(Self { secret, header })
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl Inner {
    /// Where to get the token for requests made for this charm. It leaves this machine over TLS only. Without TLS it
    /// may go to an address of this machine, if the operator named that very origin.
    pub(crate) fn credential<'a>(
        &'a self,
        charm: &'a RequestCharm,
        path: &'a CredentialPath,
        target: &'a Target,
        addresses: &[SocketAddr],
    ) -> Result<Credential<'a>, EgressError> {
        let origin = target.origin();
        let stays =
            || self.gate.allow_private.contains(origin) && addresses.iter().all(|address| address.ip().is_loopback());
        if origin.scheme() != Scheme::Https && !stays() {
            let message = format!("a credential is never sent to {origin}, which is not protected by TLS");
            return Err(EgressError::Denied { rule: Rule::PlainCredential, message, option: None });
        }
        let Some(source) = self.credentials.as_deref() else {
            let source = CredentialError::Missing("there is no source of credentials".to_owned());
            return Err(EgressError::Credential { origin: origin.to_string(), source });
        };
        Ok(Credential { gate: self, source, charm, path, target })
    }
}

impl Credential<'_> {
    /// Fetches the token, waiting at most `within`.
    pub(crate) async fn bearer(&self, within: Duration) -> Result<Bearer, EgressError> {
        let owner = &self.gate.granted.owner;
        let failed = |source| EgressError::Credential { origin: self.target.origin().to_string(), source };
        let secret = match timeout(within, self.source.bearer(owner, self.charm, self.path)).await {
            Ok(secret) => secret.map_err(failed)?,
            Err(_) => return Err(EgressError::Timeout { what: Wait::Credential, after: within }),
        };
        Bearer::new(secret).ok_or_else(|| {
            failed(CredentialError::Missing(format!("{} of {} is not a bearer token", self.path, self.charm)))
        })
    }

    /// Fetches a replacement for a token that the server refused, waiting at most `within`. `None` if there is none, and
    /// no reason either: then all that is known is the server's own answer.
    pub(crate) async fn renewed(&self, refused: &Bearer, within: Duration) -> Result<Option<Bearer>, NotRenewed> {
        let owner = &self.gate.granted.owner;
        let renewal = self.source.renewed(owner, self.charm, self.path, &refused.secret);
        match timeout(within, renewal).await {
            Ok(Ok(renewed)) => Ok(renewed.and_then(Bearer::new)),
            Ok(Err(error)) => Err(NotRenewed(error)),
            Err(_) => Err(NotRenewed(CredentialError::failed(format!("a new token took longer than {within:?}")))),
        }
    }
}
