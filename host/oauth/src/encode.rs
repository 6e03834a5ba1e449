//! Bodies and headers of requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::provider::{TokenAuth, TokenBody};
use crate::{Client, Provider};

/// The fields of a request to the token endpoint.
pub(crate) struct Fields(Vec<(&'static str, Zeroizing<String>)>);

impl Fields {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, Zeroizing::new(value.to_owned())));
        self
    }

    /// The body, with its type.
    pub(crate) fn encoded(&self, form: TokenBody) -> (&'static str, Zeroizing<String>) {
        match form {
            TokenBody::Form => {
                let mut text = form_urlencoded::Serializer::new(String::new());
                text.extend_pairs(self.0.iter().map(|(name, value)| (*name, value.as_str())));
                ("application/x-www-form-urlencoded", Zeroizing::new(text.finish()))
            }
            TokenBody::Json => {
                let pairs = self.0.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
                let text = serde_json::Value::Object(pairs.collect()).to_string();
                ("application/json", Zeroizing::new(text))
            }
        }
    }

    /// The values, plain and as a form has them: what an answer may repeat.
    pub(crate) fn values(&self) -> Vec<bg_identity::Secret> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let hidden =
            ["code", "code_verifier", "client_secret", "refresh_token", "token", "access_token", "device_code"];
        let hidden = self.0.iter().filter(|(name, _)| hidden.contains(name));
        hidden.flat_map(|(_, value)| [value.to_string(), encoded(value)]).map(Into::into).collect()
    }
}

/// Adds how the client proves itself: fields, and the value of `Authorization` if that is the way.
pub(crate) fn authenticated(
    provider: &Provider,
    client: &Client,
    fields: Fields,
) -> (Fields, Option<Zeroizing<String>>) {
    match (provider.token_auth, &client.secret) {
        (TokenAuth::Basic, Some(_)) => (fields, basic(client)),
        (TokenAuth::Body, Some(secret)) => {
            (fields.with("client_id", &client.id).with("client_secret", secret.expose()), None)
        }
        (_, _) => (fields.with("client_id", &client.id), None),
    }
}

/// ID and secret as RFC 6749, section 2.3.1, has them: each encoded as in a form first.
pub(crate) fn basic(client: &Client) -> Option<Zeroizing<String>> {
    let encoded = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let secret = encoded(client.secret.as_ref()?.expose());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(&client.id), *secret));
    Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}
