//! Replays.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::base::unix_seconds;
use super::{LIFETIME, MAX_CLOCK_SKEW, SignatureError, Verified};

/// Remembers the nonces of accepted requests, so that none is accepted twice.
///
/// They are kept for an hour by the monotonic clock, though a signature is valid for a minute: the wall clock may be set back,
/// and then old signatures are valid again. Right after the start, when nothing is remembered of what an earlier process
/// accepted, signatures that were made before the start are refused.
///
/// Its memory is bounded: when it is full, the oldest nonces are forgotten if their signatures have expired, and else further
/// requests are refused ([`SignatureError::Busy`]). So ask it only after the signer is known to be allowed something: anyone
/// can make a key and sign with it.
#[derive(Debug)]
pub struct NonceCache {
    capacity: usize,
    start: Instant,
    /// The wall clock at the start, in seconds since 1970.
    start_unix: u64,
    seen: Mutex<Seen>,
}

/// Enough for 2,900 requests a second, each remembered for 90 s at least; about 20 MB when full.
const DEFAULT_CAPACITY: usize = 1 << 18;

/// The longest that a signature can be valid after it was accepted, if the clock is not set back.
const VALID: Duration = LIFETIME.saturating_add(MAX_CLOCK_SKEW);

/// How long a nonce is remembered if there is room.
const KEPT: Duration = Duration::from_hours(1);

/// The first half of a SHA-256: that two of these are equal by chance will not happen, and would only refuse a request.
type Key = [u8; 16];

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    /// In the order in which they were accepted.
    accepted: VecDeque<(Instant, Key)>,
}

impl NonceCache {
    /// A cache for a server that starts now.
    pub fn new() -> Self {
        Self::starting(Instant::now(), SystemTime::now(), DEFAULT_CAPACITY)
    }

    /// A cache of at most `capacity` nonces, for a server that starts at this moment by both clocks.
    pub fn starting(start: Instant, wall: SystemTime, capacity: usize) -> Self {
        Self { capacity, start, start_unix: unix_seconds(wall), seen: Mutex::default() }
    }

    /// Accepts a verified request once, at the moment `now` of the monotonic clock.
    pub fn accept(&self, verified: &Verified, now: Instant) -> Result<(), SignatureError> {
        if now.duration_since(self.start) < VALID && verified.created < self.start_unix {
            return Err(SignatureError::BeforeStart);
        }
        let digest = Sha256::new().chain_update(verified.did.as_str()).chain_update([0]).chain_update(&verified.nonce);
        let mut key = Key::default();
        key.copy_from_slice(&digest.finalize()[..16]);
        // Whatever a panic elsewhere left here is a whole set of whole keys.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_older_than(KEPT, now);
        if seen.keys.contains(&key) {
            return Err(SignatureError::Replayed);
        }
        if seen.keys.len() >= self.capacity && !seen.forget_oldest(VALID, now) {
            return Err(SignatureError::Busy);
        }
        seen.keys.insert(key);
        seen.accepted.push_back((now, key));
        Ok(())
    }
}

impl Default for NonceCache {
    fn default() -> Self {
        Self::new()
    }
}

impl Seen {
    fn forget_older_than(&mut self, age: Duration, now: Instant) {
        while self.forget_oldest(age, now) {}
    }

    /// Forgets the oldest if it was accepted longer ago than `age`.
    fn forget_oldest(&mut self, age: Duration, now: Instant) -> bool {
        let Some((at, key)) = self.accepted.front().copied() else { return false };
        if now.duration_since(at) <= age {
            return false;
        }
        self.accepted.pop_front();
        self.keys.remove(&key)
    }
}
