//! Google's authorization server: consent, tokens, revocation.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::answer::body_of;
use super::tokens::{LIFETIME_S, random};
use super::{Google, Query, USER};

pub(crate) const CLIENT_ID: &str = "4711-desktop.apps.googleusercontent.com";
pub(crate) const CLIENT_SECRET: &str = "GOCSPX-not-really-secret";
const AUTHORIZATION: &str = "/o/oauth2/v2/auth";
const TOKEN: &str = "/token";
const REVOCATION: &str = "/revoke";
const USERINFO: &str = "/v1/userinfo";
/// Which an ID token names, wherever the server is.
const ISSUER: &str = "https://accounts.google.com";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A refresh token of an app in testing ends after this, if it is for more than name and address.
const TESTING_MS: u64 = 7 * DAY_MS;
/// One that nobody uses ends after this: six months.
const UNUSED_MS: u64 = 182 * DAY_MS;
/// The most refresh tokens of one account and client. One more ends the oldest.
const MAX_GRANTS: usize = 100;

/// A code that was not exchanged yet.
struct Code {
    text: String,
    account: String,
    redirect: String,
    challenge: String,
    nonce: Option<String>,
    scopes: Vec<String>,
    gives_refresh: bool,
}

/// A refresh token.
struct Grant {
    refresh: String,
    account: String,
    scopes: Vec<String>,
    granted_ms: u64,
    used_ms: u64,
}

/// The authorization server's data.
pub(crate) struct OAuth {
    codes: Vec<Code>,
    /// Codes that were exchanged, with the refresh token that they gave.
    used: Vec<(String, Option<String>)>,
    grants: Vec<Grant>,
    /// Accounts that have agreed before: without `prompt=consent` they get no further refresh token.
    consented: Vec<String>,
    /// Who signs in next.
    pub(crate) account: String,
    /// Scopes that the person ticks off.
    pub(crate) withheld: Vec<String>,
    /// Whether the person refuses.
    pub(crate) denies: bool,
    /// Whether the app is still "in testing".
    pub(crate) in_testing: bool,
    /// How many of the next requests to the token endpoint are answered with 503.
    pub(crate) outages: usize,
    /// The requests to the token endpoint by grant type, as `refresh_token 200`.
    pub(crate) exchanges: Vec<String>,
}

impl OAuth {
    pub(crate) fn new() -> Self {
        Self {
            codes: Vec::new(),
            used: Vec::new(),
            grants: Vec::new(),
            consented: Vec::new(),
            account: USER.to_owned(),
            withheld: Vec::new(),
            denies: false,
            in_testing: false,
            outages: 0,
            exchanges: Vec::new(),
        }
    }

    /// Ends the grants of an account, as the person does at "third-party access". With `gmail_only`: as a changed
    /// password does.
    pub(crate) fn end_grants(&mut self, account: &str, gmail_only: bool) {
        let reads_mail = |grant: &Grant| grant.scopes.iter().any(|scope| scope.contains("/auth/gmail."));
        self.grants.retain(|grant| grant.account != account || gmail_only && !reads_mail(grant));
    }

    /// All refresh tokens, codes and the client's secret: what must be found nowhere.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let codes = self.codes.iter().map(|code| code.text.clone()).chain(self.used.iter().map(|used| used.0.clone()));
        let grants = self.grants.iter().map(|grant| grant.refresh.clone());
        let ended = self.used.iter().filter_map(|used| used.1.clone());
        codes.chain(grants).chain(ended).chain([CLIENT_SECRET.to_owned()]).collect()
    }
}

