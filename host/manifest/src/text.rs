//! Types that are written as text, and texts of authors, which terminals and web pages show.

use bg_identity::first_hidden;
use serde::{Deserialize, Deserializer, de};

/// Implements serde by `Display` and `FromStr`.
macro_rules! text_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_serde;

/// Why a text of an author can't be shown, or `None` if it can. It must not move a terminal's cursor, or change how the
/// surrounding text reads.
pub(crate) fn unfit(text: &str, max_chars: usize) -> Option<String> {
    if let Some(c) = first_hidden(text) {
        return Some(format!("it has the control character U+{:04X}", u32::from(c)));
    }
    (text.chars().count() > max_chars).then(|| format!("it is longer than {max_chars} characters"))
}

/// A line of text of at most `MAX` characters.
pub(crate) fn line<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match unfit(&text, MAX) {
        None => Ok(text),
        Some(problem) => Err(de::Error::custom(problem)),
    }
}

/// Like [`line()`], and not blank.
pub(crate) fn non_empty_line<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<String, D::Error> {
    let text = line::<D, MAX>(d)?;
    if text.trim().is_empty() { Err(de::Error::custom("it is empty")) } else { Ok(text) }
}

/// Like [`line()`], or absent.
pub(crate) fn optional_line<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Option<String>, D::Error> {
    line::<D, MAX>(d).map(Some)
}
