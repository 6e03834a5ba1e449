//! The operator's login: by the login token, or by a session that began with it.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bg_identity::Secret;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use sha2::{Digest, Sha256};

/// Random bytes in a token or a session: too many to guess.
const RANDOM_BYTES: usize = 32;
/// The shortest token that an operator may choose, bytes.
const SHORTEST_TOKEN: usize = 16;
/// The longest one, bytes: far less than a header may have.
const LONGEST_TOKEN: usize = 512;
/// How long a session lasts after its last request.
const SESSION: Duration = Duration::from_hours(12);
/// The limit of sessions; the one that was idle longest makes room.
const MOST_SESSIONS: usize = 200;
/// Browsers accept a cookie with this prefix only from this host, over TLS.
const SECURE_PREFIX: &str = "__Host-";

/// The operator's login token. It is never logged.
#[derive(Clone)]
pub struct LoginToken {
    digest: Fingerprint,
    /// Unknown if an earlier process handed the token over.
    text: Option<Secret>,
}

/// A text that cannot be a login token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a login token has {SHORTEST_TOKEN} to {LONGEST_TOKEN} printable ASCII characters and no spaces, so that nobody \
     guesses it"
)]
pub struct LoginTokenError;

/// The system provides no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system provides no random bytes for a login token: {0}")]
pub struct RandomError(getrandom::Error);

impl LoginToken {
    /// A new token, from the system's random bytes.
    pub fn random() -> Result<Self, RandomError> {
        random_text().map(|text| Self::of(Secret::new(text))).map_err(RandomError)
    }

    /// A token that the operator has chosen.
    pub fn chosen(token: Secret) -> Result<Self, LoginTokenError> {
        let text = token.expose();
        let is_long_enough = (SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&text.len());
        if is_long_enough && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self::of(token))
        } else {
            Err(LoginTokenError)
        }
    }

    fn of(text: Secret) -> Self {
        Self { digest: fingerprint(text.expose()), text: Some(text) }
    }

    /// The text, for the operator only; `None` if an earlier process handed the token over.
    pub fn expose(&self) -> Option<&str> {
        self.text.as_ref().map(Secret::expose)
    }
}

impl PartialEq for LoginToken {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginToken(…)")
    }
}

fn random_text() -> Result<String, getrandom::Error> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// A digest of a secret text. Comparing digests leaks nothing about the texts through timing.
type Fingerprint = [u8; 32];

fn fingerprint(text: &str) -> Fingerprint {
    Sha256::digest(text.as_bytes()).into()
}

/// How a request proves that it is the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// By the token, which browsers do not add on their own.
    Token,
    /// By a session's cookie, which browsers also add to requests of other pages.
    Session,
}

/// The sessions of a token. Clones share them. A process that replaces itself hands them over.
#[derive(Clone, Debug, Default)]
pub struct LoginSessions(Arc<Mutex<HashMap<Fingerprint, Instant>>>);

impl LoginSessions {
    /// The token and all sessions as text: digests, which reveal neither the token nor a cookie, and how long ago each
    /// was used.
    pub fn save(&self, token: &LoginToken) -> String {
        let now = Instant::now();
        let mut text = format!("{}\n", HEXLOWER.encode(&token.digest));
        for (session, used) in self.lock().iter() {
            let idle = now.saturating_duration_since(*used).as_secs();
            // Writing to a string can't fail.
            let _ = writeln!(text, "{} {idle}", HEXLOWER.encode(session));
        }
        text
    }

