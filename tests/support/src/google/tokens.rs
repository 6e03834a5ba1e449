//! Bearer tokens.

use serde_json::{Value, json};

use super::answer::Failure;
use super::{USER, clock};

/// The lifetime of an access token in seconds; the same as Google's.
pub(crate) const LIFETIME_S: u64 = 3_599;

/// The default scopes of a sign-in.
const SCOPES: [&str; 4] = [
    "email",
    "profile",
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/calendar.readonly",
];

/// A valid token, and its scopes.
struct Token {
    text: String,
    scopes: Vec<String>,
    account: String,
    /// When it ends, if it does by itself.
    ends_ms: Option<u64>,
}

/// The issued tokens. Deliberately without `Debug`.
pub(crate) struct Tokens {
    accepted: Vec<Token>,
    expired: Vec<String>,
    refresh: Vec<String>,
    /// Refresh tokens that were replaced.
    replaced: Vec<String>,
    /// Whether each renewal replaces the refresh token.
    pub(crate) rotate: bool,
    /// Whether renewals omit optional fields: a time of expiry, and an unchanged refresh token.
    pub(crate) terse: bool,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Vec::new(),
            expired: Vec::new(),
            refresh: Vec::new(),
            replaced: Vec::new(),
            rotate: false,
            terse: false,
        }
    }

    pub(crate) fn issue(&mut self) -> String {
        self.issue_for(&SCOPES)
    }

    pub(crate) fn issue_for(&mut self, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        self.add(USER, &scopes, None)
    }

    /// A token of an account's, which ends by itself.
    pub(crate) fn issue_to(&mut self, account: &str, scopes: &[String], ends_ms: u64) -> String {
        self.add(account, scopes, Some(ends_ms))
    }

    fn add(&mut self, account: &str, scopes: &[String], ends_ms: Option<u64>) -> String {
        let text = format!("ya29.{}", random());
        let (account, scopes) = (account.to_owned(), scopes.to_vec());
        self.accepted.push(Token { text: text.clone(), scopes, account, ends_ms });
        text
    }

    /// Ends the tokens whose time has come.
    pub(crate) fn end_until(&mut self, now_ms: u64) {
        let ended = self.accepted.extract_if(.., |token| token.ends_ms.is_some_and(|end| end <= now_ms));
        self.expired.extend(ended.map(|token| token.text));
    }

    /// Ends the tokens of an account.
    pub(crate) fn end_all_of(&mut self, account: &str) {
        let ended = self.accepted.extract_if(.., |token| token.account == account);
        self.expired.extend(ended.map(|token| token.text));
    }

    /// Whose token it is, if it is valid.
    pub(crate) fn account(&self, token: &str) -> Option<String> {
        self.accepted.iter().find(|good| good.text == token).map(|good| good.account.clone())
    }

    pub(crate) fn issue_refresh(&mut self) -> String {
        let token = format!("1//{}", random());
        self.refresh.push(token.clone());
        token
    }

    pub(crate) fn expire(&mut self) {
        self.expired.extend(self.accepted.drain(..).map(|token| token.text));
    }

    /// The scopes of a token, if it is valid.
    pub(crate) fn scopes(&self, token: &str) -> Option<&[String]> {
        self.accepted.iter().find(|good| good.text == token).map(|good| good.scopes.as_slice())
    }

    /// Whether `text` contains any token ever issued, of either kind.
    pub(crate) fn any_in(&self, text: &str) -> bool {
        let accepted = self.accepted.iter().map(|token| &token.text);
        let others = [&self.expired, &self.refresh, &self.replaced].into_iter().flatten();
        accepted.chain(others).any(|token| text.contains(token.as_str()))
    }

    /// The answer to `{"refreshToken": "…"}`: a new access token.
    pub(crate) fn renew(&mut self, body: &[u8]) -> Result<Value, Failure> {
        let body: Value = serde_json::from_slice(body).map_err(|error| Failure::invalid(&error.to_string()))?;
        let Some(refresh) = body["refreshToken"].as_str() else {
            return Err(Failure::invalid("refreshToken is missing"));
        };
        let Some(place) = self.refresh.iter().position(|good| good == refresh) else {
            return Err(Failure::unauthenticated("Token has been expired or revoked."));
        };
        let refresh = if self.rotate {
            self.replaced.push(self.refresh.remove(place));
            self.issue_refresh()
        } else {
            refresh.to_owned()
        };
        let token = self.issue();
        let mut info = json!({ "token": token, "tokenType": "Bearer", "scope": SCOPES, "expiresIn": LIFETIME_S });
        if self.terse {
            info["refreshToken"] = if self.rotate { refresh.into() } else { Value::Null };
        } else {
            info["expiresAt"] = (clock::now_ms() + LIFETIME_S * 1000).into();
            info["refreshToken"] = refresh.into();
        }
        Ok(json!({ "success": true, "tokenInfo": info }))
    }
}

/// 128 random bits, in hexadecimal.
pub(crate) fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers, or nothing here could run");
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
