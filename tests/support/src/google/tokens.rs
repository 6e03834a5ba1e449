//! Bearer tokens.

use serde_json::{Value, json};

use super::answer::Failure;
use super::clock;

/// How long an access token is said to be good, seconds. Google says the same.
const LIFETIME_S: u64 = 3_599;

/// What was handed out. Deliberately without `Debug`.
pub(crate) struct Tokens {
    accepted: Vec<String>,
    expired: Vec<String>,
    refresh: Vec<String>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self { accepted: Vec::new(), expired: Vec::new(), refresh: Vec::new() }
    }

    pub(crate) fn issue(&mut self) -> String {
        let token = format!("ya29.{}", random());
        self.accepted.push(token.clone());
        token
    }

    pub(crate) fn issue_refresh(&mut self) -> String {
        let token = format!("1//{}", random());
        self.refresh.push(token.clone());
        token
    }

    pub(crate) fn expire(&mut self) {
        self.expired.append(&mut self.accepted);
    }

    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.accepted.iter().any(|good| good == token)
    }

    /// Whether any token ever handed out, of either kind, stands in `text`.
    pub(crate) fn any_in(&self, text: &str) -> bool {
        [&self.accepted, &self.expired, &self.refresh].into_iter().flatten().any(|token| text.contains(token.as_str()))
    }

    /// The answer to `{"refreshToken": "…"}`: a new access token.
    pub(crate) fn renew(&mut self, body: &[u8]) -> Result<Value, Failure> {
        let body: Value = serde_json::from_slice(body).map_err(|error| Failure::invalid(&error.to_string()))?;
        let Some(refresh) = body["refreshToken"].as_str() else {
            return Err(Failure::invalid("refreshToken is missing"));
        };
        if !self.refresh.iter().any(|good| good == refresh) {
            return Err(Failure::unauthenticated("Token has been expired or revoked."));
        }
        Ok(json!({ "success": true, "tokenInfo": {
            "token": self.issue(),
            "tokenType": "Bearer",
            "scope": ["email", "profile", "https://www.googleapis.com/auth/gmail.readonly",
                      "https://www.googleapis.com/auth/calendar.readonly"],
            "expiresIn": LIFETIME_S,
            "expiresAt": clock::now_ms() + LIFETIME_S * 1000,
            "refreshToken": refresh,
        }}))
    }
}

/// 128 random bits, in hexadecimal.
fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers, or nothing here could run");
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