    /// Reads what [`save`](Self::save) wrote; `None` for anything else.
    pub fn load(text: &str) -> Option<(LoginToken, Self)> {
        let now = Instant::now();
        let digest = |text: &str| Fingerprint::try_from(HEXLOWER.decode(text.as_bytes()).ok()?).ok();
        let session = |line: &str| {
            let (session, idle) = line.split_once(' ')?;
            Some((digest(session)?, now.checked_sub(Duration::from_secs(idle.parse().ok()?))?))
        };
        let (token, sessions) = text.split_once('\n')?;
        let sessions: Option<HashMap<_, _>> = sessions.lines().map(session).take(MOST_SESSIONS).collect();
        Some((LoginToken { digest: digest(token)?, text: None }, Self(Arc::new(Mutex::new(sessions?)))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token and its sessions. They outlive the process only if [`LoginSessions`] are handed over.
pub(crate) struct Logins {
    token: Fingerprint,
    cookie: String,
    sessions: LoginSessions,
}

impl Logins {
    /// `port` makes the cookie's name unique: browsers send the cookies of a host to all its ports.
    pub(crate) fn new(token: &LoginToken, port: u16, sessions: LoginSessions) -> Self {
        let cookie = format!("bg-wasm-host-{port}");
        Self { token: token.digest, cookie, sessions }
    }

    /// Whether a text is the token.
    pub(crate) fn is_token(&self, text: &str) -> bool {
        fingerprint(text) == self.token
    }

    /// Begins a session, and returns its cookie. `secure`: whether the browser uses TLS; the cookie is then only sent
    /// over TLS.
    pub(crate) fn begin(&self, now: Instant, secure: bool) -> Result<String, RandomError> {
        let session = random_text().map_err(RandomError)?;
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, used| now.duration_since(*used) < SESSION);
        if sessions.len() >= MOST_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, used)| **used).map(|(session, _)| *session)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(fingerprint(&session), now);
        Ok(self.set_cookie(&session, secure))
    }

    /// Ends the session of a request, and returns the cookie that deletes it.
    pub(crate) fn end(&self, headers: &HeaderMap, secure: bool) -> String {
        let mut sessions = self.sessions.lock();
        for session in self.cookies(headers) {
            sessions.remove(&fingerprint(session));
        }
        format!("{}; Max-Age=0", self.set_cookie("", secure))
    }

    fn set_cookie(&self, value: &str, secure: bool) -> String {
        let (prefix, attribute) = if secure { (SECURE_PREFIX, "; Secure") } else { ("", "") };
        format!("{prefix}{}={value}; Path=/; HttpOnly; SameSite=Strict{attribute}", self.cookie)
    }

    /// How a request proves that it is the operator's, if it does. Renews its session.
    pub(crate) fn of(&self, headers: &HeaderMap, now: Instant) -> Option<Login> {
        if bearer(headers).is_some_and(|token| self.is_token(token)) {
            return Some(Login::Token);
        }
        let mut sessions = self.sessions.lock();
        for session in self.cookies(headers) {
            if let Some(used) = sessions.get_mut(&fingerprint(session))
                && now.duration_since(*used) < SESSION
            {
                *used = now;
                return Some(Login::Session);
            }
        }
        None
    }

    fn cookies<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let is_ours = |name: &str| name.strip_prefix(SECURE_PREFIX).unwrap_or(name) == self.cookie;
        pairs.filter(move |(name, _)| is_ours(name)).map(|(_, value)| value)
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> (Logins, LoginToken) {
        let token = LoginToken::random().unwrap();
        (Logins::new(&token, 8000, LoginSessions::default()), token)
    }

    fn with(name: http::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    fn value_of(cookie: &str) -> String {
        cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn only_the_token_and_its_sessions_are_the_operators() {
        let (logins, token) = logins();
        let now = Instant::now();
        let text = token.expose().unwrap();
        assert_eq!(logins.of(&with(AUTHORIZATION, &format!("Bearer {text}")), now), Some(Login::Token));
        assert_eq!(logins.of(&with(AUTHORIZATION, &format!("bearer  {text}")), now), Some(Login::Token));
        for wrong in [format!("Bearer {}", &text[1..]), format!("Basic {text}"), text.to_owned(), "Bearer ".to_owned()]
        {
            assert_eq!(logins.of(&with(AUTHORIZATION, &wrong), now), None, "{wrong}");
        }
        let set = logins.begin(now, false).unwrap();
        assert!(set.contains("; HttpOnly; SameSite=Strict") && !set.contains(text), "{set}");
        let session = value_of(&set);
        assert_eq!(logins.of(&with(COOKIE, &format!("a=b; {session}; c=d")), now), Some(Login::Session));
        let secure = logins.begin(now, true).unwrap();
        assert!(secure.starts_with("__Host-") && secure.ends_with("; Secure"), "{secure}");
        assert_eq!(logins.of(&with(COOKIE, &value_of(&secure)), now), Some(Login::Session));
        for wrong in
            [session.replace("8000", "8001"), format!("{session}x"), format!("bg-wasm-host-8000={text}"), String::new()]
        {
            assert_eq!(logins.of(&with(COOKIE, &wrong), now), None, "{wrong}");
        }
        assert_eq!(logins.of(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_session_ends_at_logout_and_when_it_is_idle_for_long() {
        let (logins, _) = logins();
        let now = Instant::now();
        let [one, other] = [0; 2].map(|_| with(COOKIE, &value_of(&logins.begin(now, false).unwrap())));
        let later = now + SESSION / 2;
        assert_eq!(logins.of(&one, later), Some(Login::Session));
        assert_eq!(logins.of(&one, later + SESSION / 2), Some(Login::Session));
        assert_eq!(logins.of(&other, now + SESSION), None);
        assert!(logins.end(&one, false).ends_with("Max-Age=0"));
        assert_eq!(logins.of(&one, later + SESSION / 2), None);
    }

    #[test]
    fn handed_over_sessions_still_work_and_reveal_no_secret() {
        let token = LoginToken::random().unwrap();
        let (sessions, now) = (LoginSessions::default(), Instant::now());
        let before = Logins::new(&token, 8000, sessions.clone());
        let session = value_of(&before.begin(now, false).unwrap());
        let text = sessions.save(&token);
        let (_, cookie) = session.split_once('=').unwrap();
        assert!(!text.contains(token.expose().unwrap()) && !text.contains(cookie), "{text}");
        let (same, sessions) = LoginSessions::load(&text).unwrap();
        assert!(same == token && same.expose().is_none());
        let after = Logins::new(&same, 8000, sessions);
        assert_eq!(after.of(&with(COOKIE, &session), now), Some(Login::Session));
        assert!(after.is_token(token.expose().unwrap()) && !after.is_token("another"));
        // A digest is neither.
        let digest = text.lines().next().unwrap();
        assert!(!after.is_token(digest));
        assert_eq!(after.of(&with(COOKIE, &format!("bg-wasm-host-8000={digest}")), now), None);
        for broken in ["", "x", &text[1..], &text.replace(' ', "")] {
            assert!(LoginSessions::load(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn the_session_that_was_idle_longest_makes_room() {
        let (logins, _) = logins();
        let now = Instant::now();
        let sessions: Vec<HeaderMap> = (0..=MOST_SESSIONS)
            .map(|number| {
                let at = now + Duration::from_secs(number as u64);
                with(COOKIE, &value_of(&logins.begin(at, false).unwrap()))
            })
            .collect();
        let later = now + Duration::from_mins(10);
        assert_eq!(logins.of(&sessions[0], later), None);
        assert_eq!(logins.of(&sessions[1], later), Some(Login::Session));
        assert_eq!(logins.of(&sessions[MOST_SESSIONS], later), Some(Login::Session));
    }

    #[test]
    fn a_chosen_token_is_long_enough_and_fits_into_a_header() {
        for (text, is_good) in [
            ("0123456789abcdef", true),
            ("0123456789abcde", false),
            ("0123456789 abcdef", false),
            ("0123456789abcdéf", false),
            ("", false),
        ] {
            assert_eq!(LoginToken::chosen(Secret::new(text.to_owned())).is_ok(), is_good, "{text}");
        }
        assert!(LoginToken::chosen(Secret::new("x".repeat(513))).is_err());
        assert!(!format!("{:?}", LoginToken::random().unwrap()).contains('_'));
    }
}
