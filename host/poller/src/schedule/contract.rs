//! The contract between the poll loop and what decides which charms are due.

use std::time::Duration;

use async_trait::async_trait;
use bg_identity::IntegrationId;
use tokio::time::Instant;

use super::lists::{ListChange, Named, Owed};
use super::polls::{Due, Lease, Settled, Settlement};
use super::status::StatusChange;
use crate::{CharmRef, Registration, RuntimeError, Servers};

/// Which charms are due, and what follows from their polls.
///
/// A charm has at most one lease at a time, of all claimers. So it is never polled twice at once by claimers that keep
/// to their leases.
///
/// What changes the schedule may take time, as a database does; the loop waits for it. What only asks what the schedule
/// knows does not, and may answer with what was true a moment ago.
#[async_trait]
pub trait Schedule: Send {
    /// Hands out at most `room` due charms, each with its own lease.
    ///
    /// - None is handed out before it is due, while it has a lease, or while it is disabled or not registered.
    /// - `room` is the number of polls that the caller can *finish*: its limit, less all polls under way. A caller that
    ///   claims what it can only queue loses the leases before it settles them, and with them all of the work.
    /// - What is due is handed out at some call, also if others are due: in turns, and by the pace of what is late.
    async fn claim(&mut self, room: usize) -> Vec<Due>;

    /// Settles polls that have ended: counts each outcome, and plans the next poll. Answers in the order of the
    /// settlements.
    ///
    /// A lease is settled once. Of a lease that has ended (its time is over, it was settled or released, or its charm
    /// was removed) nothing is kept: no failure, no success, no due time.
    async fn settle(&mut self, ended: Vec<Settlement>) -> Vec<Settled>;

    /// Extends leases that are still held, each by the full time from now on. Returns those that have ended: their
    /// polls should be stopped, since nothing of them will be kept.
    async fn renew(&mut self, leases: &[Lease]) -> Vec<Lease>;

    /// Gives back leases of polls that will not be settled: nothing counts, and the charms are due as they were before.
    /// Leases that have ended are ignored.
    async fn release(&mut self, leases: &[Lease]);

    /// How long a lease lasts that is not renewed. None: until it is settled or released, since it can be held by this
    /// process only, and ends with it. A claimer renews at a third of this time, and starts nothing in its last tenth.
    fn lease_time(&self) -> Option<Duration>;

    /// When a claim may hand out something next; none: not before something else happens. May be early, never late.
    fn next_claim(&self) -> Option<Instant>;

    /// These are all registrations, as they are now. A schedule that shares a database with the registrations knows
    /// them without that.
    async fn read_all(&mut self, registrations: &[Registration]);

    /// These registrations are new or have changed, and these charms are no longer registered.
    async fn read_changes(&mut self, changed: &[Registration], removed: &[CharmRef]);

    /// Makes a charm due now, with the failures that it has; false if it is not to be polled at all. One that is being
    /// polled, or about to be, is no sooner polled for this.
    async fn poll_soon(&mut self, charm: &CharmRef) -> bool;

    /// These servers have answered a call of a component. Charms that failed because of one of them, and wait since,
    /// are due again, at the pace of polls that are late; those that wait for other servers are not.
    ///
    /// None is handed out sooner than an interval after its last poll, or than the server asked for. Where it fails
    /// again because of a server, that interval doubles each time, until a poll of it succeeds: otherwise a caller who
    /// makes the server answer could have others polled faster.
    async fn servers_answered(&mut self, servers: &Servers);

    /// The registrations that the runtime is to disable or enable, and that no call has returned before. Each answer
    /// goes to [`status_changed`](Self::status_changed).
    fn take_status_changes(&mut self) -> Vec<StatusChange>;

    /// The runtime has disabled or enabled a registration, or could not.
    async fn status_changed(&mut self, charm: &CharmRef, answer: Result<Registration, RuntimeError>);

    /// A call of `fetch-charms` of an integration starts. A charm that is registered from now on cannot be named by it.
    async fn list_begins(&mut self, integration: &IntegrationId);

    /// The call has named these charms: each that is registered for the integration is owed a poll. `resumes`: it has
    /// ended a pause.
    async fn list_names(&mut self, integration: &IntegrationId, charms: &[CharmRef], resumes: bool) -> Named;

    /// The call has failed. The last good list is used for [`LIST_LIFE`](super::LIST_LIFE). Returns what that changes,
    /// if it is news.
    async fn list_fails(&mut self, integration: &IntegrationId) -> Option<ListChange>;

    /// Writes that these charms, which a list has named, are owed a poll.
    async fn owe(&mut self, integration: &IntegrationId, charms: &[CharmRef]) -> Owed;

    /// An integration is paused, so that none of its charms is handed out; or works again.
    async fn pause(&mut self, integration: &IntegrationId, paused: bool);

    /// The component of an integration was replaced by one with this interval; none if it asks for none. What the one
    /// before did to its charms counts no more.
    async fn replace(&mut self, integration: &IntegrationId, interval: Option<Duration>);

    /// Whether there is a list of an integration that can be used.
    fn has_list(&self, integration: &IntegrationId) -> bool;

    /// Registrations, enabled or not.
    fn registrations(&self) -> usize;

    /// Charms that are polled, of one integration or of all; counted up to `most`.
    fn active(&self, of: Option<&IntegrationId>, most: usize) -> usize;

    /// Whether a charm is polled.
    fn is_active(&self, charm: &CharmRef) -> bool;

    /// Charms that are due and wait.
    fn queued(&self) -> usize;

    /// Whether registrations were read, each integration has answered or failed to, and no charm is due at any time.
    fn is_done(&self) -> bool;
}
