//! A handler's error and its log may quote what the handler knows, its secrets too. They must not get into what is kept
//! of runs.

use bg_identity::{Secret, mask};
use bg_poller::{LogLine, Outcome};

/// The outcome, with its secrets masked.
pub fn redact(mut outcome: Outcome, secrets: &[Secret]) -> Outcome {
    for text in [&mut outcome.message, &mut outcome.stack].into_iter().flatten() {
        *text = mask(text, secrets).into_owned();
    }
    let is_secret = |origin: &str| mask(origin, secrets) != origin;
    outcome.servers.answered.retain(|origin| !is_secret(origin));
    outcome.servers.failed = outcome.servers.failed.filter(|failed| !is_secret(&failed.origin));
    outcome
}

/// The same for lines of a log.
pub fn lines(lines: &mut [LogLine], secrets: &[Secret]) {
    for line in lines {
        line.text = mask(&line.text, secrets).into_owned();
    }
}

#[cfg(test)]
mod tests {
    use bg_poller::OutcomeKind;

    use super::*;

    #[test]
    fn secrets_are_taken_out_of_messages_and_stacks() {
        let outcome = Outcome::failure(OutcomeKind::HandlerFailed, "401 for ya29.token, no")
            .with_stack(Some("at f (ya29.token)".into()));
        let redacted = redact(outcome, &["no", "ya29.token"].map(|text| Secret::new(text.to_owned())));
        assert_eq!(redacted.message.as_deref(), Some("401 for (secret), no"));
        assert_eq!(redacted.stack.as_deref(), Some("at f ((secret))"));
    }
}
