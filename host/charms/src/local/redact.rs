//! A handler's error may quote what the handler knows, its secrets too. They must not get into the run history.

use bg_poller::Outcome;

use crate::SECRET_MASK;

/// Shorter texts are no secrets that anybody would accept, and would be found all over a message.
const SHORTEST: usize = 6;

/// The outcome with [`SECRET_MASK`] in place of each of these texts.
pub(super) fn redact(mut outcome: Outcome, mut secrets: Vec<String>) -> Outcome {
    // Longer ones first, so that none is left in part because another is part of it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
        for text in [&mut outcome.message, &mut outcome.stack].into_iter().flatten() {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), SECRET_MASK);
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use bg_poller::OutcomeKind;

    use super::*;

    #[test]
    fn secrets_are_taken_out_of_messages_and_stacks() {
        let outcome = Outcome::failure(OutcomeKind::HandlerFailed, "401 for ya29.token-2 and ya29.token, no")
            .with_stack(Some("at f (ya29.token)".into()));
        let secrets = ["no", "ya29.token", "ya29.token-2", ""].map(str::to_owned).to_vec();
        let redacted = redact(outcome, secrets);
        assert_eq!(redacted.message.as_deref(), Some("401 for (secret) and (secret), no"));
        assert_eq!(redacted.stack.as_deref(), Some("at f ((secret))"));
    }
}
