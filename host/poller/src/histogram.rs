//! How a quantity is distributed, in little memory.

use std::time::Duration;

/// Values below this many milliseconds have a bucket each.
const EXACT: u64 = 16;
/// Above, every doubling is divided into this number of buckets.
const STEPS: u64 = 8;
/// What lies above the last bucket is counted in it: some 50 days.
const BUCKETS: usize = 16 + 28 * 8;

/// Times, counted by their size: exactly up to 16 ms, and to an eighth above. Adding one takes constant time, and it is
/// two kilobytes for any number of values.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0, longest: Duration::ZERO }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shares = [0.5, 0.99].map(|share| self.quantile(share));
        write!(
            f,
            "{} times, the median {:?}, p99 {:?}, the longest {:?}",
            self.total, shares[0], shares[1], self.longest
        )
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.counts[bucket(millis)] += 1;
        self.total += 1;
        self.longest = self.longest.max(time);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest of them; zero if there is none.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// A time that this share of them (0 to 1) do not exceed, by an eighth too long at most; zero if there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // 2⁵³ polls are not reached; a share of a count is no more than the count.
        let wanted = ((self.total as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_millis(highest(bucket)).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

fn bucket(millis: u64) -> usize {
    if millis < EXACT {
        return usize::try_from(millis).unwrap_or(BUCKETS - 1);
    }
    // The highest bit, and the three below it.
    let doubling = u64::from(millis.ilog2() - EXACT.ilog2());
    let step = (millis >> (millis.ilog2() - STEPS.ilog2())) - STEPS;
    usize::try_from(EXACT + doubling * STEPS + step).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The highest value, in milliseconds, that is counted in a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (doubling, step) = ((bucket - EXACT) / STEPS, (bucket - EXACT) % STEPS);
    ((STEPS + step + 1) << (doubling + u64::from(EXACT.ilog2() - STEPS.ilog2()))) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_counted_is_no_time_at_all() {
        let none = Histogram::default();
        assert_eq!((none.count(), none.quantile(0.5), none.longest()), (0, Duration::ZERO, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn a_value_is_in_a_bucket_whose_highest_is_an_eighth_above_it_at_most(millis in 0_u64..4_000_000_000) {
            let highest = highest(bucket(millis));
            prop_assert!(highest >= millis && highest - millis <= millis / 8);
            prop_assert_eq!(bucket(highest), bucket(millis));
            prop_assert!(bucket(highest + 1) == bucket(millis) + 1);
        }

        #[test]
        fn quantiles_are_those_of_the_sorted_times_or_little_more(
            mut millis in proptest::collection::vec(0_u64..100_000, 1..300), share in 0.0..=1.0_f64,
        ) {
            let mut histogram = Histogram::default();
            for millis in &millis {
                histogram.add(Duration::from_millis(*millis));
            }
            millis.sort_unstable();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let place = ((millis.len() as f64 * share).ceil() as usize).max(1) - 1;
            let told = u64::try_from(histogram.quantile(share).as_millis()).unwrap();
            prop_assert!(told >= millis[place] && told - millis[place] <= millis[place] / 8);
            prop_assert_eq!(histogram.longest(), Duration::from_millis(*millis.last().unwrap()));
        }
    }
}
