//! One provider, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Endpoint, Scopes};

/// How the client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenAuth {
    /// ID and secret in the body.
    #[default]
    Body,
    /// ID and secret in the header `Authorization`.
    Basic,
    /// Only the ID: a public client.
    None,
}

/// The form of requests to the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenBody {
    /// As the standard says.
    #[default]
    Form,
    /// JSON.
    Json,
}

/// Which redirect URLs a provider accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redirect {
    /// `http://127.0.0.1:PORT/…` with any port, although the registered URL has another one or none.
    LoopbackAnyPort,
    /// `http://localhost:PORT/…` with any port; the address in place of the name is refused.
    LoopbackName,
    /// Exactly the registered URLs.
    #[default]
    Registered,
}

/// Where a charm's cell has the access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenField {
    /// As the original's Google charms have it.
    #[serde(rename = "token")]
    Token,
    /// As all others have it.
    #[default]
    #[serde(rename = "accessToken")]
    AccessToken,
}

impl TokenField {
    /// The name of the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AccessToken => "accessToken",
        }
    }
}

/// How a grant is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revoke {
    /// RFC 7009: a POST with `token`.
    #[default]
    Standard,
    /// A POST with the access token as `access_token`.
    AccessToken,
    /// A POST with the access token in the header `Authorization`.
    Bearer,
    /// A DELETE with the access token as JSON, and ID and secret in the header `Authorization`.
    Github,
}

/// Who signed in: where that is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserSource {
    /// In the ID token if there is one, else at the userinfo endpoint.
    #[default]
    Userinfo,
    /// In the answer of the token endpoint.
    Token,
}

/// JSON pointers to what is known of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPointers {
    /// What stays the same for a person: a text or a number.
    pub id: String,
    /// The mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The URL of a picture.
    #[serde(default)]
    pub picture: Option<String>,
}

impl Default for UserPointers {
    /// The claims of OpenID Connect.
    fn default() -> Self {
        let pointer = |name: &str| Some(format!("/{name}"));
        Self { id: "/sub".to_owned(), email: pointer("email"), name: pointer("name"), picture: pointer("picture") }
    }
}

/// A provider: where its endpoints are, and in what it differs from the standards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Provider {
    /// The name in commands and URLs: `google`.
    #[serde(skip)]
    pub name: String,
    /// The name for people; the name in commands by default.
    #[serde(default)]
    pub title: String,
    /// Who signs its ID tokens. Without endpoints, they are read from the issuer's discovery document.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Where people sign in.
    #[serde(default)]
    pub authorization: Option<Endpoint>,
    /// Where codes and refresh tokens are exchanged.
    #[serde(default)]
    pub token: Option<Endpoint>,
    /// Where a grant is revoked. `{client_id}` stands for the client's ID.
    #[serde(default)]
    pub revocation: Option<String>,
    /// How it is revoked.
    #[serde(default)]
    pub revoke: Revoke,
    /// Where the device flow starts.
    #[serde(default)]
    pub device: Option<Endpoint>,
    /// The scopes that the device flow grants, if not all.
    #[serde(default)]
    pub device_scopes: Option<Scopes>,
    /// Where a token says who it belongs to.
    #[serde(default)]
    pub userinfo: Option<Endpoint>,
    /// A GraphQL query for it, sent as a POST.
    #[serde(default)]
    pub userinfo_query: Option<String>,
    /// Where the person is described.
    #[serde(default)]
    pub user_source: UserSource,
    /// What of the description is what.
    #[serde(default)]
    pub user: UserPointers,
    /// Whether its answers name the issuer (RFC 9207).
    #[serde(default)]
    pub iss: bool,
    /// Parameters of the authorization URL.
    #[serde(default)]
    pub auth_params: BTreeMap<String, String>,
    /// The name of the parameter with the scopes.
    #[serde(default = "scope_param")]
    pub scope_param: String,
    /// What separates scopes in a request.
    #[serde(default = "scope_separator")]
    pub scope_separator: String,
    /// Scopes that every sign-in asks for.
    #[serde(default)]
    pub scopes: Scopes,
    /// A scope that an answer leaves out, and the scopes that include it.
    #[serde(default)]
    pub scope_satisfied_by: BTreeMap<String, Vec<String>>,
    /// What an answer may put before a scope.
    #[serde(default)]
    pub scope_prefix: Option<String>,
    /// Scopes that an answer never lists.
    #[serde(default)]
    pub scopes_not_echoed: Scopes,
    /// How the client proves itself.
    #[serde(default)]
    pub token_auth: TokenAuth,
    /// The form of requests to the token endpoint.
    #[serde(default)]
    pub token_body: TokenBody,
    /// A JSON pointer to the tokens in the token endpoint's answer.
    #[serde(default)]
    pub token_at: String,
    /// The `token_type`s that mean a bearer token, in lower case.
    #[serde(default = "token_types")]
    pub token_types: Vec<String>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether PKCE is sent.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Which redirect URLs it accepts.
    #[serde(default)]
    pub redirect: Redirect,
    /// Where a charm's cell has the access token.
    #[serde(default)]
    pub token_field: TokenField,
    /// Whether each renewal replaces the refresh token.
    #[serde(default)]
    pub rotates: bool,
}

fn scope_param() -> String {
    "scope".to_owned()
}

fn scope_separator() -> String {
    " ".to_owned()
}

fn token_types() -> Vec<String> {
    vec!["bearer".to_owned()]
}

fn yes() -> bool {
    true
}

impl Provider {
    /// Whether its endpoints must be discovered first.
    pub fn is_discovered(&self) -> bool {
        self.authorization.is_none() || self.token.is_none()
    }

    /// What to ask for: these, and those that every sign-in asks for.
    pub fn scopes_for(&self, wanted: &Scopes) -> Scopes {
        self.scopes.with(wanted)
    }

    /// Which of the asked scopes were not granted.
    ///
    /// ```
    /// use bg_oauth::{Providers, Scopes};
    ///
    /// let providers = Providers::built_in();
    /// let scopes = |text| Scopes::parse(text).unwrap();
    /// let google = providers.get("google").unwrap();
    /// let granted = scopes("openid https://www.googleapis.com/auth/userinfo.email");
    /// let asked = scopes("openid email https://www.googleapis.com/auth/gmail.readonly");
    /// let missing = google.missing(&asked, &granted);
    /// assert_eq!(missing.to_string(), "https://www.googleapis.com/auth/gmail.readonly");
    /// ```
    #[must_use]
    pub fn missing(&self, asked: &Scopes, granted: &Scopes) -> Scopes {
        asked.filter(|scope| !self.is_granted(scope, granted))
    }

    fn is_granted(&self, scope: &str, granted: &Scopes) -> bool {
        let prefixed = || {
            let prefix = self.scope_prefix.as_deref()?;
            let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
            let wanted = bare(scope);
            granted.iter().find(|one| bare(one) == wanted)
        };
        granted.contains(scope)
            || self.scopes_not_echoed.contains(scope)
            || self.scope_satisfied_by.get(scope).is_some_and(|wider| wider.iter().any(|one| granted.contains(one)))
            || prefixed().is_some()
    }
}
