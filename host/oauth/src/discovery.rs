//! Endpoints: as configured, or from the issuer's discovery document.

use http::Method;
use serde_json::{Map, Value};

use crate::answer::{Asked, members};
use crate::sender::{Http, Request};
use crate::{Endpoint, OAuthError, Provider};

/// Where a provider is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where people sign in.
    pub authorization: Endpoint,
    /// Where codes and refresh tokens are exchanged.
    pub token: Endpoint,
    /// Where a grant is revoked. `{client_id}` stands for the client's ID.
    pub revocation: Option<String>,
    /// Where the device flow starts.
    pub device: Option<Endpoint>,
    /// Where a token says who it belongs to.
    pub userinfo: Option<Endpoint>,
    /// The issuer.
    pub issuer: Option<String>,
    /// Whether every answer names the issuer (RFC 9207).
    pub iss: bool,
}

impl Endpoints {
    /// The endpoints of a provider, from its issuer if it names none.
    pub async fn of(http: &Http, provider: &Provider) -> Result<Self, OAuthError> {
        if let (Some(authorization), Some(token)) = (&provider.authorization, &provider.token) {
            return Ok(Self {
                authorization: authorization.clone(),
                token: token.clone(),
                revocation: provider.revocation.clone(),
                device: provider.device.clone(),
                userinfo: provider.userinfo.clone(),
                issuer: provider.issuer.clone(),
                iss: provider.iss,
            });
        }
        let missing = |what| OAuthError::Unsupported { provider: provider.name.clone(), what };
        let issuer = provider.issuer.as_deref().ok_or_else(|| missing("issuer"))?;
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Endpoint = document.parse().map_err(|_| missing("issuer that is a URL"))?;
        let answer = http.send(Request::new(Method::GET, &document)).await?;
        let found = members(&answer, Asked::WithToken, &[])?;
        Self::read(provider, issuer, &answer.origin, &found)
    }

    /// What a discovery document says. Its issuer must be the one that was asked: otherwise anyone whose document is
    /// read could speak for another (OpenID Connect Discovery 1.0, section 4.3).
    fn read(provider: &Provider, issuer: &str, origin: &str, found: &Map<String, Value>) -> Result<Self, OAuthError> {
        let odd = |problem: String| OAuthError::odd(origin, format!("its discovery document {problem}"));
        if found.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(odd("names another issuer than the one that was asked".to_owned()));
        }
        let endpoint = |name: &str, own: Option<&Endpoint>| match (own, found.get(name)) {
            (Some(own), _) => Ok(Some(own.clone())),
            (None, Some(Value::String(url))) => {
                url.parse().map(Some).map_err(|error| odd(format!("has an unusable {name}: {error}")))
            }
            (None, _) => Ok(None),
        };
        let needed = |name: &str, own| endpoint(name, own)?.ok_or_else(|| odd(format!("has no {name}")));
        let lists = |name: &str, value: &str| {
            found.get(name).and_then(Value::as_array).is_none_or(|list| list.iter().any(|one| one == value))
        };
        if provider.pkce && !lists("code_challenge_methods_supported", "S256") {
            return Err(odd("offers no PKCE with S256; set pkce = false only if you trust the network".to_owned()));
        }
        let revocation = match &provider.revocation {
            Some(own) => Some(own.clone()),
            None => endpoint("revocation_endpoint", None)?.map(String::from),
        };
        Ok(Self {
            authorization: needed("authorization_endpoint", provider.authorization.as_ref())?,
            token: needed("token_endpoint", provider.token.as_ref())?,
            revocation,
            device: endpoint("device_authorization_endpoint", provider.device.as_ref())?,
            userinfo: endpoint("userinfo_endpoint", provider.userinfo.as_ref())?,
            issuer: Some(issuer.to_owned()),
            iss: provider.iss
                || found.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Providers;

    fn read(document: &Value) -> Result<Endpoints, OAuthError> {
        let providers = Providers::built_in().extended_by("[work]\nissuer = \"https://sso.example\"").unwrap();
        let provider = providers.get("work").unwrap();
        Endpoints::read(provider, "https://sso.example", "https://sso.example", document.as_object().unwrap())
    }

    #[test]
    fn a_document_must_name_the_issuer_that_was_asked_and_endpoints_with_tls() {
        let good = json!({"issuer": "https://sso.example", "authorization_endpoint": "https://sso.example/a",
            "token_endpoint": "https://tokens.example/t", "revocation_endpoint": "https://sso.example/r",
            "authorization_response_iss_parameter_supported": true,
            "code_challenge_methods_supported": ["S256"]});
        let found = read(&good).unwrap();
        assert!(found.iss && found.device.is_none());
        assert_eq!(found.token.to_string(), "https://tokens.example/t");
        for (key, value, expected) in [
            ("issuer", json!("https://sso.example/"), "another issuer"),
            ("issuer", json!("https://evil.example"), "another issuer"),
            ("issuer", json!(null), "another issuer"),
            ("token_endpoint", json!("http://sso.example/t"), "unusable token_endpoint"),
            ("token_endpoint", json!(null), "has no token_endpoint"),
            ("authorization_endpoint", json!("javascript:alert(1)"), "unusable authorization_endpoint"),
            ("userinfo_endpoint", json!("file:///etc/passwd"), "unusable userinfo_endpoint"),
            ("code_challenge_methods_supported", json!(["plain"]), "no PKCE"),
        ] {
            let mut document = good.clone();
            document[key] = value;
            let error = read(&document).unwrap_err().to_string();
            assert!(error.contains(expected), "{key}: {error}");
        }
    }
}
