//! Registrations page by page, and how many there are.

use std::sync::LazyLock;
use std::time::Duration;

use bg_charm_api::{
    Cursor, RecentRun, RegistrationCount, RegistrationFilter, RegistrationPage, RegistrationQuery, RegistrationRow,
    names,
};
use bg_identity::SpaceReader;
use bg_poller::{CharmRef, RegistrationState, RuntimeError};
use bg_store::What;
use bg_store::conditions::{FAILED, WAITS};
use rusqlite::{Row, ToSql, Transaction};

use super::column::{Columns, said};
use super::{Failure, registrations, runs};

/// How many runs a row shows.
const RECENT: u32 = 20;

/// How the polling of a registration `r` stands: what [`bg_poller::Registration::state`] says, by its slug. So that a
/// state can be looked for, and counted, without reading all registrations; and the poll states of those alone that
/// fail.
static STATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "CASE WHEN r.disabled_at <> 0 THEN \
     CASE r.disabled_by WHEN 'failures' THEN 'disabled-by-failures' ELSE 'disabled-by-hand' END \
     WHEN NOT {} OR r.last_run < max(r.updated_at, r.woken_at) \
     THEN 'running' WHEN {} THEN 'waiting' \
     WHEN (SELECT p.failures FROM charms c JOIN poll_states p ON p.space = c.space AND p.charm = c.id WHERE c.row = \
     r.charm) > 0 THEN 'backing-off' ELSE 'failing' END",
        *FAILED, *WAITS
    )
});

/// The tables in this order: of those that are sorted by their names, only as much is read as a page needs.
const SELECT: &str = concat!(
    "SELECT ",
    registrations::columns!(),
    ", c.name, coalesce(p.failures, 0), coalesce(p.next_due, 0) \
     FROM charms c INDEXED BY charms_named CROSS JOIN registrations r ON r.charm = c.row \
     LEFT JOIN poll_states p ON p.space = c.space AND p.charm = c.id"
);

/// What holds of the registrations `r`, of charms `c`, that a filter lets through: parameters by name, with their
/// values, and conditions.
fn conditions(filter: &RegistrationFilter) -> Vec<(&'static str, String, String)> {
    let RegistrationFilter { search, space, integration, state } = filter;
    let all = [
        (":space", space.as_ref().map(ToString::to_string), "c.space = :space".to_owned()),
        (":integration", integration.as_ref().map(ToString::to_string), "r.integration = :integration".to_owned()),
        (":state", state.map(|state| state.slug().to_owned()), format!("{} = :state", *STATE)),
        (
            ":search",
            search.as_deref().map(str::to_lowercase),
            "(instr(lower(coalesce(c.name, '')), :search) OR instr(lower(c.id), :search) OR instr(r.integration, \
             :search) OR instr(lower(r.status), :search))"
                .to_owned(),
        ),
    ];
    all.into_iter().filter_map(|(name, value, condition)| Some((name, value?, condition))).collect()
}

/// The registrations that a query asks for.
pub(crate) fn page(tx: &Transaction<'_>, query: &RegistrationQuery) -> Result<RegistrationPage, Failure> {
    let RegistrationQuery { filter, cursor, limit } = query;
    let (order, cursor) = match cursor {
        None => ("ASC", None),
        Some(Cursor::After(charm)) => ("ASC", Some(("(c.space, c.id) > (:at_space, :at_charm)", charm))),
        Some(Cursor::Before(charm)) => ("DESC", Some(("(c.space, c.id) < (:at_space, :at_charm)", charm))),
    };
    let mut asked = conditions(filter);
    if let Some((condition, charm)) = cursor {
        asked.push((":at_space", charm.space.to_string(), condition.to_owned()));
        asked.push((":at_charm", charm.charm.to_string(), "TRUE".to_owned()));
    }
    let (parameters, all) = parts(&asked);
    let text = format!("{SELECT} WHERE {all} ORDER BY c.space {order}, c.id {order}");
    // One more, to know whether there are more.
    let mut found = read(tx, &text, &parameters, limit.saturating_add(1))?;
    let more = found.len() > *limit;
    found.truncate(*limit);
    if order == "DESC" {
        found.reverse();
    }
    Ok(RegistrationPage { rows: found, more })
}

