//! How often OAuth tokens are renewed.
//!
//! Each renewal sends a charm's refresh token, and many services issue a limited number of tokens. So after an exchange
//! there is a pause, in which callers get the result of the last one. After a failure it ends early when the cause may
//! be fixed:
//!
//! | what failed | what ends the pause |
//! |---|---|
//! | the charm's authorization (`invalid_grant`) | another refresh token: somebody signed in again |
//! | the OAuth client, or the token service | a renewal of any charm that succeeds: the service works, and accepts the client. All charms that failed so are polled again |
//! | either, after a change of the configuration | the restart that comes with it |
//! | anything | the poll loop asks again after [`LONGEST_FOR_POLLS`]; it backs off by itself, and polls when something changes |
//!
//! The pauses are kept in memory: one process at a time runs the charms of a database, by its lock, and a command that
//! runs beside it, or a restart, begins without a pause.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bg_identity::Secret;
use bg_poller::{Cause, RuntimeError, Scope};
use sha2::{Digest, Sha256};

/// A token that was just renewed is good; a server that refuses it will refuse the next one. Doubles with each one that
/// is renewed long before its end.
const AFTER_SUCCESS: Duration = Duration::from_mins(1);

/// The first wait after an exchange that failed. Doubles with each one that fails with the same refresh token.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The longest wait after failures.
const LONGEST_AFTER_FAILURE: Duration = Duration::from_mins(15);

/// The first wait of the poll loop after an exchange that failed. Doubles as well.
const POLLS_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The longest wait of the poll loop after failures. It waits for two intervals or more by itself, and this is less
/// than most intervals: the result of a poll is that of an exchange.
const LONGEST_FOR_POLLS: Duration = Duration::from_secs(30);

/// The longest wait for a token that does not say when it ends.
const LONGEST: Duration = Duration::from_hours(1);

/// A token that has no more than this left is renewed, whatever came before.
const BEFORE_END: Duration = Duration::from_mins(1);

/// The last exchanges of all charms, or accounts.
pub(super) struct Renewals<K>(Mutex<State<K>>);

struct State<K> {
    last: HashMap<K, Last>,
    /// How many there may be before those whose pause is over are dropped.
    sweep_at: usize,
}

impl<K> Default for Renewals<K> {
    fn default() -> Self {
        Self(Mutex::new(State { last: HashMap::new(), sweep_at: 0 }))
    }
}

struct Last {
    /// Of the refresh token that the charm has had since. With another one, somebody signed in again.
    token: [u8; 32],
    result: Result<(), RuntimeError>,
    in_a_row: u32,
    at: Instant,
    paused_until: Instant,
    /// When the token that came is near its end.
    due: Option<Instant>,
}

impl Last {
    /// Whether it still says something of the exchange that is next.
    fn counts(&self, now: Instant) -> bool {
        now < self.paused_until + LONGEST
    }

    /// When the next exchange may be.
    fn ends(&self, polls: bool) -> Instant {
        if polls && self.result.is_err() {
            return self.at + doubled(POLLS_AFTER_FAILURE, self.in_a_row).min(LONGEST_FOR_POLLS);
        }
        self.paused_until
    }

    /// Whether the token service failed, or did not accept the client: the same for all charms.
    fn is_the_services(&self) -> bool {
        matches!(
            self.result,
            Err(RuntimeError::Unmet { cause: Cause::NoRefreshUrl | Cause::WrongClient, .. }
                | RuntimeError::Unavailable { scope: Scope::Upstream, .. })
        )
    }
}

impl<K: Clone + Eq + Hash> Renewals<K> {
    /// The result of the last exchange, if the next one has to wait. `polls`: whether it is for a poll.
    pub(super) fn paused(
        &self,
        charm: &K,
        token: &Secret,
        polls: bool,
        now: Instant,
    ) -> Option<Result<(), RuntimeError>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = state.last.get(charm)?;
        (last.token == digest(token) && now < last.ends(polls)).then(|| last.result.clone())
    }

    /// Forgets the last exchange: what it failed for may be fixed.
    pub(super) fn forget(&self, charm: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.remove(charm);
    }

    /// Notes the result of an exchange: `token` is the refresh token that the charm has from now on, and `life` how
    /// long the new access token is good for, if it says so. Returns the other charms whose cause is fixed, as a
    /// success shows.
    pub(super) fn note(
        &self,
        charm: &K,
        token: &Secret,
        life: Option<Duration>,
        result: &Result<(), RuntimeError>,
        now: Instant,
    ) -> Vec<K> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.len() >= state.sweep_at {
            state.last.retain(|_, last| last.counts(now));
            state.sweep_at = (2 * state.last.len()).max(64);
        }
        let (token, before) = (digest(token), state.last.get(charm).filter(|last| last.counts(now)));
        let before = before.filter(|last| last.result.is_ok() == result.is_ok());
        let due = life.and_then(|life| now.checked_add(life.saturating_sub(BEFORE_END)));
        let in_a_row = match (result, before) {
            // It was time for that one.
            (Ok(()), Some(last)) if last.due.is_some_and(|due| due <= now) => 0,
            (Err(_), Some(last)) if last.token != token => 0,
            (_, Some(last)) => last.in_a_row.saturating_add(1),
            (_, None) => 0,
        };
        let pause = match result {
            Ok(()) => {
                let longest = life.map_or(LONGEST, |life| life.saturating_sub(BEFORE_END));
                doubled(AFTER_SUCCESS, in_a_row).min(longest).max(AFTER_SUCCESS)
            }
            Err(_) => doubled(AFTER_FAILURE, in_a_row).min(LONGEST_AFTER_FAILURE),
        };
        let paused_until = now.checked_add(pause).unwrap_or(now + LONGEST);
        state.last.insert(charm.clone(), Last { token, result: result.clone(), in_a_row, at: now, paused_until, due });
        if result.is_err() {
            return Vec::new();
        }
        state.last.extract_if(|_, last| last.is_the_services()).map(|(charm, _)| charm).collect()
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}

