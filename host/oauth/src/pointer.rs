//! JSON pointers.

use serde_json::{Map, Value};

/// The value at a JSON pointer (RFC 6901) of an object.
pub(crate) fn at<'a>(members: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let rest = pointer.strip_prefix('/')?;
    let (first, deeper) = rest.split_once('/').map_or((rest, None), |(first, deeper)| (first, Some(deeper)));
    let value = members.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match deeper {
        None => Some(value),
        Some(deeper) => value.pointer(&format!("/{deeper}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn pointers_find_what_serde_json_finds(pointer in "(/[a-c~01]{0,3}){1,3}") {
            let value = json!({"a": {"b": {"c": 1}, "~": 2, "/": [3, {"a": 4}]}, "": {"": 5}, "b": [1, 2]});
            prop_assert_eq!(at(value.as_object().unwrap(), &pointer), value.pointer(&pointer));
        }
    }
}
