//! What a provider's errors mean for a charm, or for a sign-in.

use bg_oauth::{Class, OAuthError};
use bg_poller::{Cause, RuntimeError};
use bg_store::Account;

use super::Missing;

/// A week, and how far from it a provider's own clock may end a grant.
const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
const ABOUT_MS: u64 = 12 * 60 * 60 * 1_000;

/// A renewal that failed: what the charm's poll ends with, a code for the account, and whether it has ended for good.
pub(super) struct Trouble {
    pub(super) error: RuntimeError,
    pub(super) code: String,
    pub(super) ended: bool,
}

impl Trouble {
    /// Of an account, whose renewal failed so.
    pub(super) fn of(account: &Account, missing: Missing) -> Self {
        match missing {
            Missing::Client(error) => Self { error, code: "no_client".to_owned(), ended: false },
            Missing::Provider(error) => Self::of_provider(account, &error),
        }
    }

    /// The same for what the provider says.
    pub(super) fn of_provider(account: &Account, error: &OAuthError) -> Self {
        let code = error.code().unwrap_or(match error.class() {
            Class::Temporary => "unreachable",
            Class::Ended | Class::Refused => "ended",
            Class::WrongClient => "wrong_client",
            Class::Odd => "odd_answer",
        });
        let (code, text) = (code.to_owned(), format!("the token of {} cannot be renewed: {error}", shown(account)));
        let (error, ended) = match error.class() {
            Class::Ended | Class::Refused => (ended(account, &code), true),
            Class::WrongClient => (RuntimeError::unmet(Cause::WrongClient, text), false),
            Class::Temporary if error.retry_after().is_some() || is_busy(error) => {
                (RuntimeError::unavailable_by(Cause::TokenServiceBusy, text), false)
            }
            Class::Temporary | Class::Odd => (RuntimeError::unavailable_by(Cause::TokenServiceFails, text), false),
        };
        Self { error, code, ended }
    }
}

fn is_busy(error: &OAuthError) -> bool {
    matches!(error, OAuthError::Busy { status: 429, .. })
}

/// An account, for people.
pub(super) fn shown(account: &Account) -> String {
    format!("the account {} ({})", account.id, bg_identity::printable(&account.label))
}

/// The error of an account whose authorization has ended, with the likely reason.
pub(super) fn ended(account: &Account, code: &str) -> RuntimeError {
    RuntimeError::unmet(Cause::SignInEnded, ended_text(account, code))
}

/// Its text.
pub(super) fn ended_text(account: &Account, code: &str) -> String {
    let why = likely(account).map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "the authorization of {} has ended: {code}{why}; sign in again: bg-wasm-host oauth login {} --account {}",
        shown(account),
        account.provider,
        account.id
    )
}

/// Why an authorization has probably ended, by what is known of its provider.
fn likely(account: &Account) -> Option<String> {
    if account.provider != "google" {
        return None;
    }
    let ended = account.ended_at.unwrap_or_else(bg_poller::UnixMillis::now);
    let lived = ended.0.saturating_sub(account.signed_in_at.0);
    let mut why = Vec::new();
    if lived.abs_diff(WEEK_MS) < ABOUT_MS {
        why.push(
            "that was seven days after the sign-in: is the Google app still in \"Testing\"? Publish it".to_owned(),
        );
    }
    if account.scopes.iter().any(|scope| scope.contains("/auth/gmail") || scope.contains("mail.google.com")) {
        why.push(if why.is_empty() {
            "it was withdrawn, or the password was changed, which ends it where mail may be read".to_owned()
        } else {
            "or the password was changed".to_owned()
        });
    }
    if why.is_empty() {
        why.push("it was withdrawn, or not used for six months".to_owned());
    }
    Some(why.join("; "))
}

/// What a sign-in that fails ends with.
pub(super) fn sign_in_failed(error: &OAuthError) -> RuntimeError {
    let text = error.to_string();
    match error.class() {
        Class::Temporary => RuntimeError::unavailable_by(Cause::TokenServiceFails, text),
        Class::WrongClient => RuntimeError::unmet(Cause::WrongClient, text),
        Class::Ended | Class::Refused | Class::Odd => RuntimeError::Invalid(text),
    }
}

impl From<Missing> for RuntimeError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Client(error) => error,
            Missing::Provider(error) => sign_in_failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bg_poller::UnixMillis;

    use super::*;

    fn account(provider: &str, days: u64, scopes: &[&str]) -> Account {
        Account {
            id: format!("{provider}-1"),
            provider: provider.to_owned(),
            subject: "7".to_owned(),
            label: "ann@example.com".to_owned(),
            client: "c".to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            generation: 1,
            signed_in_at: UnixMillis(1_764_000_000_000),
            renewed_at: UnixMillis(1_764_000_000_000),
            expires_at: None,
            is_renewable: true,
            ended_at: Some(UnixMillis(1_764_000_000_000 + days * 24 * 60 * 60 * 1_000)),
            error: None,
            links: Vec::new(),
        }
    }

    #[test]
    fn an_ended_authorization_says_the_likely_reason_and_the_command() {
        let mail = "https://www.googleapis.com/auth/gmail.readonly";
        for (account, expected, other) in [
            (account("google", 7, &["email"]), "still in \"Testing\"", "password"),
            (account("google", 7, &[mail]), "or the password was changed", "six months"),
            (account("google", 30, &[mail]), "the password was changed", "Testing"),
            (account("google", 200, &["email"]), "not used for six months", "Testing"),
            (account("github", 7, &[]), "has ended: invalid_grant; sign in", "Testing"),
        ] {
            let text = ended_text(&account, "invalid_grant");
            assert!(text.contains(expected) && !text.contains(other), "{text}");
            let command = format!("bg-wasm-host oauth login {0} --account {0}-1", account.provider);
            assert!(text.ends_with(&command) && text.contains("(ann@example.com)"), "{text}");
        }
    }
}
