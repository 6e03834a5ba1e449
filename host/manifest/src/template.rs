//! URLs that contain config values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::text::{text_serde, unfit};

const MAX_CHARS: usize = 1000;
const MAX_KEY_CHARS: usize = 64;

/// The URL of a manifest entry, in which `${key}` stands for a config value: `${api-base-url}/v1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Key(String),
}

/// A text that is not a URL with config values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUrlTemplateError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is too long, or has a control character.
    #[error("{0}")]
    Text(String),
    /// A `${` is not closed.
    #[error("there is a ${{ without a }} after it")]
    Open,
    /// The text between `${` and `}` can't be a name.
    #[error("{0:?} is not a config key")]
    Key(String),
}

/// Whether this can be the name of a config value: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or
/// a digit.
pub(crate) fn is_config_key(key: &str) -> bool {
    key.len() <= MAX_KEY_CHARS
        && key.starts_with(|c: char| c.is_ascii_alphanumeric())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl UrlTemplate {
    /// Its config keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with each key replaced by its value, or the first key that has no value.
    ///
    /// A slash at the end of a value and another one right after it are merged: both spellings of a base URL are
    /// common.
    pub(crate) fn fill(&self, values: &BTreeMap<String, String>) -> Result<String, &str> {
        let mut filled = String::new();
        let mut after_value = false;
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    if after_value && filled.ends_with('/') && text.starts_with('/') {
                        filled.pop();
                    }
                    filled.push_str(text);
                    after_value = false;
                }
                Part::Key(key) => {
                    filled.push_str(values.get(key).ok_or(key.as_str())?);
                    after_value = true;
                }
            }
        }
        Ok(filled)
    }
}

impl FromStr for UrlTemplate {
    type Err = ParseUrlTemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseUrlTemplateError::Empty);
        }
        if let Some(problem) = unfit(text, MAX_CHARS) {
            return Err(ParseUrlTemplateError::Text(problem));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (key, behind) = after.split_once('}').ok_or(ParseUrlTemplateError::Open)?;
            if !is_config_key(key) {
                return Err(ParseUrlTemplateError::Key(key.into()));
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::Key(key.into()));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Key(key) => write!(f, "${{{key}}}"),
        })
    }
}

text_serde!(UrlTemplate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_replaced_by_their_values() {
        let values = BTreeMap::from([("base".into(), "https://a.example/".into()), ("v".into(), "${base}".into())]);
        let cases = [
            ("https://b.example/", Ok("https://b.example/")),
            ("${base}/v1/", Ok("https://a.example/v1/")),
            ("${base}v1/", Ok("https://a.example/v1/")),
            ("${base}//v1/", Ok("https://a.example//v1/")),
            // Values are not expanded again.
            ("${v}", Ok("${base}")),
            ("${base}${none}", Err("none")),
        ];
        for (text, expected) in cases {
            let template: UrlTemplate = text.parse().unwrap();
            assert_eq!(template.fill(&values), expected.map(str::to_owned), "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn a_bad_key_is_refused() {
        assert_eq!("${a".parse::<UrlTemplate>(), Err(ParseUrlTemplateError::Open));
        assert_eq!("${}".parse::<UrlTemplate>(), Err(ParseUrlTemplateError::Key(String::new())));
        assert_eq!("${a b}".parse::<UrlTemplate>(), Err(ParseUrlTemplateError::Key("a b".into())));
        assert_eq!("".parse::<UrlTemplate>(), Err(ParseUrlTemplateError::Empty));
    }
}
