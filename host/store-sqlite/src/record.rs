//! Registrations as callers change and see them.

use bg_charm_api::Actor;
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, Counters, PollState, Registration, Run, RuntimeError};
use bg_store::{StoredCharm, refusals};
use rusqlite::Transaction;

use super::tenancy::Tenants;
use super::{Failure, access, charms, poll, registrations, runs};

/// The registration of a charm, which must have one.
pub(crate) fn registration(tx: &Transaction<'_>, stored: &StoredCharm) -> Result<Registration, Failure> {
    let charm = &stored.summary.charm;
    let found = registrations::of(tx, stored.row).map_err(|failure| failure.of("the registration", charm))?;
    found.ok_or_else(|| refusals::not_registered(charm).into())
}

/// Registers a charm that has one of these streams.
pub(crate) fn register(
    tx: &Transaction<'_>,
    tenants: &Tenants,
    actor: &Actor,
    charm: &CharmRef,
    integration: &IntegrationId,
    streams: &[String],
) -> Result<Registration, Failure> {
    let stored = charms::find(tx, charm)?;
    if !registrations::is_there(tx, stored.row)? {
        tenants.admit_new(tx, actor)?;
    }
    if !streams.iter().any(|name| stored.has_stream(name)) {
        return Err(refusals::cannot_be_polled(&stored, streams).into());
    }
    registrations::upsert(tx, stored.row, integration)?;
    registration(tx, &stored)
}

/// Notes runs. What concerns one charm keeps nothing from the others.
pub(crate) fn record(tx: &Transaction<'_>, all: &[Run], kept: u32) -> Result<(), Failure> {
    for run in all {
        match record_one(tx, run, kept) {
            Ok(()) | Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
            Err(Failure::Damaged(what)) => tracing::warn!("a run of {} is not noted: {what} is damaged", run.charm),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Notes one run, unless it is noted already: a caller to whom the answer was lost sends it again.
fn record_one(tx: &Transaction<'_>, run: &Run, kept: u32) -> Result<(), Failure> {
    let row = charms::find(tx, &run.charm)?.row;
    if !runs::has(tx, row, run)? && registrations::note_run(tx, row, run)? {
        registrations::wake_if_changed_since(tx, row, run)?;
        runs::add(tx, row, run, kept)?;
    }
    Ok(())
}

/// The counters of a registered charm.
pub(crate) fn counters(tx: &Transaction<'_>, actor: &Actor, charm: &CharmRef) -> Result<Counters, Failure> {
    let stored = access::observed(tx, actor, charm)?;
    let counters = registrations::counters(tx, stored.row).map_err(|failure| failure.of("the counters", charm))?;
    counters.ok_or_else(|| refusals::not_registered(charm).into())
}

/// Notes which charms fail and which do not any more. Charms that do not exist, or are damaged, are skipped.
pub(crate) fn note_failing(
    tx: &Transaction<'_>,
    failing: Vec<PollState>,
    recovered: &[CharmRef],
) -> Result<(), Failure> {
    let mut known = Vec::with_capacity(failing.len());
    for state in failing {
        match charms::find(tx, &state.charm) {
            Ok(_) => known.push(state),
            Err(Failure::Refused(RuntimeError::NotFound(_)) | Failure::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    poll::save(tx, &known)?;
    poll::forget(tx, recovered)
}
