//! A client at a provider, and everything that it asks for there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bg_identity::Secret;
use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::answer::{Asked, members};
use crate::callback::Callback;
use crate::device::{DevicePoll, DeviceSignIn};
use crate::encode::{Fields, authenticated, basic};
use crate::person::{Expected, Person, of_id_token};
use crate::provider::{Revoke, TokenBody, UserSource};
use crate::random::Nonce;
use crate::sender::{Http, Request};
use crate::sign_in::{SignIn, SignInRequest};
use crate::{Client, Endpoint, Endpoints, OAuthError, Provider, Scopes, Tokens};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A client at a provider whose endpoints are known. `Debug` prints no secret.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    http: Http,
    provider: Provider,
    endpoints: Endpoints,
    client: Client,
}

impl OAuthClient {
    /// A client at a provider. Asks the provider's issuer for its endpoints if they are not configured.
    pub async fn new(http: Http, provider: Provider, client: Client) -> Result<Self, OAuthError> {
        let endpoints = Endpoints::of(&http, &provider).await?;
        Ok(Self { http, provider, endpoints, client })
    }

    /// The provider.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Its endpoints.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a sign-in: what to keep, and the URL to open in a browser.
    pub fn begin(&self, request: &SignInRequest) -> Result<(SignIn, Url), OAuthError> {
        SignIn::begin(&self.provider, &self.endpoints, &self.client, request)
    }

    /// Finishes a sign-in: exchanges the code of the answer for tokens, with the person that they belong to and what
    /// was granted.
    pub async fn finish(&self, sign_in: &SignIn, callback: &Callback) -> Result<Tokens, OAuthError> {
        let code = sign_in.code(&self.provider, &self.endpoints, &self.client, callback)?;
        let mut fields = Fields::new()
            .with("grant_type", "authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", sign_in.redirect.as_str());
        if let Some(verifier) = &sign_in.verifier {
            fields = fields.with("code_verifier", verifier.secret().expose());
        }
        let found = self.ask_token_endpoint(fields, Asked::Exchange).await?;
        let mut tokens = self.tokens(&found, sign_in.nonce.as_ref())?;
        // Strava says in the redirect what was granted. An answer without any list grants all (RFC 6749, 5.1).
        let granted = tokens.granted.take().or_else(|| Scopes::parse(callback.scope.as_deref()?).ok());
        tokens.granted = Some(granted.unwrap_or_else(|| sign_in.asked.clone()));
        self.complete(tokens).await
    }

    /// New tokens for a refresh token. Without a refresh token in the answer, the old one stays in force; with one, the
    /// old one may have ended at this moment.
    pub async fn refresh(&self, refresh: &Secret) -> Result<Tokens, OAuthError> {
        let fields = Fields::new().with("grant_type", "refresh_token").with("refresh_token", refresh.expose());
        let found = self.ask_token_endpoint(fields, Asked::Refresh).await?;
        Tokens::read(&self.endpoints.token.origin().to_string(), &self.provider, &found)
    }

    /// Starts the device flow.
    pub async fn begin_device(&self, scopes: &Scopes) -> Result<DeviceSignIn, OAuthError> {
        let unsupported = |what| OAuthError::Unsupported { provider: self.provider.title.clone(), what };
        let endpoint = self.endpoints.device.as_ref().ok_or_else(|| unsupported("device flow"))?;
        let asked = self.provider.scopes_for(scopes);
        let allowed = self.provider.device_scopes.as_ref();
        if allowed.is_some_and(|allowed| asked.iter().any(|scope| !allowed.contains(scope))) {
            return Err(unsupported("device flow for these scopes; sign in with a browser, or with --no-browser"));
        }
        let fields = Fields::new().with("scope", &asked.joined(&self.provider.scope_separator));
        let found = self.ask(endpoint, fields, Asked::Exchange).await?;
        DeviceSignIn::read(&endpoint.origin().to_string(), asked, &found)
    }

