//! What is left of a call's requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bg_identity::CharmRef;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::{EgressError, Wait};
use crate::limits::HttpLimits;
use crate::secrets::{KnownSecret, Secrets};

/// The HTTP budget of one call of a guest: how many requests, how many at once, until when, and where its secrets may go; and the
/// charm that it is for. Clones share it.
#[derive(Clone, Debug)]
pub struct CallBudget {
    inner: Arc<Inner>,
    secrets: Arc<Secrets>,
    charm: Option<Arc<CharmRef>>,
}

#[derive(Debug)]
struct Inner {
    limit: u32,
    asked: AtomicU32,
    concurrent: usize,
    places: Arc<Semaphore>,
    deadline: Instant,
}

/// Places for requests under way. More permits than tokio's semaphores can hold would panic; nobody needs as many.
pub(crate) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

/// A place for one request under way, of its call's and of its owner's. Dropping it makes room for the next.
#[derive(Debug)]
pub(crate) struct Place {
    _of_call: OwnedSemaphorePermit,
    _of_owner: OwnedSemaphorePermit,
}

impl CallBudget {
    /// A fresh one, for a call that ends at `deadline` at the latest (a `std` or a `tokio` instant).
    pub fn new(limits: &HttpLimits, deadline: impl Into<Instant>) -> Self {
        let places = places(limits.concurrent_per_call);
        let inner = Inner {
            limit: limits.requests_per_call,
            asked: AtomicU32::new(0),
            concurrent: places.available_permits(),
            places,
            deadline: deadline.into(),
        };
        Self { inner: Arc::new(inner), secrets: Arc::default(), charm: None }
    }

    /// The same, for a guest that knows these secrets.
    #[must_use]
    pub fn with_secrets(self, known: Vec<KnownSecret>) -> Self {
        Self { secrets: Arc::new(Secrets::new(known)), ..self }
    }

    /// The same, for a call of that charm, or about it: its requests are for it, whatever the guest says.
    #[must_use]
    pub fn for_charm(self, charm: CharmRef) -> Self {
        Self { charm: Some(Arc::new(charm)), ..self }
    }

    /// The charm that all requests of the call are for, if it is known.
    pub(crate) fn charm(&self) -> Option<&Arc<CharmRef>> {
        self.charm.as_ref()
    }

    /// What the guest knows that not everybody may.
    pub(crate) fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// When the call ends.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// How many requests the guest made, refused ones included.
    pub fn asked(&self) -> u32 {
        self.inner.asked.load(Ordering::Relaxed)
    }

    /// How many of them are under way: sent, and their response's body neither at its end nor dropped.
    pub fn in_flight(&self) -> usize {
        self.inner.concurrent - self.inner.places.available_permits()
    }

    /// Counts one request.
    pub(crate) fn count(&self) -> Result<(), OverBudget> {
        let limit = self.inner.limit;
        // Saturates, so that a guest cannot count its way round to zero.
        let before = self.inner.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |asked| asked.checked_add(1));
        match before {
            Ok(before) if before < limit => Ok(()),
            before => Err(OverBudget { limit, first: before == Ok(limit) }),
        }
    }

    /// Waits for a place among the requests under way: the call's, and then its owner's.
    pub(crate) async fn place(&self, of_owner: &Arc<Semaphore>, limits: &HttpLimits) -> Result<Place, EgressError> {
        let started = Instant::now();
        let until = self.inner.deadline.min(started + limits.request_time);
        // Timers are coarse; what is over must not get a millisecond's grace.
        if until <= started {
            return Err(EgressError::Timeout { what: Wait::Place, after: Duration::ZERO });
        }
        let has_own = AtomicBool::new(false);
        let both = async {
            let of_call = self.inner.places.clone().acquire_owned().await?;
            has_own.store(true, Ordering::Relaxed);
            let of_owner = of_owner.clone().acquire_owned().await?;
            Ok::<_, AcquireError>(Place { _of_call: of_call, _of_owner: of_owner })
        };
        match tokio::time::timeout_at(until, both).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphores are never closed, so this is the timeout.
            Ok(Err(_)) | Err(_) => {
                let what = if has_own.load(Ordering::Relaxed) { Wait::SharedPlace } else { Wait::Place };
                Err(EgressError::Timeout { what, after: until - started })
            }
        }
    }
}

/// All requests of the call are used up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverBudget {
    pub(crate) limit: u32,
    /// Whether this is the first one too many.
    pub(crate) first: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(requests: u32, at_once: usize) -> CallBudget {
        let limits = HttpLimits { requests_per_call: requests, concurrent_per_call: at_once, ..HttpLimits::default() };
        CallBudget::new(&limits, Instant::now() + Duration::from_mins(1))
    }

    #[tokio::test]
    async fn the_first_request_too_many_is_told_from_the_others() {
        let budget = budget(2, 1);
        assert_eq!(budget.count(), Ok(()));
        assert_eq!(budget.count(), Ok(()));
        assert_eq!(budget.count(), Err(OverBudget { limit: 2, first: true }));
        assert_eq!(budget.count(), Err(OverBudget { limit: 2, first: false }));
        assert_eq!(budget.asked(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_place_and_gives_up_in_time() {
        let (one, other) = (budget(2, 1), budget(2, 1));
        let limits = HttpLimits::default();
        // Whether the call has no more places, or its owner.
        for (owner, next, waited_for) in [(places(2), &one, Wait::Place), (places(1), &other, Wait::SharedPlace)] {
            let held = one.place(&owner, &limits).await.unwrap();
            assert_eq!(one.in_flight(), 1);
            let refused = next.place(&owner, &limits).await.unwrap_err();
            assert!(matches!(refused, EgressError::Timeout { what, .. } if what == waited_for), "{refused}");
            drop(held);
            assert_eq!((one.in_flight(), other.in_flight()), (0, 0));
            assert!(next.place(&owner, &limits).await.is_ok());
        }
    }
}
