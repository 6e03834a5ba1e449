//! JSON that a guest wrote: checked without building a value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Whether `text` is JSON that every reader here accepts: complete, nested no deeper than 128 levels (`serde_json`'s
/// own limit), numbers within range, no lone surrogates. Takes no more memory than the longest string in it.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Anything>(text).map(|Anything| ())
}

/// Any value, parsed as strictly as a `serde_json::Value`, but not kept. (`IgnoredAny` would accept texts that other
/// readers reject.)
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnythingVisitor)
    }
}

struct AnythingVisitor;

impl<'de> Visitor<'de> for AnythingVisitor {
    type Value = Anything;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Anything, A::Error> {
        while values.next_element::<Anything>()?.is_some() {}
        Ok(Anything)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Anything, A::Error> {
        while entries.next_entry::<Anything, Anything>()?.is_some() {}
        Ok(Anything)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_accepted() {
        for text in ["null", "[1,-2,3.5e7,\"é\\u00e9\",{\"a\":[true,false]}]", " {} "] {
            check(text).unwrap();
        }
    }

    #[test]
    fn text_that_is_not_json_or_too_deep_is_refused() {
        let deep = "[".repeat(100_000);
        let half_deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
        for text in ["", "{", "[1,]", "nul", "1 2", "\"\\ud800\"", "1e999", "{1:2}", "\"\n\"", &deep, &half_deep] {
            assert!(check(text).is_err(), "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn a_number_survives_parsing_and_printing() {
        for text in ["9012345678901234567890", "0.30000000000000004", "1.7976931348623157e308", "5e-324"] {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value.as_f64(), text.parse().ok(), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&value.to_string()).unwrap(), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_check_is_as_strict_as_parsing_a_value(text in "[\\[\\]{}:,0-9eE+.\"a\\\\u-]{0,20}") {
            prop_assert_eq!(check(&text).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