    /// Asks whether the person has finished.
    pub async fn poll_device(&self, device: &mut DeviceSignIn) -> Result<DevicePoll, OAuthError> {
        let fields = Fields::new().with("grant_type", DEVICE_GRANT).with("device_code", device.code.expose());
        match self.ask_token_endpoint(fields, Asked::Exchange).await {
            Ok(found) => {
                let mut tokens = self.tokens(&found, None)?;
                tokens.granted.get_or_insert_with(|| device.asked.clone());
                Ok(DevicePoll::Done(Box::new(self.complete(tokens).await?)))
            }
            Err(error) if error.code() == Some("authorization_pending") => Ok(DevicePoll::Pending(device.interval)),
            Err(error) if error.code() == Some("slow_down") => Ok(DevicePoll::Pending(device.slower())),
            Err(error) => Err(error),
        }
    }

    /// Who a token belongs to; `None` if the provider cannot say.
    pub async fn person(&self, access: &Secret) -> Result<Option<Person>, OAuthError> {
        let Some(endpoint) = &self.endpoints.userinfo else { return Ok(None) };
        let mut request = match &self.provider.userinfo_query {
            None => self.request(Method::GET, endpoint)?,
            Some(query) => {
                let mut request = self.request(Method::POST, endpoint)?;
                request.body = Some(("application/json", Zeroizing::new(json!({ "query": query }).to_string())));
                request
            }
        };
        request = request.authorized(&Zeroizing::new(format!("Bearer {}", access.expose())))?;
        let answer = self.http.send(request).await?;
        let found = members(&answer, Asked::WithToken, std::slice::from_ref(access))?;
        let person = Person::read(&self.provider.user, &found);
        person.map(Some).ok_or_else(|| OAuthError::odd(answer.origin, "it does not say who the token belongs to"))
    }