fn digest(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};
    use bg_poller::CharmRef;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn charm() -> CharmRef {
        CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") }
    }

    fn token(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    /// How many of the calls that come each second within `time` lead to an exchange.
    fn exchanges(time: Duration, life: Option<Duration>, result: &Result<(), RuntimeError>) -> usize {
        exchanges_of(false, time, life, result)
    }

    fn exchanges_of(polls: bool, time: Duration, life: Option<Duration>, result: &Result<(), RuntimeError>) -> usize {
        let (renewals, charm, start) = (Renewals::default(), charm(), Instant::now());
        let mut count = 0;
        for second in 0..time.as_secs() {
            let now = start + Duration::from_secs(second);
            if let Some(last) = renewals.paused(&charm, &token("r"), polls, now) {
                assert_eq!(last, *result);
                continue;
            }
            renewals.note(&charm, &token("r"), life, result, now);
            count += 1;
        }
        count
    }

    #[test]
    fn calls_without_end_lead_to_few_exchanges() {
        let failed = Err(RuntimeError::Unfit("no".into()));
        // A minute, 2, 4, 8, 16, 32.
        assert_eq!(exchanges(HOUR, Some(8 * HOUR), &Ok(())), 6);
        assert_eq!(exchanges(HOUR, None, &Ok(())), 6);
        // A token that is good for two minutes is renewed each minute.
        assert_eq!(exchanges(10 * AFTER_SUCCESS, Some(2 * AFTER_SUCCESS), &Ok(())), 10);
        assert_eq!(exchanges(10 * AFTER_SUCCESS, Some(Duration::ZERO), &Ok(())), 10);
        // Half a minute, 1, 2, 4, 8, then 15 each.
        assert_eq!(exchanges(HOUR, None, &failed), 8);
        // For polls a second, 2, 4, 8, 16, then half a minute each.
        assert_eq!(exchanges_of(true, HOUR, None, &failed), 6 + 118);
        assert_eq!(exchanges_of(true, HOUR, None, &Ok(())), 6);
    }

    #[test]
    fn a_renewal_that_succeeds_ends_the_pauses_of_all_that_failed_for_the_services_sake() {
        let (renewals, now) = (Renewals::default(), Instant::now());
        let of = |name: &[u8]| CharmRef { space: space_did("my-space"), charm: CharmId::for_content(name) };
        let failures = [
            (of(b"client"), RuntimeError::unmet(Cause::WrongClient, "invalid_client"), true),
            (of(b"service"), RuntimeError::unavailable_in(Scope::Upstream, "says 503"), true),
            (of(b"grant"), RuntimeError::unmet(Cause::SignInEnded, "invalid_grant"), false),
            (of(b"store"), RuntimeError::unavailable("the disk is full"), false),
        ];
        for (charm, error, _) in &failures {
            assert_eq!(renewals.note(charm, &token("r"), None, &Err(error.clone()), now), []);
        }
        let mut released = renewals.note(&of(b"works"), &token("r"), None, &Ok(()), now);
        released.sort_unstable();
        let mut expected: Vec<_> = failures.iter().filter(|(.., is)| *is).map(|(charm, ..)| charm.clone()).collect();
        expected.sort_unstable();
        assert_eq!(released, expected);
        for (charm, _, is_released) in &failures {
            assert_eq!(renewals.paused(charm, &token("r"), false, now).is_none(), *is_released);
        }
        assert_eq!(renewals.note(&of(b"works"), &token("r"), None, &Ok(()), now), [], "once");
    }

    #[test]
    fn a_token_near_its_end_is_renewed_and_so_is_one_of_a_new_sign_in() {
        let (renewals, charm, start) = (Renewals::default(), charm(), Instant::now());
        renewals.note(&charm, &token("a"), Some(HOUR), &Ok(()), start);
        let near = start + HOUR.saturating_sub(BEFORE_END);
        let nearly = start + HOUR.saturating_sub(BEFORE_END + Duration::from_secs(1));
        assert_eq!(
            renewals.paused(&charm, &token("a"), false, start + AFTER_SUCCESS.saturating_sub(Duration::from_millis(1))),
            Some(Ok(()))
        );
        assert_eq!(renewals.paused(&charm, &token("a"), false, start + AFTER_SUCCESS), None, "a server may refuse it");
        for _ in 0..8 {
            renewals.note(&charm, &token("a"), Some(HOUR), &Ok(()), start);
        }
        assert_eq!(renewals.paused(&charm, &token("a"), false, nearly), Some(Ok(())));
        assert_eq!(renewals.paused(&charm, &token("a"), false, near), None);
        let failed = Err(RuntimeError::Unfit("no".into()));
        renewals.note(&charm, &token("a"), None, &failed, near);
        assert_eq!(renewals.paused(&charm, &token("a"), false, near), Some(failed));
        assert_eq!(renewals.paused(&charm, &token("b"), false, near), None, "somebody signed in again");
    }
}
