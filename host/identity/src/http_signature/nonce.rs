//! Replays.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::base::unix_seconds;
use super::{SignatureError, Verified};

/// Remembers the nonces of accepted requests until their signatures expire, so that none is accepted twice.
///
/// Its memory is bounded: when it is full, further requests are refused ([`SignatureError::Busy`]) until some expire. So ask
/// it only after the signer is known to be allowed something: anyone can make a key and sign with it.
#[derive(Debug)]
pub struct NonceCache {
    capacity: usize,
    seen: Mutex<Seen>,
}

/// Enough for 2,900 requests a second, each remembered for 90 s at most; about 12 MB when full.
const DEFAULT_CAPACITY: usize = 1 << 18;

/// The first half of a SHA-256: that two of these are equal by chance will not happen, and would only refuse a request.
type Key = [u8; 16];

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    by_expiry: BTreeMap<u64, Vec<Key>>,
}

impl Default for NonceCache {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl NonceCache {
    /// A cache of at most `capacity` nonces.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, seen: Mutex::default() }
    }

    /// Accepts a verified request once.
    pub fn accept(&self, verified: &Verified, now: SystemTime) -> Result<(), SignatureError> {
        let digest = Sha256::new().chain_update(verified.did.as_str()).chain_update([0]).chain_update(&verified.nonce);
        let mut key = Key::default();
        key.copy_from_slice(&digest.finalize()[..16]);
        // Whatever a panic elsewhere left here is a whole set of whole keys.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(unix_seconds(now));
        if seen.keys.contains(&key) {
            return Err(SignatureError::Replayed);
        }
        if seen.keys.len() >= self.capacity {
            return Err(SignatureError::Busy);
        }
        seen.keys.insert(key);
        seen.by_expiry.entry(verified.expires).or_default().push(key);
        Ok(())
    }
}

impl Seen {
    /// Forgets what [`verify`](super::verify) refuses by itself by now.
    fn forget_before(&mut self, now: u64) {
        while let Some(entry) = self.by_expiry.first_entry()
            && *entry.key() < now
        {
            for key in entry.remove() {
                self.keys.remove(&key);
            }
        }
    }
}