    /// Ends a grant at the provider. A grant that has ended already is no error. `false` if the provider offers no such
    /// thing, or only for the kind of token that is not given.
    pub async fn revoke(&self, access: Option<&Secret>, refresh: Option<&Secret>) -> Result<bool, OAuthError> {
        let Some(url) = &self.endpoints.revocation else { return Ok(false) };
        let id: String = url::form_urlencoded::byte_serialize(self.client.id.as_bytes()).collect();
        let endpoint: Endpoint = url.replace("{client_id}", &id).parse().map_err(|_| OAuthError::Unsupported {
            provider: self.provider.title.clone(),
            what: "usable revocation URL",
        })?;
        let token = match self.provider.revoke {
            // A refresh token ends what was made of it as well.
            Revoke::Standard => refresh.or(access),
            Revoke::AccessToken | Revoke::Bearer | Revoke::Github => access,
        };
        let Some(token) = token else { return Ok(false) };
        let answer = match self.provider.revoke {
            Revoke::Standard => {
                let kind = if refresh.is_some() { "refresh_token" } else { "access_token" };
                let fields = Fields::new().with("token", token.expose()).with("token_type_hint", kind);
                self.http.send(self.post(&endpoint, fields)?).await?
            }
            Revoke::AccessToken => {
                let fields = Fields::new().with("access_token", token.expose());
                self.http.send(self.post(&endpoint, fields)?).await?
            }
            Revoke::Bearer => {
                let request = self.request(Method::POST, &endpoint)?;
                let request = request.authorized(&Zeroizing::new(format!("Bearer {}", token.expose())))?;
                self.http.send(request).await?
            }
            Revoke::Github => {
                let mut request = self.request(Method::DELETE, &endpoint)?;
                if let Some(basic) = basic(&self.client) {
                    request = request.authorized(&basic)?;
                }
                let text = json!({ "access_token": token.expose() }).to_string();
                request.body = Some(("application/json", Zeroizing::new(text)));
                self.http.send(request).await?
            }
        };
        // GitHub answers 404 to a token that it does not know, Strava 401.
        let is_unknown = matches!(answer.status.as_u16(), 401 | 404) && self.provider.revoke != Revoke::Standard;
        if answer.status.is_success() && answer.body.iter().all(u8::is_ascii_whitespace) || is_unknown {
            return Ok(true);
        }
        match members(&answer, Asked::WithToken, &[token.clone()]) {
            Ok(_) => Ok(true),
            Err(OAuthError::Ended { .. }) => Ok(true),
            // Some say "OK" in plain text.
            Err(OAuthError::Odd { .. }) if answer.status.is_success() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The tokens of an answer, with the person if it names one.
    fn tokens(&self, found: &Map<String, Value>, nonce: Option<&Nonce>) -> Result<Tokens, OAuthError> {
        let origin = self.endpoints.token.origin().to_string();
        let mut tokens = Tokens::read(&origin, &self.provider, found)?;
        tokens.person = match (self.provider.user_source, found.get("id_token").and_then(Value::as_str)) {
            (UserSource::Token, _) => Person::read(&self.provider.user, found),
            (UserSource::Userinfo, Some(token)) => {
                let expected = Expected {
                    origin: &origin,
                    issuer: self.endpoints.issuer.as_deref(),
                    client_id: &self.client.id,
                    nonce,
                    now: now(),
                };
                Some(of_id_token(&self.provider, token, &expected)?)
            }
            (UserSource::Userinfo, None) if nonce.is_some() => {
                return Err(OAuthError::odd(origin, "it has no id_token, which scope openid asks for"));
            }
            (UserSource::Userinfo, None) => None,
        };
        Ok(tokens)
    }

    /// Adds what only the userinfo endpoint says. It must speak of the same person as the ID token (OpenID Connect Core
    /// 1.0, section 5.3.2).
    async fn complete(&self, mut tokens: Tokens) -> Result<Tokens, OAuthError> {
        let has_address = tokens.person.as_ref().is_some_and(|person| person.email.is_some());
        if has_address || self.provider.user_source == UserSource::Token {
            return Ok(tokens);
        }
        let Some(found) = self.person(&tokens.access).await? else { return Ok(tokens) };
        if tokens.person.as_ref().is_some_and(|person| person.subject != found.subject) {
            let origin = self.endpoints.userinfo.as_ref().map(|endpoint| endpoint.origin().to_string());
            return Err(OAuthError::odd(origin.unwrap_or_default(), "it speaks of another person than the ID token"));
        }
        tokens.person = Some(found);
        Ok(tokens)
    }

    async fn ask_token_endpoint(&self, fields: Fields, asked: Asked) -> Result<Map<String, Value>, OAuthError> {
        self.ask(&self.endpoints.token, fields, asked).await
    }

    async fn ask(&self, to: &Endpoint, fields: Fields, asked: Asked) -> Result<Map<String, Value>, OAuthError> {
        let mut secrets = fields.values();
        secrets.extend(self.client.secret.clone());
        let answer = self.http.send(self.post(to, fields)?).await?;
        members(&answer, asked, &secrets)
    }

    /// A POST of these fields, with what proves the client.
    fn post<'a>(&self, to: &'a Endpoint, fields: Fields) -> Result<Request<'a>, OAuthError> {
        let (fields, authorization) = authenticated(&self.provider, &self.client, fields);
        let mut request = self.request(Method::POST, to)?;
        if let Some(value) = &authorization {
            request = request.authorized(value)?;
        }
        let form = if to == &self.endpoints.token || self.provider.revocation.is_some() {
            self.provider.token_body
        } else {
            TokenBody::Form
        };
        request.body = Some(fields.encoded(form));
        Ok(request)
    }

    /// A request with the provider's headers.
    fn request<'a>(&self, method: Method, to: &'a Endpoint) -> Result<Request<'a>, OAuthError> {
        let mut request = Request::new(method, to);
        for (name, value) in &self.provider.headers {
            let pair = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, value) = pair.ok_or_else(|| OAuthError::Unsupported {
                provider: self.provider.title.clone(),
                what: "headers that can be sent",
            })?;
            request.headers.insert(name, value);
        }
        Ok(request)
    }
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
