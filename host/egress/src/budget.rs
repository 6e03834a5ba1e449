//! The HTTP budget of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use bg_identity::CharmRef;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::{EgressError, Wait};
use crate::limits::HttpLimits;
use crate::secrets::{KnownSecret, Secrets};
use crate::turns::{Purpose, Turn, Turns};

/// The HTTP budget of one call of a guest: how many requests, how many at a time, until when, and where its secrets may
/// go; and the charm that the call is for. Clones share it.
#[derive(Clone, Debug)]
pub struct CallBudget {
    inner: Arc<Inner>,
    secrets: Arc<Secrets>,
    charm: Option<Arc<CharmRef>>,
    purpose: Purpose,
}

#[derive(Debug)]
struct Inner {
    limit: u32,
    asked: AtomicU32,
    concurrent: usize,
    permits: Arc<Semaphore>,
    deadline: Instant,
}

/// A semaphore for requests in flight. More permits than tokio's semaphores can hold would panic, so the count is
/// clamped.
fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)))
}

/// The permits of one request in flight: one of its call, one of its owner. Dropping it admits the next request.
#[derive(Debug)]
pub(crate) struct Permit {
    _of_call: OwnedSemaphorePermit,
    _of_owner: Turn,
}

impl CallBudget {
    /// A full budget for a call that ends at `deadline` at the latest (a `std` or a `tokio` instant).
    pub fn new(limits: &HttpLimits, deadline: impl Into<Instant>) -> Self {
        let permits = permits(limits.concurrent_per_call);
        let inner = Inner {
            limit: limits.requests_per_call,
            asked: AtomicU32::new(0),
            concurrent: permits.available_permits(),
            permits,
            deadline: deadline.into(),
        };
        Self { inner: Arc::new(inner), secrets: Arc::default(), charm: None, purpose: Purpose::Other }
    }

    /// The same budget, for a guest that knows these secrets.
    #[must_use]
    pub fn with_secrets(self, known: Vec<KnownSecret>) -> Self {
        Self { secrets: Arc::new(Secrets::new(known)), ..self }
    }

    /// The same budget, for a call of or about that charm: all its requests are for this charm, also if the guest
    /// names another.
    #[must_use]
    pub fn for_charm(self, charm: CharmRef) -> Self {
        Self { charm: Some(Arc::new(charm)), ..self }
    }

    /// The same budget, for a call of that purpose.
    #[must_use]
    pub(crate) fn for_purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// The charm that all requests of the call are for, if known.
    pub(crate) fn charm(&self) -> Option<&Arc<CharmRef>> {
        self.charm.as_ref()
    }

    /// The secrets that the guest knows.
    pub(crate) fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// The text, or a mask if it contains a secret that the guest knows, whatever its case.
    pub fn masked(&self, text: &str) -> String {
        self.secrets.masked(text.to_owned())
    }

    /// When the call ends.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// How many requests the guest made, including refused ones.
    pub fn asked(&self) -> u32 {
        self.inner.asked.load(Ordering::Relaxed)
    }

    /// How many requests are in flight: sent, and the response's body neither ended nor dropped.
    pub fn in_flight(&self) -> usize {
        self.inner.concurrent - self.inner.permits.available_permits()
    }

    pub(crate) fn count(&self) -> Result<(), OverBudget> {
        let limit = self.inner.limit;
        // Saturates: a guest must not overflow the count back to zero.
        let before = self.inner.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |asked| asked.checked_add(1));
        match before {
            Ok(before) if before < limit => Ok(()),
            before => Err(OverBudget { limit, first: before == Ok(limit) }),
        }
    }

    /// Waits for the permits of one request: the call's, then its owner's.
    pub(crate) async fn permit(&self, of_owner: &Arc<Turns>, limits: &HttpLimits) -> Result<Permit, EgressError> {
        let started = Instant::now();
        let until = self.inner.deadline.min(started + limits.request_time);
        // Timers are coarse: without this check, a request could start up to a millisecond after its call ended.
        if until <= started {
            return Err(EgressError::Timeout { what: Wait::Permit, after: Duration::ZERO });
        }
        let has_own = AtomicBool::new(false);
        let both = async {
            let of_call = self.inner.permits.clone().acquire_owned().await?;
            has_own.store(true, Ordering::Relaxed);
            let space = self.charm.as_ref().map(|charm| &charm.space);
            let of_owner = of_owner.take(self.purpose, space).await;
            Ok::<_, AcquireError>(Permit { _of_call: of_call, _of_owner: of_owner })
        };
        if let Ok(Ok(permit)) = tokio::time::timeout_at(until, both).await {
            return Ok(permit);
        }
        // The semaphore is never closed, so this is a timeout.
        let what = if has_own.load(Ordering::Relaxed) { Wait::SharedPermit } else { Wait::Permit };
        Err(EgressError::Timeout { what, after: until - started })
    }
}

/// How far the gate is with a request that has this as an extension. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU8>);

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// For the gate to look at it.
    Gate,
    /// For its permits: others have them.
    Permit,
    /// For its own body.
    Body,
    /// For its server, and for what its server needs: a name, a credential, a connection.
    Server,
}

impl Progress {
    /// Its stage.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            0 => Stage::Gate,
            1 => Stage::Permit,
            2 => Stage::Body,
            _ => Stage::Server,
        }
    }

    /// It is at that stage now.
    pub fn reach(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }
}

/// The call has used up its requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverBudget {
    pub(crate) limit: u32,
    /// Whether this is the first request over the limit.
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
    async fn only_the_first_request_over_the_limit_is_marked_as_such() {
        let budget = budget(2, 1);
        assert_eq!(budget.count(), Ok(()));
        assert_eq!(budget.count(), Ok(()));
        assert_eq!(budget.count(), Err(OverBudget { limit: 2, first: true }));
        assert_eq!(budget.count(), Err(OverBudget { limit: 2, first: false }));
        assert_eq!(budget.asked(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_permit_and_gives_up_in_time() {
        let (one, other) = (budget(2, 1), budget(2, 1));
        let limits = HttpLimits::default();
        // The call or its owner has no permit left.
        for (owner, next, waited_for) in
            [(Turns::new(2), &one, Wait::Permit), (Turns::new(1), &other, Wait::SharedPermit)]
        {
            let held = one.permit(&owner, &limits).await.unwrap();
            assert_eq!(one.in_flight(), 1);
            let refused = next.permit(&owner, &limits).await.unwrap_err();
            assert!(matches!(refused, EgressError::Timeout { what, .. } if what == waited_for), "{refused}");
            drop(held);
            assert_eq!((one.in_flight(), other.in_flight()), (0, 0));
            assert!(next.permit(&owner, &limits).await.is_ok());
        }
    }
}
