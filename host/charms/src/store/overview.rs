//! Registrations page by page, and how many there are.

use std::time::Duration;

use bg_identity::{IntegrationId, SpaceDid, SpaceReader};
use bg_poller::{CharmRef, RegistrationState, UnixMillis};
use rusqlite::{ToSql, Transaction};

use super::{Failure, registrations, runs};
use crate::overview::{Overview, OverviewQuery, OverviewRow, Place, RecentRun, RegistrationCount};

/// How many runs a row shows.
const RECENT: u32 = 20;

/// How the polling of a registration `r` stands: what [`bg_poller::Registration::state`] says, by its slug. So that a state can be looked for,
/// and counted, without reading all registrations; and the poll states of those alone that fail.
const STATE: &str = "CASE WHEN r.disabled_at <> 0 THEN \
     CASE WHEN r.status GLOB 'Disabled: [0-9]*' AND ltrim(substr(r.status, 11), '0123456789') = ' failures in a row' \
     OR r.status GLOB 'Disabled: [0-9]*' AND ltrim(substr(r.status, 11), '0123456789') GLOB ' failures in a row:*' \
     THEN 'disabled-by-failures' ELSE 'disabled-by-hand' END \
     WHEN r.last_kind IS NULL OR r.last_kind = 'Success' OR r.last_run < r.updated_at THEN 'running' \
     WHEN (SELECT p.failures FROM charms c JOIN poll_states p ON p.space = c.space AND p.charm = c.id WHERE c.row = r.charm) > 0 \
     THEN 'backing-off' ELSE 'failing' END";

/// The tables in this order: of those that are sorted by their names, only as much is read as a page needs.
const SELECT: &str = "SELECT c.space, c.id, r.integration, r.created_at, r.updated_at, r.last_run, r.disabled_at, r.status, \
     r.last_kind, r.interval_ms, r.charm, c.name, coalesce(p.failures, 0), coalesce(p.next_due, 0), r.last_success \
     FROM charms c INDEXED BY charms_named CROSS JOIN registrations r ON r.charm = c.row \
     LEFT JOIN poll_states p ON p.space = c.space AND p.charm = c.id";

/// The registrations that a query asks for.
pub(crate) fn page(tx: &Transaction<'_>, query: &OverviewQuery) -> Result<Overview, Failure> {
    let OverviewQuery { search, space, integration, state, place, limit } = query;
    let search = search.as_deref().map(str::to_lowercase);
    let (order, place) = match place {
        None => ("ASC", None),
        Some(Place::After(charm)) => ("ASC", Some(("(c.space, c.id) > (:at_space, :at_charm)", charm))),
        Some(Place::Before(charm)) => ("DESC", Some(("(c.space, c.id) < (:at_space, :at_charm)", charm))),
    };
    let is_state = format!("{STATE} = :state");
    let conditions: [(&str, Option<&str>, &str); 6] = [
        (":at_space", place.map(|(_, charm)| charm.space.as_str()), place.map_or("", |(condition, _)| condition)),
        (":at_charm", place.map(|(_, charm)| charm.charm.as_str()), "TRUE"),
        (":space", space.as_ref().map(SpaceDid::as_str), "c.space = :space"),
        (":integration", integration.as_ref().map(IntegrationId::as_str), "r.integration = :integration"),
        (":state", state.map(RegistrationState::slug), &is_state),
        (
            ":search",
            search.as_deref(),
            "(instr(lower(coalesce(c.name, '')), :search) OR instr(lower(c.id), :search) OR instr(r.integration, :search) \
             OR instr(lower(r.status), :search))",
        ),
    ];
    let asked = conditions.into_iter().filter_map(|(name, value, condition)| Some((name, value?, condition)));
    let (mut parameters, mut all): (Vec<(&str, &dyn ToSql)>, Vec<&str>) = (Vec::new(), vec!["TRUE"]);
    let asked: Vec<_> = asked.collect();
    for (name, value, condition) in &asked {
        parameters.push((name, value));
        all.push(condition);
    }
    // One more, to know whether there are more.
    let one_more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    parameters.push((":limit", &one_more));
    let text = format!("{SELECT} WHERE {} ORDER BY c.space {order}, c.id {order} LIMIT :limit", all.join(" AND "));
    let mut found = read(tx, &text, &parameters)?;
    let more = found.len() > *limit;
    found.truncate(*limit);
    if order == "DESC" {
        found.reverse();
    }
    Ok(Overview { rows: found, more })
}

/// The registration of one charm; none if it has none.
pub(crate) fn of(tx: &Transaction<'_>, charm: &CharmRef) -> Result<Option<OverviewRow>, Failure> {
    let text = format!("{SELECT} WHERE c.space = :space AND c.id = :charm");
    let parameters: [(&str, &dyn ToSql); 2] = [(":space", &charm.space.as_str()), (":charm", &charm.charm.as_str())];
    Ok(read(tx, &text, &parameters)?.pop())
}

fn read(tx: &Transaction<'_>, text: &str, parameters: &[(&str, &dyn ToSql)]) -> Result<Vec<OverviewRow>, Failure> {
    let mut statement = tx.prepare_cached(text)?;
    let (mut rows, mut spaces, mut found) = (statement.query(parameters)?, SpaceReader::default(), Vec::new());
    while let Some(row) = rows.next()? {
        let registration = registrations::registration(row, &mut spaces)?;
        let failures: u32 = row.get(12)?;
        found.push(OverviewRow {
            name: row.get(11)?,
            state: registration.state(failures),
            failures,
            put_off_until: Some(UnixMillis(row.get(13)?)).filter(|due| failures > 0 && !due.is_never()),
            recent: recent(tx, row.get(10)?)?,
            registration,
        });
    }
    Ok(found)
}

/// The newest runs of the charm in that row, oldest first.
fn recent(tx: &Transaction<'_>, charm: i64) -> Result<Vec<RecentRun>, Failure> {
    let mut statement = tx
        .prepare_cached("SELECT started_at, duration_ms, kind FROM runs WHERE charm = ?1 ORDER BY row DESC LIMIT ?2")?;
    let mut rows = statement.query((charm, RECENT))?;
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        recent.push(RecentRun {
            started_at: UnixMillis(row.get(0)?),
            duration: Duration::from_millis(row.get(1)?),
            kind: runs::known_kind(row.get_ref(2)?.as_str()?),
        });
    }
    recent.reverse();
    Ok(recent)
}

/// How many registrations there are in each state, for each integration.
pub(crate) fn counts(tx: &Transaction<'_>) -> Result<Vec<RegistrationCount>, Failure> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT r.integration, {STATE} AS state, count(*) FROM registrations r GROUP BY r.integration, state"
    ))?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let (integration, slug) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let damaged = || Failure::Damaged(format!("the registrations of {integration}"));
        let state = RegistrationState::ALL.into_iter().find(|state| state.slug() == slug);
        counts.push(RegistrationCount {
            integration: integration.parse().map_err(|_| damaged())?,
            state: state.ok_or_else(damaged)?,
            count: row.get(2)?,
        });
    }
    Ok(counts)
}
