//! Messages of the original's server and the values in them: what is read is written back as it was, the hash follows
//! from the text, and the documents of a message stay within their limits.
//!
//! Input: messages, one on each line.

#![no_main]

use bg_toolshed::{Content, Limits, decode, documents_in, encode};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    message_bytes: 8192,
    documents: 5,
    document_bytes: 2000,
    requests: 1,
    connect: std::time::Duration::ZERO,
    answer: std::time::Duration::ZERO,
    reconnect: std::time::Duration::ZERO,
    silence: std::time::Duration::ZERO,
};

fuzz_target!(|data: &[u8]| {
    for line in str::from_utf8(data).unwrap_or_default().lines() {
        if let Ok(value) = decode(line) {
            let text = encode(&value);
            let again = decode(&text).expect("what was written can be read");
            assert_eq!(again, value);
            assert_eq!(encode(&again), text);
            // Plain JSON, which has no key with a slash, is written as a common serializer writes it, but for numbers.
            if !line.contains('/') && !line.contains(|c: char| c.is_ascii_digit()) {
                let plain: serde_json::Value = serde_json::from_str(&line[5..]).expect("it is JSON");
                assert_eq!(&text[5..], plain.to_string());
            }
        }
        if let Ok(documents) = documents_in(line, &LIMITS) {
            assert!(documents.len() <= LIMITS.documents);
            for document in documents {
                if let Content::Present(value) = &document.content {
                    assert_eq!(decode(&encode(value)).as_ref(), Ok(value.as_ref()));
                }
            }
        }
    }
});
