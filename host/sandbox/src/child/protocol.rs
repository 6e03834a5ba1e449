//! Distinguishes a complete answer from a part of one: [`MAGIC`] and the answer's SHA-256 come before it.

use sha2::{Digest, Sha256};

use super::ChildError;

/// The first bytes of an answer.
const MAGIC: &[u8; 16] = b"bg-wasm-compiled";
const DIGEST_BYTES: usize = 32;
/// The length of the head, in bytes.
const HEAD_BYTES: usize = MAGIC.len() + DIGEST_BYTES;

/// The head of `answer`.
pub(super) fn head(answer: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (magic, digest) = head.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    digest.copy_from_slice(&Sha256::digest(answer));
    head
}

/// How many bytes of the output are read: one more than an answer of `limit` bytes takes.
pub(super) fn most(limit: usize) -> usize {
    limit.saturating_add(HEAD_BYTES + 1)
}

/// Whether the output is longer than an answer of `limit` bytes.
pub(super) fn is_too_large(written: &[u8], limit: usize) -> bool {
    written.len() >= most(limit)
}

/// The answer in the output of a process. Fails if it is incomplete.
pub(super) fn checked(mut written: Vec<u8>) -> Result<Vec<u8>, ChildError> {
    let damaged = || ChildError::Unusable("its answer is damaged".to_owned());
    let (found, answer) = written.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
    if *found != head(answer) {
        return Err(damaged());
    }
    written.drain(..HEAD_BYTES);
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_whole() {
        let code = b"machine code";
        let whole = [&head(code)[..], code].concat();
        assert_eq!(checked(whole.clone()).unwrap(), code);
        assert!(!is_too_large(&whole, code.len()) && is_too_large(&whole, code.len() - 1));
        for end in 0..whole.len() {
            assert!(matches!(checked(whole[..end].to_vec()), Err(ChildError::Unusable(_))), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(matches!(checked(damaged), Err(ChildError::Unusable(_))), "byte {at}");
        }
    }
}