impl Google {
    /// The answer, if the path is one of the authorization server's.
    pub(super) fn oauth_route(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Response> {
        match (method, uri.path()) {
            (&Method::GET, AUTHORIZATION) => Some(self.authorize(&Query::parse(uri.query().unwrap_or_default(), 0))),
            (&Method::POST, TOKEN) => Some(self.exchange(headers, body)),
            (&Method::POST, REVOCATION) => Some(self.revoke(uri, body)),
            (&Method::GET, USERINFO) => Some(self.userinfo(headers)),
            (_, AUTHORIZATION | TOKEN | REVOCATION | USERINFO) => Some(StatusCode::METHOD_NOT_ALLOWED.into_response()),
            _ => None,
        }
    }

    fn authorize(&mut self, query: &Query) -> Response {
        let get = |name: &str| query.get(name).unwrap_or_default().to_owned();
        // Mistakes that Google shows to the person, rather than to a redirect URL that may be anyone's.
        let blocked = |why: &str| (StatusCode::BAD_REQUEST, format!("Access blocked: {why}")).into_response();
        if get("client_id") != CLIENT_ID {
            return blocked("Error 401: invalid_client");
        }
        let Some(mut redirect) = loopback(&get("redirect_uri")) else {
            return blocked("Error 400: redirect_uri_mismatch");
        };
        if get("response_type") != "code" || get("code_challenge_method") != "S256" || get("code_challenge").len() != 43
        {
            return blocked("Error 400: invalid_request");
        }
        let target = redirect.to_string();
        if self.oauth.denies {
            redirect.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", &get("state"));
            return found(&redirect);
        }
        let account = self.oauth.account.clone();
        let asked = get("scope");
        let scopes: Vec<String> = asked
            .split(' ')
            .filter(|scope| !self.oauth.withheld.iter().any(|one| one == scope))
            .map(long_name)
            .collect();
        let is_first = !self.oauth.consented.contains(&account);
        let gives_refresh = get("access_type") == "offline" && (is_first || get("prompt") == "consent");
        self.oauth.consented.push(account.clone());
        let code = Code {
            text: format!("4/0{}", random()),
            account,
            redirect: target,
            challenge: get("code_challenge"),
            nonce: query.get("nonce").map(str::to_owned),
            scopes,
            gives_refresh,
        };
        redirect
            .query_pairs_mut()
            .append_pair("iss", ISSUER)
            .append_pair("state", &get("state"))
            .append_pair("code", &code.text)
            .append_pair("scope", &code.scopes.join(" "));
        self.oauth.codes.push(code);
        found(&redirect)
    }

    fn exchange(&mut self, headers: &HeaderMap, body: &[u8]) -> Response {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let get =
            |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
        let kind = get("grant_type");
        let answer = if self.oauth.outages > 0 {
            self.oauth.outages -= 1;
            Err((StatusCode::SERVICE_UNAVAILABLE, "", ""))
        } else if !is_client(headers, &get("client_id"), &get("client_secret")) {
            Err((StatusCode::UNAUTHORIZED, "invalid_client", "The provided client secret is invalid."))
        } else {
            match kind.as_str() {
                "authorization_code" => self.exchange_code(&get("code"), &get("redirect_uri"), &get("code_verifier")),
                "refresh_token" => self.exchange_refresh(&get("refresh_token")),
                _ => Err((StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type")),
            }
        };
        let response = match answer {
            Ok(tokens) => body_of(StatusCode::OK, &tokens),
            Err((status, "", _)) => status.into_response(),
            Err((status, code, text)) => body_of(status, &json!({ "error": code, "error_description": text })),
        };
        self.oauth.exchanges.push(format!("{kind} {}", response.status().as_u16()));
        response
    }

    fn exchange_code(&mut self, text: &str, redirect: &str, verifier: &str) -> Exchanged {
        let refused = (StatusCode::BAD_REQUEST, "invalid_grant", "Malformed auth code.");
        if let Some((_, refresh)) = self.oauth.used.iter().find(|(used, _)| used == text) {
            let refresh = refresh.clone();
            self.oauth.grants.retain(|grant| Some(&grant.refresh) != refresh.as_ref());
            return Err(refused);
        }
        let place = self.oauth.codes.iter().position(|code| code.text == text).ok_or(refused)?;
        let code = self.oauth.codes.remove(place);
        if code.redirect != redirect {
            return Err((StatusCode::BAD_REQUEST, "redirect_uri_mismatch", "Bad Request"));
        }
        if code.challenge != challenge(verifier) {
            return Err((StatusCode::BAD_REQUEST, "invalid_grant", "Invalid code verifier."));
        }
        let now = self.now_ms();
        let refresh = code.gives_refresh.then(|| format!("1//{}", random()));
        if let Some(refresh) = &refresh {
            let (account, scopes) = (code.account.clone(), code.scopes.clone());
            self.oauth.grants.push(Grant { refresh: refresh.clone(), account, scopes, granted_ms: now, used_ms: now });
            let same = self.oauth.grants.iter().filter(|grant| grant.account == code.account).count();
            if same > MAX_GRANTS
                && let Some(oldest) = self.oauth.grants.iter().position(|grant| grant.account == code.account)
            {
                self.oauth.grants.remove(oldest);
            }
        }
        self.oauth.used.push((code.text, refresh.clone()));
        let mut answer = self.access(&code.account, &code.scopes, now);
        if let Some(refresh) = refresh {
            answer["refresh_token"] = refresh.into();
        }
        if code.scopes.iter().any(|scope| scope == "openid") {
            answer["id_token"] = id_token(&code.account, code.nonce.as_deref(), now / 1000).into();
        }
        Ok(answer)
    }

    fn exchange_refresh(&mut self, refresh: &str) -> Exchanged {
        let now = self.now_ms();
        let in_testing = self.oauth.in_testing;
        self.oauth.grants.retain(|grant| {
            let is_small = grant.scopes.iter().all(|scope| scope == "openid" || scope.contains("/auth/userinfo."));
            let ended = in_testing && !is_small && now >= grant.granted_ms + TESTING_MS;
            !ended && now < grant.used_ms + UNUSED_MS
        });
        let Some(grant) = self.oauth.grants.iter_mut().find(|grant| grant.refresh == refresh) else {
            return Err((StatusCode::BAD_REQUEST, "invalid_grant", "Token has been expired or revoked."));
        };
        grant.used_ms = now;
        let (account, scopes) = (grant.account.clone(), grant.scopes.clone());
        Ok(self.access(&account, &scopes, now))
    }

    fn access(&mut self, account: &str, scopes: &[String], now: u64) -> Value {
        let token = self.tokens.issue_to(account, scopes, now + LIFETIME_S * 1000);
        json!({ "access_token": token, "expires_in": LIFETIME_S, "scope": scopes.join(" "), "token_type": "Bearer" })
    }

    /// Ends the whole grant, by either of its tokens.
    fn revoke(&mut self, uri: &Uri, body: &[u8]) -> Response {
        let pairs =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).chain(form_urlencoded::parse(body));
        let token = pairs.into_iter().find(|(name, _)| name == "token").map(|(_, value)| value.into_owned());
        let token = token.unwrap_or_default();
        let by_refresh =
            self.oauth.grants.iter().find(|grant| grant.refresh == token).map(|grant| grant.account.clone());
        match by_refresh.or_else(|| self.tokens.account(&token)) {
            Some(account) => {
                self.oauth.end_grants(&account, false);
                self.tokens.end_all_of(&account);
                body_of(StatusCode::OK, &json!({}))
            }
            None => {
                let answer = json!({ "error": "invalid_token", "error_description": "Token expired or revoked" });
                body_of(StatusCode::BAD_REQUEST, &answer)
            }
        }
    }

    fn userinfo(&mut self, headers: &HeaderMap) -> Response {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let account =
            token.and_then(|value| value.strip_prefix("Bearer ")).and_then(|token| self.tokens.account(token));
        match account {
            Some(account) => body_of(StatusCode::OK, &claims(&account)),
            None => body_of(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_request" })),
        }
    }
}

/// Tokens, or status, code and explanation.
type Exchanged = Result<Value, (StatusCode, &'static str, &'static str)>;

fn found(to: &Url) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.as_str())]).into_response()
}

