//! Protection against replays.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use super::base::unix_seconds;
use super::{LIFETIME, MAX_CLOCK_SKEW, SignatureError, Verified};

/// Remembers the nonces of accepted requests, so that none is accepted twice.
///
/// Nonces are kept for an hour of the monotonic clock although a signature is valid for a minute: if the wall clock is
/// set back, old signatures become valid again. A restart forgets all nonces. So signatures are refused that were made
/// before the start, or before the [time](FastClock) that the earlier process recorded.
///
/// Memory is limited. Each [room](Room) has its own part, so that strangers never use up what the operator needs; one
/// signer and one network may use only a share of their room. When a room is full, its oldest nonces are forgotten if
/// their signatures have expired; otherwise further requests are refused ([`SignatureError::Busy`]). Call it only once
/// the signer is known to be authorized for something: anyone can create a key and sign with it.
#[derive(Debug)]
pub struct NonceCache {
    capacity: usize,
    start: Instant,
    /// The wall clock at the start, in seconds since 1970.
    start_unix: u64,
    seen: Mutex<Seen>,
}

/// Which part of the memory a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For everybody: half of the memory.
    Strangers,
    /// For clients on this machine: a quarter.
    Local,
    /// For the operator's own key: a quarter, without shares.
    Operator,
}

/// On whose account a nonce is remembered, besides its signer's.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Which part of the memory it uses.
    pub room: Room,
    /// The network that it came from, if it has a share.
    pub network: Option<IpAddr>,
}

/// The latest time at which signers with fast clocks may have made accepted signatures. A restart forgets nonces, so
/// this time is recorded: the next process refuses signatures made before it, until that time has come.
///
/// It moves only when a signature from the future is accepted. Correct clocks never make one, so a restarted server
/// usually makes nobody wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastClock {
    /// In seconds since 1970, for the operator's own key; others cannot move it.
    pub operator: u64,
    /// The same for all other signers.
    pub others: u64,
}

/// The share of one signer and of one network, as a fraction (one part in this many) of their room.
const SIGNER: usize = 8;
const NETWORK: usize = 4;

/// The longest time for which a signature can be valid after it was accepted, if the clock is not set back.
const VALID: Duration = LIFETIME.saturating_add(MAX_CLOCK_SKEW);

/// How long a nonce is remembered if there is room.
const KEPT: Duration = Duration::from_hours(1);

/// If a signer's clock is fast: how many seconds beyond the request's time are recorded at most, so that there is one
/// write for the requests of that period, not one for each.
const AHEAD: u64 = 5;

/// The first half of a SHA-256. A collision is practically impossible, and would only refuse a request.
type Key = [u8; 16];

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    rooms: [Nonces; 3],
    /// What an earlier process recorded, and what this one has recorded.
    before: FastClock,
    written: FastClock,
}

/// The nonces of one room.
#[derive(Debug, Default)]
struct Nonces {
    /// Those whose signatures may still be valid, in the order of acceptance.
    valid: VecDeque<Accepted>,
    /// Older ones.
    expired: VecDeque<(Instant, Key)>,
    /// How many valid ones each signer and each network has.
    signers: HashMap<Key, usize>,
    networks: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Accepted {
    at: Instant,
    key: Key,
    signer: Key,
    network: Option<IpAddr>,
}

impl Room {
    fn capacity(self, whole: usize) -> usize {
        match self {
            Self::Strangers => whole / 2,
            Self::Local | Self::Operator => whole / 4,
        }
    }
}

impl FastClock {
    fn of(&mut self, room: Room) -> &mut u64 {
        if room == Room::Operator { &mut self.operator } else { &mut self.others }
    }
}

impl NonceCache {
    /// Enough for 2,900 requests a second, each remembered for at least 90 s; about 30 MB when full.
    pub const CAPACITY: usize = 1 << 18;

    /// A cache of at most `capacity` nonces for a server that starts now.
    pub fn new(capacity: usize) -> Self {
        Self::starting(Instant::now(), SystemTime::now(), capacity)
    }

    /// A cache of at most `capacity` nonces, for a server that starts at this moment of both clocks.
    pub fn starting(start: Instant, wall: SystemTime, capacity: usize) -> Self {
        Self { capacity, start, start_unix: unix_seconds(wall), seen: Mutex::default() }
    }

