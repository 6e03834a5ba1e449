//! Texts, hashes, names and a signature that the original's own code made (commontoolsinc/labs, `0c0261df3a`).

use bg_identity::Identity;
use bg_toolshed::{EntityId, Hash, StreamId, Value, decode, encode};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    values: Vec<Vector>,
    wire: Vec<Wire>,
    causes: Vec<Cause>,
    streams: Vec<Stream>,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    text: String,
    hash: String,
    text_hash: String,
}

#[derive(Deserialize)]
struct Wire {
    text: String,
    #[serde(default)]
    error: bool,
    again: Option<String>,
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Cause {
    cause: String,
    id: String,
}

#[derive(Deserialize)]
struct Stream {
    id: String,
    path: Vec<String>,
    scope: String,
    events: String,
}

#[derive(Deserialize)]
struct Signature {
    invocation: String,
    hash: String,
    signature: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

#[test]
fn texts_are_read_and_written_as_by_the_original() {
    let vectors = vectors().values;
    assert!(vectors.len() > 60);
    for vector in vectors {
        let value = decode(&vector.text).unwrap_or_else(|error| panic!("{}: {error}", vector.text));
        assert_eq!(encode(&value), vector.text);
    }
}

#[test]
fn hashes_are_those_of_the_original() {
    for vector in vectors().values {
        let value = decode(&vector.text).unwrap();
        assert_eq!(Hash::of(&value).bare(), vector.hash, "{}", vector.text);
        // A precondition on the value of a document hashes its text.
        assert_eq!(Hash::of(&vector.text.as_str().into()).bare(), vector.text_hash, "{}", vector.text);
    }
}

#[test]
fn what_the_original_refuses_is_refused_and_what_it_normalizes_is_normalized() {
    // Only JSON's parsers differ: ours refuses a number that no double has.
    let refused_here_only = "fvj1:1e400";
    for wire in vectors().wire {
        match decode(&wire.text) {
            Err(error) => assert!(wire.error || wire.text == refused_here_only, "{}: {error}", wire.text),
            Ok(value) => {
                assert!(!wire.error, "{} was read", wire.text);
                assert_eq!(Some(encode(&value)), wire.again, "{}", wire.text);
                assert_eq!(Some(Hash::of(&value).bare()), wire.hash, "{}", wire.text);
            }
        }
    }
}

#[test]
fn names_of_documents_are_those_of_the_original() {
    for Cause { cause, id } in vectors().causes {
        assert_eq!(EntityId::for_cause(cause.as_str().into()).as_str(), id);
    }
    for Stream { id, path, scope, events } in vectors().streams {
        let stream = StreamId { id: EntityId::new(&id).unwrap(), path, scope };
        assert_eq!(stream.events().as_str(), events);
    }
}

#[test]
fn a_signature_over_a_hash_is_that_of_the_original() {
    let Signature { invocation, hash, signature } = vectors().signature;
    let hash_of_it = Hash::of(&decode(&invocation).unwrap());
    assert_eq!(hash_of_it.bare(), hash);
    let signed = Identity::from_passphrase("implicit trust").sign(hash_of_it.bytes());
    assert_eq!(encode(&Value::Bytes(signed.to_vec())), signature);
}
