//! How often OAuth tokens are renewed.
//!
//! Each renewal sends a charm's refresh token, and many a service gives out a limited number of tokens. A caller who
//! asks again meanwhile gets the result of the last exchange. This is kept in memory: one process at a time runs the charms
//! of a database, by its lock, and a command that runs beside it, or a restart, begins without a pause.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError};
use sha2::{Digest, Sha256};

/// A token that was just renewed is good; a server that refuses it will refuse the next one. Doubles with each one that
/// is renewed long before its end.
const AFTER_SUCCESS: Duration = Duration::from_mins(1);

/// The first wait after an exchange that failed. Doubles with each one that fails with the same refresh token.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// The longest wait after failures.
const LONGEST_AFTER_FAILURE: Duration = Duration::from_mins(15);

/// The longest wait for a token that does not say when it ends.
const LONGEST: Duration = Duration::from_hours(1);

/// A token that has no more than this left is renewed, whatever came before.
const BEFORE_END: Duration = Duration::from_mins(1);

/// The last exchanges of all charms.
#[derive(Default)]
pub(super) struct Renewals(Mutex<State>);

#[derive(Default)]
struct State {
    last: HashMap<CharmRef, Last>,
    /// How many there may be before those whose pause is over are dropped.
    sweep_at: usize,
}

struct Last {
    /// Of the refresh token that the charm has had since. With another one, somebody signed in again.
    token: [u8; 32],
    result: Result<(), RuntimeError>,
    in_a_row: u32,
    paused_until: Instant,
    /// When the token that came is near its end.
    due: Option<Instant>,
}

impl Last {
    /// Whether it still says something of the exchange that is next.
    fn counts(&self, now: Instant) -> bool {
        now < self.paused_until + LONGEST
    }
}

impl Renewals {
    /// What came of the last exchange, if the next one has to wait.
    pub(super) fn paused(&self, charm: &CharmRef, token: &Secret, now: Instant) -> Option<Result<(), RuntimeError>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = state.last.get(charm)?;
        (last.token == digest(token) && now < last.paused_until).then(|| last.result.clone())
    }

    /// Notes what came of an exchange: `token` is the refresh token that the charm has from now on, and `life` how long
    /// the new access token is good for, if it says so.
    pub(super) fn note(
        &self,
        charm: &CharmRef,
        token: &Secret,
        life: Option<Duration>,
        result: &Result<(), RuntimeError>,
        now: Instant,
    ) {
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
        let doubled = |first: Duration| first.saturating_mul(2_u32.saturating_pow(in_a_row));
        let pause = match result {
            Ok(()) => {
                let longest = life.map_or(LONGEST, |life| life.saturating_sub(BEFORE_END));
                doubled(AFTER_SUCCESS).min(longest).max(AFTER_SUCCESS)
            }
            Err(_) => doubled(AFTER_FAILURE).min(LONGEST_AFTER_FAILURE),
        };
        let paused_until = now.checked_add(pause).unwrap_or(now + LONGEST);
        state.last.insert(charm.clone(), Last { token, result: result.clone(), in_a_row, paused_until, due });
    }
}

fn digest(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}

#[cfg(test)]
mod tests {
    use bg_identity::{CharmId, space_did};

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
        let (renewals, charm, start) = (Renewals::default(), charm(), Instant::now());
        let mut count = 0;
        for second in 0..time.as_secs() {
            let now = start + Duration::from_secs(second);
            if let Some(last) = renewals.paused(&charm, &token("r"), now) {
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
    }

    #[test]
    fn a_token_near_its_end_is_renewed_and_so_is_one_of_a_new_sign_in() {
        let (renewals, charm, start) = (Renewals::default(), charm(), Instant::now());
        renewals.note(&charm, &token("a"), Some(HOUR), &Ok(()), start);
        let near = start + HOUR.saturating_sub(BEFORE_END);
        let nearly = start + HOUR.saturating_sub(BEFORE_END + Duration::from_secs(1));
        assert_eq!(
            renewals.paused(&charm, &token("a"), start + AFTER_SUCCESS.saturating_sub(Duration::from_millis(1))),
            Some(Ok(()))
        );
        assert_eq!(renewals.paused(&charm, &token("a"), start + AFTER_SUCCESS), None, "a server may refuse it");
        for _ in 0..8 {
            renewals.note(&charm, &token("a"), Some(HOUR), &Ok(()), start);
        }
        assert_eq!(renewals.paused(&charm, &token("a"), nearly), Some(Ok(())));
        assert_eq!(renewals.paused(&charm, &token("a"), near), None);
        let failed = Err(RuntimeError::Unfit("no".into()));
        renewals.note(&charm, &token("a"), None, &failed, near);
        assert_eq!(renewals.paused(&charm, &token("a"), near), Some(failed));
        assert_eq!(renewals.paused(&charm, &token("b"), near), None, "somebody signed in again");
    }
}
