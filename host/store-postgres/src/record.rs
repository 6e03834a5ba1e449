//! Registrations as callers change them, and runs as they report them.

use bg_charm_api::Actor;
use bg_identity::IntegrationId;
use bg_poller::{CharmRef, PollState, Registration, Run, RuntimeError};
use bg_store::refusals;

use super::access::Found;
use super::error::Failure;
use super::logs::{self, Runs};
use super::poll;
use super::registrations::{self, Noted};
use super::session::Session;
use super::tenants::Tenants;
use super::values::{Columns as _, texts};

/// Registers a charm that has one of these streams.
pub(crate) async fn register(
    session: &mut Session,
    tenants: &Tenants,
    actor: &Actor,
    charm: &CharmRef,
    integration: &IntegrationId,
    streams: &[String],
) -> Result<Registration, Failure> {
    let stored = Found::charm(session, actor, charm).await?.any()?;
    if !registrations::is_there(session, stored.row).await? {
        tenants.admit_new(session, actor).await?;
    }
    if !streams.iter().any(|name| stored.has_stream(name)) {
        return Err(refusals::cannot_be_polled(&stored, streams).into());
    }
    registrations::upsert(session, &stored, integration).await?;
    registrations::of(session, &stored).await
}

/// Notes runs. What concerns one charm keeps nothing from the others.
pub(crate) async fn record(session: &mut Session, all: &[Run], kept: u32) -> Result<(), Failure> {
    for run in all {
        match record_one(session, run, kept).await {
            Ok(()) | Err(Failure::Refused(RuntimeError::NotFound(_))) => {}
            Err(Failure::Damaged(what)) => tracing::warn!("a run of {} is not noted: {what} is damaged", run.charm),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Notes one run, unless it is noted already: a caller to whom the answer was lost sends it again.
async fn record_one(session: &mut Session, run: &Run, kept: u32) -> Result<(), Failure> {
    let row = Found::charm(session, &Actor::Operator, &run.charm).await?.any()?.row;
    if logs::has(session, row, run).await? {
        return Ok(());
    }
    let mut noted = Noted::default();
    noted.add(row, run, true);
    if registrations::note_runs(session, &noted).await?.contains(&row) {
        registrations::wake_if_changed_since(session, row, run).await?;
        let mut runs = Runs::default();
        runs.add(row, run, kept);
        runs.keep(session).await?;
    }
    Ok(())
}

/// Notes which charms fail and which do not any more. Charms that do not exist are skipped.
pub(crate) async fn note_failing(
    session: &Session,
    mut failing: Vec<PollState>,
    recovered: &[CharmRef],
) -> Result<(), Failure> {
    let spaces = texts(failing.iter().map(|state| state.charm.space.as_str()));
    let ids = texts(failing.iter().map(|state| state.charm.charm.as_str()));
    let select = "SELECT of.at FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS of (space, id, at) JOIN charms c ON \
                  c.space = of.space AND c.id = of.id";
    let known = session.query(select, &[&spaces, &ids]).await?;
    let known: Vec<usize> = known.iter().map(|row| row.unsigned(0)).collect::<Result<_, _>>()?;
    let mut place = 0;
    failing.retain(|_| {
        place += 1;
        known.contains(&place)
    });
    poll::save(session, &failing).await?;
    poll::forget(session, recovered).await
}