/// The parameters of conditions, and all of these as one.
fn parts<'a>(asked: &'a [(&'static str, String, String)]) -> (Vec<(&'static str, &'a dyn ToSql)>, String) {
    let parameters = asked.iter().map(|(name, value, _)| (*name, value as &dyn ToSql)).collect();
    let all = asked.iter().fold("TRUE".to_owned(), |all, (.., condition)| all + " AND " + condition);
    (parameters, all)
}

/// The rows of those charms whose registrations a filter lets through and that have something to gain by being enabled:
/// if it says no state, all that do not run as they should. What somebody has disabled by hand does.
fn to_enable(filter: &RegistrationFilter) -> (Vec<(&'static str, String, String)>, String) {
    let mut asked = conditions(filter);
    if filter.state.is_none() {
        for (name, state) in [(":running", RegistrationState::Running), (":by_hand", RegistrationState::DisabledByHand)]
        {
            asked.push((name, state.slug().to_owned(), format!("{} <> {name}", *STATE)));
        }
    }
    let (_, all) = parts(&asked);
    (asked, format!("FROM charms c CROSS JOIN registrations r ON r.charm = c.row WHERE {all}"))
}

/// Fails if the filter names an integration or a space that no registration has: nothing would be done, silently.
fn check_names(tx: &Transaction<'_>, filter: &RegistrationFilter) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if let Some(id) = &filter.integration {
        let known = texts(tx, "SELECT DISTINCT integration FROM registrations ORDER BY 1")?;
        if !known.iter().any(|known| known == id.as_str()) {
            problems.push(names::no_integration(id, known.iter().map(String::as_str)));
        }
    }
    if let Some(space) = &filter.space {
        let known = texts(
            tx,
            "SELECT DISTINCT c.space FROM charms c INDEXED BY sqlite_autoindex_charms_1 \
             CROSS JOIN registrations r ON r.charm = c.row ORDER BY 1",
        )?;
        if !known.iter().any(|known| known == space.as_str()) {
            problems.push(names::no_space(space, space.as_str(), known.iter().map(String::as_str)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(RuntimeError::Invalid(problems.join("; ")).into()) }
}

/// The texts in the first column. Those that are damaged are no names.
fn texts(tx: &Transaction<'_>, statement: &str) -> Result<Vec<String>, Failure> {
    let mut statement = tx.prepare_cached(statement)?;
    let (mut rows, mut texts) = (statement.query([])?, Vec::new());
    while let Some(row) = rows.next()? {
        texts.extend(row.column::<String>(0).ok());
    }
    Ok(texts)
}

/// How many [`enable`] would enable.
pub(crate) fn count_to_enable(tx: &Transaction<'_>, filter: &RegistrationFilter) -> Result<u64, Failure> {
    check_names(tx, filter)?;
    let (asked, from) = to_enable(filter);
    let (parameters, _) = parts(&asked);
    Ok(tx.prepare_cached(&format!("SELECT count(*) {from}"))?.query_row(parameters.as_slice(), |row| row.get(0))?)
}

/// Enables all that a filter lets through, and returns how many.
pub(crate) fn enable(tx: &Transaction<'_>, filter: &RegistrationFilter) -> Result<u64, Failure> {
    check_names(tx, filter)?;
    let (asked, from) = to_enable(filter);
    let (parameters, _) = parts(&asked);
    let mut statement = tx.prepare_cached(&format!("SELECT r.charm {from}"))?;
    let rows = statement.query_map(parameters.as_slice(), |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    registrations::enable_all(tx, &rows)
}

/// The registration of one charm; none if it has none.
pub(crate) fn of(tx: &Transaction<'_>, charm: &CharmRef) -> Result<Option<RegistrationRow>, Failure> {
    let text = format!("{SELECT} WHERE c.space = :space AND c.id = :charm");
    let parameters: [(&str, &dyn ToSql); 2] = [(":space", &charm.space.as_str()), (":charm", &charm.charm.as_str())];
    let mut statement = tx.prepare_cached(&text)?;
    let mut rows = statement.query(parameters.as_slice())?;
    let row = rows.next()?.map(|row| shown(tx, row, &mut SpaceReader::default())).transpose();
    row.map_err(|failure| failure.of("the registration", charm))
}

/// The first rows of that statement, up to that number. Damaged ones are skipped: they are reported beside
/// the list.
fn read(
    tx: &Transaction<'_>,
    text: &str,
    parameters: &[(&str, &dyn ToSql)],
    most: usize,
) -> Result<Vec<RegistrationRow>, Failure> {
    let mut statement = tx.prepare_cached(text)?;
    let (mut rows, mut spaces, mut found) = (statement.query(parameters)?, SpaceReader::default(), Vec::new());
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        match shown(tx, row, &mut spaces) {
            Ok(row) => found.push(row),
            Err(Failure::Damaged(What::Column(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// A row of [`SELECT`]. What the loop remembers may be damaged, too: it starts again from nothing then.
fn shown(tx: &Transaction<'_>, row: &Row<'_>, spaces: &mut SpaceReader) -> Result<RegistrationRow, Failure> {
    let registration = registrations::registration(row, spaces)?;
    let failures: u32 = row.column(17).unwrap_or_default();
    let due = row.time(18).unwrap_or_default();
    Ok(RegistrationRow {
        name: row.column(16)?,
        state: registration.state(failures),
        failures,
        put_off_until: Some(due).filter(|due| failures > 0 && !due.is_never()),
        recent: recent(tx, row.get(12)?)?,
        registration,
    })
}

/// The newest runs of the charm in that row, oldest first.
fn recent(tx: &Transaction<'_>, charm: i64) -> Result<Vec<RecentRun>, Failure> {
    let mut statement = tx
        .prepare_cached("SELECT started_at, duration_ms, kind FROM runs WHERE charm = ?1 ORDER BY row DESC LIMIT ?2")?;
    let mut rows = statement.query((charm, RECENT))?;
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        let (started_at, duration, kind) =
            (row.time(0), row.column(1), row.parse(2, |text| Some(runs::known_kind(text))));
        // One that is damaged is no bar of a small drawing; `runs` says what is wrong.
        if let (Ok(started_at), Ok(millis), Ok(kind)) = (started_at, duration, kind) {
            recent.push(RecentRun { started_at, duration: Duration::from_millis(millis), kind });
        }
    }
    recent.reverse();
    Ok(recent)
}

/// How many registrations there are in each state, for each integration.
pub(crate) fn counts(tx: &Transaction<'_>) -> Result<Vec<RegistrationCount>, Failure> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT r.integration, {} AS state, count(*) FROM registrations r GROUP BY r.integration, state",
        *STATE
    ))?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        // Of a damaged one, it is not known for which integration it is.
        let Ok(integration) = row.parse(0, said) else { continue };
        let of_slug = |slug: &str| RegistrationState::ALL.into_iter().find(|state| state.slug() == slug);
        counts.push(RegistrationCount { integration, state: row.parse(1, of_slug)?, count: row.column(2)? });
    }
    Ok(counts)
}
