//! How long a charm's OAuth token is good for.

use std::time::Duration;

use serde_json::Value;

use crate::{Charm, Lookup, RuntimeError, UnixMillis};

/// A token is renewed so long before it ends: a handler may take this long, and should not find it ended half-way.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

/// How long a charm's OAuth token is good for, by its `auth.expiresAt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLife {
    /// The charm does not say, or nobody has logged in to it yet.
    Unknown,
    /// It need not be renewed for so long.
    Fresh(Duration),
    /// It ends within a minute.
    EndsSoon,
    /// It has ended.
    Ended,
}

impl TokenLife {
    /// Where a charm says so.
    pub const PATH: [&str; 2] = ["auth", "expiresAt"];

    /// What a charm says of its token, at the time `now`.
    pub async fn of(charm: &dyn Charm, now: UnixMillis) -> Result<Self, RuntimeError> {
        let path = Self::PATH.map(str::to_owned);
        let Lookup::Value(Value::Number(expires)) = charm.get(&path).await? else { return Ok(Self::Unknown) };
        // JavaScript writes numbers as it likes: 1.7e12 is a time, too.
        Ok(expires.as_f64().map_or(Self::Unknown, |expires| Self::until(expires, now)))
    }

    /// `expires` in milliseconds since 1970; 0 is a charm that nobody has logged in to.
    fn until(expires: f64, now: UnixMillis) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits for 285,000 years")]
        let left = expires - now.0 as f64;
        if expires <= 0.0 {
            return Self::Unknown;
        }
        if left <= 0.0 {
            return Self::Ended;
        }
        let left = Duration::try_from_secs_f64(left / 1_000.0).unwrap_or(Duration::MAX);
        match left.checked_sub(RENEW_BEFORE) {
            Some(left) if !left.is_zero() => Self::Fresh(left),
            _ => Self::EndsSoon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_when_it_says_and_is_renewed_a_minute_before() {
        let now = UnixMillis(1_764_000_000_000);
        let seconds = Duration::from_secs;
        for (expires, life) in [
            (-1.0, TokenLife::Unknown),
            (0.0, TokenLife::Unknown),
            (1.0, TokenLife::Ended),
            (1_764_000_000_000.0, TokenLife::Ended),
            (1_764_000_000_001.0, TokenLife::EndsSoon),
            (1_764_000_060_000.0, TokenLife::EndsSoon),
            (1_764_000_061_000.0, TokenLife::Fresh(seconds(1))),
            (1_764_003_600_000.0, TokenLife::Fresh(seconds(3_540))),
            (f64::MAX, TokenLife::Fresh(Duration::MAX.saturating_sub(RENEW_BEFORE))),
        ] {
            assert_eq!(TokenLife::until(expires, now), life, "{expires}");
        }
    }
}
