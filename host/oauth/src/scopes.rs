//! Scopes: what is asked for, and what was granted.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// More than any provider knows.
const MAX_SCOPES: usize = 100;
const MAX_SCOPE_BYTES: usize = 300;

/// Scopes in the order in which they were named, each once.
///
/// ```
/// use bg_oauth::Scopes;
///
/// // Providers separate them by spaces or commas.
/// let scopes = Scopes::parse("read,activity:read_all  read").unwrap();
/// assert_eq!(scopes.to_string(), "read activity:read_all");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(Vec<String>);

/// A text that is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It has characters that no scope has.
    #[error("{0:?} is not a scope: 1 to {MAX_SCOPE_BYTES} visible ASCII characters, without quotes, commas and \\")]
    Text(String),
    /// There are too many.
    #[error("there are more than {MAX_SCOPES} scopes")]
    TooMany,
}

impl Scopes {
    /// Scopes from a list.
    pub fn new<I: IntoIterator<Item: Into<String>>>(scopes: I) -> Result<Self, ScopeError> {
        let mut list: Vec<String> = Vec::new();
        for scope in scopes {
            let scope = scope.into();
            if !is_scope(&scope) {
                return Err(ScopeError::Text(scope.chars().take(MAX_SCOPE_BYTES).collect()));
            }
            if list.len() == MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
            if !list.contains(&scope) {
                list.push(scope);
            }
        }
        Ok(Self(list))
    }

    /// Scopes from a text, separated by spaces or commas.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::new(text.split([' ', ',', '\n', '\t']).filter(|scope| !scope.is_empty()))
    }

    /// Scopes from an answer: a text, or a list of texts.
    pub(crate) fn from_answer(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text).ok(),
            Value::Array(list) => {
                Self::new(list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.into_iter().map(str::to_owned))
                    .ok()
            }
            _ => None,
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|one| one == scope)
    }

    /// These and those.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(more.iter().filter(|scope| !self.contains(scope)).map(str::to_owned));
        all
    }

    /// Those of them that fit.
    #[must_use]
    pub(crate) fn filter(&self, fits: impl Fn(&str) -> bool) -> Self {
        Self(self.iter().filter(|scope| fits(scope)).map(str::to_owned).collect())
    }

    pub(crate) fn joined(&self, separator: &str) -> String {
        self.0.join(separator)
    }
}

/// RFC 6749, section 3.3; a comma separates the scopes of some providers.
fn is_scope(text: &str) -> bool {
    (1..=MAX_SCOPE_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b','))
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = ScopeError;

    fn try_from(list: Vec<String>) -> Result<Self, ScopeError> {
        Self::new(list)
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_is_no_scope_is_refused() {
        for text in ["a\"b", "a\\b", "caf\u{e9}", "a\u{1b}[2J", &"x".repeat(301)] {
            assert!(matches!(Scopes::parse(text), Err(ScopeError::Text(_))), "{text}");
        }
        assert_eq!(Scopes::new((0..101).map(|n| format!("s{n}"))), Err(ScopeError::TooMany));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed_again(text in ".{0,200}") {
            if let Ok(scopes) = Scopes::parse(&text) {
                prop_assert_eq!(Scopes::parse(&scopes.to_string()).unwrap(), scopes);
            }
        }
    }
}