/// The redirect URL of a "Desktop app": the loopback address with any port and path.
fn loopback(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    (url.scheme() == "http" && is_here && url.query().is_none() && url.fragment().is_none()).then_some(url)
}

/// Google answers with the long names of two scopes.
fn long_name(scope: &str) -> String {
    match scope {
        "email" | "profile" => format!("https://www.googleapis.com/auth/userinfo.{scope}"),
        _ => scope.to_owned(),
    }
}

/// Google takes the client's secret in the body or in the header.
fn is_client(headers: &HeaderMap, id: &str, secret: &str) -> bool {
    let in_header = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value == format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"))));
    in_header || id == CLIENT_ID && secret == CLIENT_SECRET
}

fn claims(account: &str) -> Value {
    let name = account.split('@').next().unwrap_or_default();
    json!({ "sub": subject(account), "email": account, "email_verified": true, "name": name })
}

/// Twenty-one digits, as Google's are.
fn subject(account: &str) -> String {
    let sum = account.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("1{sum:020}")
}

fn id_token(account: &str, nonce: Option<&str>, now_s: u64) -> String {
    let mut claims = claims(account);
    claims["iss"] = ISSUER.into();
    claims["aud"] = CLIENT_ID.into();
    claims["azp"] = CLIENT_ID.into();
    claims["iat"] = now_s.into();
    claims["exp"] = (now_s + 3600).into();
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(&json!({ "alg": "RS256", "kid": "fake" })),
        part(&claims),
        URL_SAFE_NO_PAD.encode("signed")
    )
}

/// The challenge of PKCE's method S256.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
