//! Replays.

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
/// They are kept for an hour by the monotonic clock, though a signature is valid for a minute: the wall clock may be set back,
/// and then old signatures are valid again. Right after the start, when nothing is remembered of what an earlier process
/// accepted, signatures are refused that were made before the start, or up to the [time](FastClock) that the earlier process
/// wrote down.
///
/// Its memory is bounded. Each [room](Room) has a part of it to itself, so that strangers never use up what the operator
/// needs; one signer and one network have a share of their room. When a room is full, its oldest nonces are forgotten if their
/// signatures have expired, and else further requests are refused ([`SignatureError::Busy`]). Ask it only after the signer is
/// known to be allowed something: anyone can make a key and sign with it.
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
    /// Anybody's: half of it.
    Strangers,
    /// That of clients on this machine: a quarter.
    Local,
    /// That of the operator's own key: a quarter, without shares.
    Operator,
}

/// For whom a nonce is remembered, beside its signer.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Which part of the memory it uses.
    pub room: Room,
    /// The network that it came from, if that has a share.
    pub network: Option<IpAddr>,
}

/// Until when signers with fast clocks may have made signatures that were accepted: what is to survive a restart of nonces, which are
/// forgotten by it. Signatures up to then are refused by the next process, until that time has come.
///
/// It moves only when a signature of the future is accepted, which those of good clocks never are: so a server that is started again waits
/// for nobody as a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastClock {
    /// The time, in seconds since 1970, for the operator's own key; others cannot move it.
    pub operator: u64,
    /// For all other signers.
    pub others: u64,
}

/// The shares of one signer and of one network, as parts of their room.
const SIGNER: usize = 8;
const NETWORK: usize = 4;

/// The longest that a signature can be valid after it was accepted, if the clock is not set back.
const VALID: Duration = LIFETIME.saturating_add(MAX_CLOCK_SKEW);

/// How long a nonce is remembered if there is room.
const KEPT: Duration = Duration::from_hours(1);

/// How far ahead the time of fast clocks is written down, at most, in seconds: once in that time, rather than for each request.
const AHEAD: u64 = 5;

/// The first half of a SHA-256: that two of these are equal by chance will not happen, and would only refuse a request.
type Key = [u8; 16];

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    rooms: [Nonces; 3],
    /// What an earlier process has left, and what this one has written down.
    before: FastClock,
    written: FastClock,
}

/// The nonces of one room.
#[derive(Debug, Default)]
struct Nonces {
    /// Those whose signatures may be valid, in the order in which they were accepted.
    valid: VecDeque<Accepted>,
    /// Older ones.
    expired: VecDeque<(Instant, Key)>,
    /// How many of the valid ones each signer and each network has.
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
    /// Enough for 2,900 requests a second, each remembered for 90 s at least; about 30 MB when full.
    pub const CAPACITY: usize = 1 << 18;

    /// A cache of at most `capacity` nonces for a server that starts now.
    pub fn new(capacity: usize) -> Self {
        Self::starting(Instant::now(), SystemTime::now(), capacity)
    }

    /// A cache of at most `capacity` nonces, for a server that starts at this moment by both clocks.
    pub fn starting(start: Instant, wall: SystemTime, capacity: usize) -> Self {
        Self { capacity, start, start_unix: unix_seconds(wall), seen: Mutex::default() }
    }

    /// Notes what an earlier process has written down.
    pub fn resume(&self, before: FastClock) {
        let mut seen = self.seen();
        (seen.before, seen.written) = (before, before);
    }

    /// The time that has to be written down before this request is accepted, if its signer's clock is fast; tell it by
    /// [`written`](Self::written) then.
    pub fn to_write(&self, verified: &Verified, room: Room, now: SystemTime) -> Option<u64> {
        let ahead = verified.created.checked_sub(unix_seconds(now)).filter(|ahead| *ahead > 0)?;
        let known = *self.seen().written.of(room);
        (verified.created > known).then(|| verified.created + ahead.min(AHEAD))
    }

    /// That it is written down.
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
        // Whatever a panic elsewhere left here is a whole set of whole keys.
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
    /// Gives back the shares of what has expired, and forgets what is older than `kept`.
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

    /// Forgets the oldest nonce of a room whose signature has expired, if there is one.
    fn forget_oldest(&mut self, room: Room) -> bool {
        match self.rooms[room as usize].expired.pop_front() {
            Some((_, key)) => self.keys.remove(&key),
            None => false,
        }
    }
}
