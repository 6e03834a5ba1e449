//! Secrets, and every form in which they are looked for.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bg_test_support::Random;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What stands between the characters of a text that was taken apart: by a join, as JSON, and as JSON within JSON.
const SEPARATORS: [&str; 12] =
    [" ", ",", ", ", "-", "\n", "\\n", "\",\"", "\", \"", "\\\",\\\"", "','", "', '", "&#34;,&#34;"];

/// A text that comes nowhere else.
pub(crate) fn token(random: &mut Random) -> String {
    (0..24).map(|_| char::from(*random.pick(LETTERS))).collect()
}

/// Searches for secrets in everything that leaves.
#[derive(Clone)]
pub(crate) struct Needles {
    forms: Arc<Vec<String>>,
    finder: Arc<AhoCorasick>,
}

impl Needles {
    pub(crate) fn of(secrets: &[String]) -> Self {
        let named: Vec<(String, Vec<u8>)> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let finder = AhoCorasick::new(named.iter().map(|(_, bytes)| bytes)).unwrap();
        Self { forms: Arc::new(named.into_iter().map(|(form, _)| form).collect()), finder: Arc::new(finder) }
    }

    /// The form in which a secret was found, with its context.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<String> {
        let found = self.finder.find(bytes)?;
        let around = &bytes[found.start().saturating_sub(200)..bytes.len().min(found.end() + 200)];
        Some(format!("{}, in {:?}", self.forms[found.pattern().as_usize()], String::from_utf8_lossy(around)))
    }
}

/// A secret in every form, with the form's name.
fn forms(secret: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let reversed: String = secret.chars().rev().collect();
    let escapes = |prefix: &str, digits: usize| -> Vec<u8> {
        bytes.iter().flat_map(|byte| format!("{prefix}{byte:0digits$x}").into_bytes()).collect()
    };
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("reversed", reversed.clone().into_bytes()),
        ("percent", escapes("%", 2)),
        ("percent of percent", escapes("%25", 2)),
        ("hexadecimal", escapes("", 2)),
        ("JSON's escapes", escapes("\\u", 4)),
        ("UTF-16", bytes.iter().flat_map(|&byte| [byte, 0]).collect()),
    ];
    for before in 0..3 {
        // What stands before it shifts its bits; what depends on its neighbours is left out.
        let padded = [&vec![0; before], bytes].concat();
        let skipped = (before * 8).div_ceil(6);
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64 of URLs", &URL_SAFE_NO_PAD)] {
            let whole = engine.encode(&padded);
            let end = padded.len() * 8 / 6;
            forms.push((name, whole.as_bytes()[skipped..end].to_vec()));
        }
    }
    for separator in SEPARATORS {
        for text in [secret, &reversed] {
            let apart: Vec<String> = text.chars().map(String::from).collect();
            forms.push(("taken apart", apart.join(separator).into_bytes()));
        }
    }
    forms.into_iter().map(|(name, bytes)| (format!("{secret} ({name})"), bytes)).collect()
}

#[test]
fn a_secret_is_found_in_each_form() {
    let secret = token(&mut Random::new(7));
    let needles = Needles::of(std::slice::from_ref(&secret));
    let apart: Vec<String> = secret.chars().map(String::from).collect();
    let escaped: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for leak in [
        secret.clone(),
        secret.chars().rev().collect(),
        serde_json::to_string(&apart).unwrap(),
        serde_json::to_string(&serde_json::to_string(&apart).unwrap()).unwrap(),
        format!("https://a.example/?t={escaped}"),
        STANDARD_NO_PAD.encode(format!("Bearer {secret}")),
        STANDARD_NO_PAD.encode(format!("x:{secret}:x")),
        URL_SAFE_NO_PAD.encode(format!("\"{secret}\"")),
    ] {
        assert!(needles.find(format!("before {leak} after").as_bytes()).is_some(), "{leak}");
    }
    assert_eq!(needles.find(token(&mut Random::new(8)).as_bytes()), None);
    assert_eq!(needles.find(&secret.as_bytes()[1..]), None);
}
