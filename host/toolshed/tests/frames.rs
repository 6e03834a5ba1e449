//! Messages of a server, whatever they are.

use bg_toolshed::{Limits, documents_in};
use proptest::prelude::*;

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1".to_owned()),
        Just("-1".to_owned()),
        Just("1e9".to_owned()),
        Just("true".to_owned()),
        Just(r#""of:fid1:x""#.to_owned()),
        Just(r#""did:key:z""#.to_owned()),
        Just(r#""session/effect""#.to_owned()),
        Just(r#"{"/Undefined@1":null}"#.to_owned()),
    ];
    let key = prop::sample::select(vec![
        "type",
        "requestId",
        "ok",
        "error",
        "effect",
        "upserts",
        "removes",
        "id",
        "seq",
        "doc",
        "toSeq",
        "scope",
        "/x",
        "deleted",
        "/quote",
    ]);
    leaf.prop_recursive(4, 30, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_message_panics(json in json()) {
        let _ = documents_in(&format!("fvj1:{json}"), &Limits::default());
    }

    #[test]
    fn of_any_documents_in_a_message_no_more_are_taken_than_the_limit(documents in prop::collection::vec((0..40_u32, json(), any::<bool>()), 0..60)) {
        let upserts: Vec<_> = documents
            .iter()
            .enumerate()
            .map(|(seq, (id, json, is_there))| {
                let doc = if *is_there { format!(r#","doc":{json}"#) } else { String::new() };
                format!(r#"{{"branch":"","id":"of:{id}","seq":{seq}{doc}}}"#)
            })
            .collect();
        let message = format!(
            r#"fvj1:{{"type":"session/effect","effect":{{"toSeq":99,"upserts":[{}],"removes":[{{"id":"of:1"}}]}}}}"#,
            upserts.join(",")
        );
        let limits = Limits { documents: 20, ..Limits::default() };
        let different: std::collections::BTreeSet<_> = documents.iter().map(|(id, ..)| id).collect();
        match documents_in(&message, &limits) {
            Ok(found) => prop_assert!(found.len() == different.len() && found.len() <= 20),
            Err(error) => prop_assert!(different.len() > 20, "{error}"),
        }
    }
}
