//! The secret that is attached to a request.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bg_identity::Secret;
use bg_manifest::{Credential, CredentialScheme, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::charm::RequestCharm;
use crate::client::Inner;
use crate::credential::{CredentialError, CredentialSource, NotRenewed};
use crate::error::{EgressError, Rule, Wait};
use crate::headers::sets;
use crate::target::Target;

/// Where to get the secret for one request.
pub(crate) struct Lookup<'a> {
    gate: &'a Inner,
    source: &'a dyn CredentialSource,
    charm: &'a RequestCharm,
    credential: &'a Credential,
    target: &'a Target,
}

/// A secret that is valid in a header.
pub(crate) struct Attached {
    secret: Secret,
    name: HeaderName,
    value: HeaderValue,
}

impl Attached {
    /// `None` if it cannot be sent like this. RFC 6750 allows fewer characters in a token; here it only has to remain
    /// one header with one token.
    fn new(secret: Secret, scheme: &CredentialScheme) -> Option<Self> {
        let name = scheme.header();
        if sets(&name).is_some() {
            return None;
        }
        let text = secret.expose();
        let token = || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text);
        let value = Zeroizing::new(match scheme {
            CredentialScheme::Bearer => format!("Bearer {}", token()?),
            CredentialScheme::Bot => format!("Bot {}", token()?),
            CredentialScheme::Token => format!("token {}", token()?),
            // RFC 7617: any characters but controls, in UTF-8.
            CredentialScheme::Basic => {
                let (user, _) = text.split_once(':').filter(|_| !text.contains(|c: char| c.is_control()))?;
                if user.is_empty() {
                    return None;
                }
                format!("Basic {}", STANDARD.encode(text))
            }
            CredentialScheme::Header(_) => token()?.to_owned(),
        });
        let mut value = HeaderValue::try_from(value.as_str()).ok()?;
        // Keeps it out of `Debug` output, and out of the header compression tables of HTTP/2.
        value.set_sensitive(true);
        Some(Self { secret, name, value })
    }

    /// Puts it into a request's headers, in place of any others of that name.
    pub(crate) fn attach(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }
}

impl Inner {
    /// Where to get the secret for requests made for this charm. It leaves this machine over TLS only. Without TLS it
    /// may go to an address of this machine, if the operator named that very origin.
    pub(crate) fn credential<'a>(
        &'a self,
        charm: &'a RequestCharm,
        credential: &'a Credential,
        target: &'a Target,
        addresses: &[SocketAddr],
    ) -> Result<Lookup<'a>, EgressError> {
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
        Ok(Lookup { gate: self, source, charm, credential, target })
    }
}

impl Lookup<'_> {
    /// Fetches the secret, waiting at most `within`.
    pub(crate) async fn attached(&self, within: Duration) -> Result<Attached, EgressError> {
        let owner = &self.gate.granted.owner;
        let failed = |source| EgressError::Credential { origin: self.target.origin().to_string(), source };
        let secret = match timeout(within, self.source.bearer(owner, self.charm, &self.credential.path)).await {
            Ok(secret) => secret.map_err(failed)?,
            Err(_) => return Err(EgressError::Timeout { what: Wait::Credential, after: within }),
        };
        let Credential { path, scheme } = self.credential;
        Attached::new(secret, scheme).ok_or_else(|| {
            let what = match scheme {
                CredentialScheme::Bearer => "is not a bearer token",
                CredentialScheme::Basic => "is not a user and a password with a colon in between",
                _ => "is not a token or key that can be sent in a header",
            };
            failed(CredentialError::Missing(format!("{path} of {} {what}", self.charm)))
        })
    }

    /// Fetches a replacement for a token that the server refused, waiting at most `within`. `None` if there is none, and
    /// no reason either: then all that is known is the server's own answer.
    pub(crate) async fn renewed(&self, refused: &Attached, within: Duration) -> Result<Option<Attached>, NotRenewed> {
        let owner = &self.gate.granted.owner;
        let renewal = self.source.renewed(owner, self.charm, &self.credential.path, &refused.secret);
        match timeout(within, renewal).await {
            Ok(Ok(renewed)) => Ok(renewed.and_then(|secret| Attached::new(secret, &self.credential.scheme))),
            Ok(Err(error)) => Err(NotRenewed(error)),
            Err(_) => Err(NotRenewed(CredentialError::failed(format!("a new token took longer than {within:?}")))),
        }
    }
}
