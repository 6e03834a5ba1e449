//! Values and their texts, for any value and any text.

use std::num::NonZeroU32;

use bg_toolshed::{DecodeError, Hash, Link, MAX_NODES, Tagged, Value, decode, encode};
use proptest::prelude::*;

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,3}",
        "/[a-z@1]{0,6}",
        Just("/quote".to_owned()),
        Just("/object".to_owned()),
        Just("/hole".to_owned()),
        Just("/Bytes@1".to_owned()),
        any::<u32>().prop_map(|number| number.to_string()),
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Undefined),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(Value::Number),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), Just(1e21), Just(1e-7)]
            .prop_map(Value::Number),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..70).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            (prop::collection::vec(inner.clone(), 0..3), 1..u32::MAX / 2, inner.clone()).prop_map(
                |(mut list, holes, last)| {
                    list.extend([Value::Holes(NonZeroU32::new(holes).unwrap()), last]);
                    Value::List(list)
                }
            ),
            prop::collection::btree_map(key(), inner.clone(), 0..6).prop_map(Value::Object),
            ("[A-Z][a-zA-Z0-9]{0,5}@[1-9]", inner).prop_map(|(tag, state)| {
                Tagged::new(&tag, state).map_or(Value::Null, |tagged| Value::Tagged(Box::new(tagged)))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_is_read_back_from_its_text(value in value()) {
        let text = encode(&value);
        let again = decode(&text).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(Hash::of(&again), Hash::of(&value));
        prop_assert_eq!(encode(&again), text);
    }

    #[test]
    fn no_text_panics_and_what_is_read_has_one_text(json in r#"([\[\]{}:,"/0-9a-z@\\ -]|"/[a-zA-Z]*@?1?":|null|"[a-z]"){0,24}"#) {
        if let Ok(value) = decode(&format!("fvj1:{json}")) {
            let text = encode(&value);
            prop_assert_eq!(encode(&decode(&text).unwrap()), text);
        }
    }

    #[test]
    fn a_link_is_read_back_from_its_value(id in "[a-z]{1,3}:[a-zA-Z0-9]{1,9}", path in prop::collection::vec(any::<String>(), 0..4), space in prop::option::of("did:key:[a-z0-9]{3}")) {
        let link = Link { path, space, ..Link::to(bg_toolshed::EntityId::new(&id).unwrap()) };
        prop_assert_eq!(Link::of(&decode(&encode(&link.to_value())).unwrap()), Some(link));
    }
}

#[test]
fn texts_that_are_nested_without_end_are_refused() {
    for open in ["[", r#"{"a":"#, r#"{"/quote":"#, r#"{"/object":{"a":"#, r#"{"/New@1":"#] {
        let text = format!("fvj1:{}", open.repeat(100_000));
        assert!(matches!(decode(&text), Err(DecodeError::Json(_))), "{open}");
    }
}

#[test]
fn texts_of_too_many_values_are_refused() {
    let text = |count: usize| format!("fvj1:[{}0]", "0,".repeat(count));
    decode(&text(MAX_NODES - 2)).unwrap();
    let error = decode(&text(MAX_NODES - 1)).unwrap_err();
    assert!(error.to_string().contains("too many values"), "{error}");
}

#[test]
fn absent_elements_take_no_memory_and_have_a_limit() {
    let all = decode(r#"fvj1:[{"/hole":4294967294},1]"#).unwrap();
    assert_eq!(all.as_list().unwrap().len(), 2);
    for text in [r#"fvj1:[{"/hole":4294967295},1]"#, r#"fvj1:[{"/hole":4294967295},{"/hole":4294967295}]"#] {
        assert_eq!(decode(text), Err(DecodeError::TooLong), "{text}");
    }
}

#[test]
fn another_version_of_the_format_is_named() {
    let error = decode("fvj2:{}").unwrap_err();
    assert_eq!(error.to_string(), r#"it starts with "fvj2:" instead of "fvj1:""#);
}

#[test]
fn malformed_links_are_no_links() {
    for json in [
        r#"{"/":{"link@1":1}}"#,
        r#"{"/":{"link@1":{"id":1}}}"#,
        r#"{"/":{"link@1":{"id":"of:x","path":[null]}}}"#,
        r#"{"/":{"link@1":{"id":"of:x"},"x":1}}"#,
        r#"{"/":{"link@1":{"id":"of:x"}},"x":1}"#,
        r#"{"/":"fid1:x"}"#,
    ] {
        assert_eq!(Link::of(&decode(&format!(r#"fvj1:{{"/quote":{json}}}"#)).unwrap()), None, "{json}");
    }
}
