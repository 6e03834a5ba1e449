//! The names of integrations.

use std::str::FromStr;
use std::sync::Arc;

use crate::shown::Shown;
use crate::text::written_as_text;

/// Enough for a name, and allowed as the label of a metric and as a folder's name.
const MAX_CHARS: usize = 64;

/// The name of an integration, such as `gmail`: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or a
/// digit. Upper and lower case are different.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrationId(Arc<str>);

/// A text that is not the name of an integration. The message shows the text and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not the name of an integration: {problem}; a name looks like gmail or my-test")]
pub struct ParseIntegrationIdError {
    shown: Shown,
    problem: IntegrationIdProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum IntegrationIdProblem {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {MAX_CHARS} characters")]
    TooLong,
    #[error("it does not start with a letter from a to z or a digit")]
    Start,
    #[error("it has a character that is not a letter from a to z, a digit, '.', '_' or '-'")]
    Character,
}

impl IntegrationId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IntegrationId {
    type Err = ParseIntegrationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match check(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(problem) => Err(ParseIntegrationIdError { shown: Shown::new(text), problem }),
        }
    }
}

written_as_text!(
    IntegrationId,
    ParseIntegrationIdError,
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "The name of an integration.",
    "gmail"
);

fn check(text: &str) -> Result<(), IntegrationIdProblem> {
    let first = text.bytes().next().ok_or(IntegrationIdProblem::Empty)?;
    if text.len() > MAX_CHARS {
        return Err(IntegrationIdProblem::TooLong);
    }
    if !first.is_ascii_alphanumeric() {
        return Err(IntegrationIdProblem::Start);
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        Ok(())
    } else {
        Err(IntegrationIdProblem::Character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_parsed() {
        for text in ["gmail", "my-test", "a", "7", "Google.Calendar_v2", &"x".repeat(64)] {
            assert_eq!(text.parse::<IntegrationId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_with_a_name() {
        let long = "x".repeat(65);
        let cases = [
            ("", IntegrationIdProblem::Empty),
            (&long, IntegrationIdProblem::TooLong),
            ("..", IntegrationIdProblem::Start),
            ("-rf", IntegrationIdProblem::Start),
            ("é", IntegrationIdProblem::Start),
            ("a/b", IntegrationIdProblem::Character),
            ("a b", IntegrationIdProblem::Character),
            ("a=b", IntegrationIdProblem::Character),
            ("a\0", IntegrationIdProblem::Character),
        ];
        for (text, problem) in cases {
            assert_eq!(text.parse::<IntegrationId>().unwrap_err().problem, problem, "{text}");
        }
    }
}