    /// Takes over what an earlier process recorded.
    pub fn resume(&self, before: FastClock) {
        let mut seen = self.seen();
        (seen.before, seen.written) = (before, before);
    }

    /// The time to record before this request is accepted, if its signer's clock is fast; confirm with
    /// [`written`](Self::written) afterwards.
    pub fn to_write(&self, verified: &Verified, room: Room, now: SystemTime) -> Option<u64> {
        let ahead = verified.created.checked_sub(unix_seconds(now)).filter(|ahead| *ahead > 0)?;
        let known = *self.seen().written.of(room);
        (verified.created > known).then(|| verified.created + ahead.min(AHEAD))
    }

    /// Confirms that the time was recorded.
    pub fn written(&self, room: Room, until: u64) {
        let mut seen = self.seen();
        let known = seen.written.of(room);
        *known = until.max(*known);
    }

    /// Accepts a verified request once, at the moment `now` of the monotonic clock.
    pub fn accept(&self, verified: &Verified, sender: Sender, now: Instant) -> Result<(), SignatureError> {
        let Sender { room, network } = sender;
        let mut seen = self.seen();
        let since_start = now.duration_since(self.start);
        if since_start < VALID {
            if verified.created < self.start_unix {
                return Err(SignatureError::BeforeStart);
            }
            let until = *seen.before.of(room);
            if verified.created <= until {
                let present = self.start_unix.saturating_add(since_start.as_secs());
                return Err(SignatureError::Starting(until.saturating_sub(present) + 1));
            }
        }
        let signer = half_digest(&[verified.did.as_str().as_bytes()]);
        let key = half_digest(&[verified.did.as_str().as_bytes(), &[0], verified.nonce.as_bytes()]);
        for room in [Room::Strangers, Room::Local, Room::Operator] {
            seen.age(room, KEPT, now);
        }
        if seen.keys.contains(&key) {
            return Err(SignatureError::Replayed);
        }
        let capacity = room.capacity(self.capacity);
        let nonces = &seen.rooms[room as usize];
        if room != Room::Operator {
            let share = |part: usize| (capacity / part).max(1);
            let has = |count: Option<&usize>, part| count.is_some_and(|count| *count >= share(part));
            if has(nonces.signers.get(&signer), SIGNER)
                || network.is_some_and(|network| has(nonces.networks.get(&network), NETWORK))
            {
                return Err(SignatureError::BusySigner);
            }
        }
        if nonces.valid.len() + nonces.expired.len() >= capacity && !seen.forget_oldest(room) {
            return Err(SignatureError::Busy);
        }
        seen.keys.insert(key);
        let nonces = &mut seen.rooms[room as usize];
        *nonces.signers.entry(signer).or_default() += 1;
        if let Some(network) = network {
            *nonces.networks.entry(network).or_default() += 1;
        }
        nonces.valid.push_back(Accepted { at: now, key, signer, network });
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere cannot leave it inconsistent.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn half_digest(parts: &[&[u8]]) -> Key {
    let digest = parts.iter().fold(Sha256::new(), Digest::chain_update).finalize();
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Seen {
    /// Releases the shares of expired signatures, and forgets nonces older than `kept`.
    fn age(&mut self, room: Room, kept: Duration, now: Instant) {
        let nonces = &mut self.rooms[room as usize];
        while let Some(oldest) = nonces.valid.front()
            && now.duration_since(oldest.at) > VALID
        {
            let Some(Accepted { at, key, signer, network }) = nonces.valid.pop_front() else { break };
            release(&mut nonces.signers, &signer);
            if let Some(network) = network {
                release(&mut nonces.networks, &network);
            }
            nonces.expired.push_back((at, key));
        }
        while let Some((at, key)) = nonces.expired.front().copied()
            && now.duration_since(at) > kept
        {
            nonces.expired.pop_front();
            self.keys.remove(&key);
        }
    }

    /// Forgets the oldest nonce of a room whose signature has expired, if there is one. Returns whether there was.
    fn forget_oldest(&mut self, room: Room) -> bool {
        match self.rooms[room as usize].expired.pop_front() {
            Some((_, key)) => self.keys.remove(&key),
            None => false,
        }
    }
}
