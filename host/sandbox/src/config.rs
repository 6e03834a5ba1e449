//! The values of a guest's `config`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

/// A program that a component of world `charm` evaluates: texts that it reads from its `config`, by key. All calls of
/// the program share them without copying.
#[derive(Debug, Default)]
pub struct Program {
    texts: BTreeMap<String, String>,
    digest: OnceLock<[u8; 32]>,
}

impl Program {
    /// A program of these texts.
    pub fn new(texts: BTreeMap<String, String>) -> Self {
        Self { texts, digest: OnceLock::new() }
    }

    /// The size of its texts in bytes.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(|(key, text)| key.len() + text.len()).sum()
    }

    /// Its digest; computed once.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| digest_of(Sha256::new(), &self.texts))
    }
}

/// The configuration of a call: a program, if it runs one, and the call's own values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) program: Arc<Program>,
    pub(crate) own: Arc<BTreeMap<String, String>>,
}

impl Config {
    /// A configuration without a program.
    pub(crate) fn plain(own: Arc<BTreeMap<String, String>>) -> Self {
        Self { program: Arc::default(), own }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&String> {
        self.own.get(key).or_else(|| self.program.texts.get(key))
    }

    /// Its digest.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.program.digest());
        digest_of(hash, &self.own)
    }
}

fn digest_of(mut hash: Sha256, texts: &BTreeMap<String, String>) -> [u8; 32] {
    for text in texts.iter().flat_map(|(key, text)| [key, text]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn a_value_of_the_call_overrides_one_of_the_program() {
        let program = Arc::new(Program::new(texts(&[("module", "m"), ("file", "of the program")])));
        let config = Config { program, own: Arc::new(texts(&[("file", "of the call")])) };
        for (key, expected) in [("module", Some("m")), ("file", Some("of the call")), ("other", None)] {
            assert_eq!(config.get(key).map(String::as_str), expected, "{key}");
        }
        assert_eq!(config.program.bytes(), 6 + 1 + 4 + 14);
    }

    #[test]
    fn different_programs_or_values_have_different_digests() {
        let digest = |program: &[(&str, &str)], own: &[(&str, &str)]| {
            Config { program: Arc::new(Program::new(texts(program))), own: Arc::new(texts(own)) }.digest()
        };
        let digests = [
            digest(&[], &[]),
            digest(&[("a", "bc")], &[]),
            digest(&[("ab", "c")], &[]),
            digest(&[], &[("a", "bc")]),
            digest(&[("a", "bc")], &[("a", "bc")]),
            digest(&[("a", "bc")], &[("a", "bd")]),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(one), "{at}");
        }
        assert_eq!(digests[4], digest(&[("a", "bc")], &[("a", "bc")]));
    }
}
