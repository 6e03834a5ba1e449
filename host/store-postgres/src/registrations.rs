//! Registrations, and the integrations' lists of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use bg_charm_api::DamagedRegistration;
use bg_identity::{IntegrationId, SpaceDid, SpaceReader, printable, system_space};
use bg_poller::{Blame, Cause, CharmRef, Counters, DisabledBy, OutcomeKind, Registration, RegistrationChanges, Run};
use bg_store::conditions::AWAITS_A_FIX;
use bg_store::{BadColumn, FoundRegistrations, StoredCharm, What, kept_millis, refusals, status_line};
use tokio_postgres::Row;

use super::changes;
use super::charms::charm_ref;
use super::error::Failure;
use super::logs::known_kind;
use super::session::Session;
use super::values::{Columns as _, Param, Text, number, said, text, texts};

/// The columns of [`registration`], of registrations `r`, with the charm's name from that table.
macro_rules! columns {
    () => {
        crate::registrations::columns!("r")
    };
    ($name:literal) => {
        concat!(
            $name,
            ".space, ",
            $name,
            ".id, r.integration, r.created_at, r.updated_at, r.last_run, r.disabled_at, r.status, r.last_kind, \
             r.interval_ms, r.last_blame, r.disabled_by, r.charm, r.last_success, r.woken_at, r.last_cause"
        )
    };
}
pub(crate) use columns;

const SELECT: &str = concat!("SELECT ", columns!(), " FROM registrations r");

/// Oldest first. The order is made here, where it takes no time of the database's.
async fn selected(session: &Session, condition: &str, params: &[&dyn Param]) -> Result<FoundRegistrations, Failure> {
    let mut spaces = SpaceReader::default();
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    for row in session.query(&format!("{SELECT} {condition}"), params).await? {
        match registration(&row, &mut spaces) {
            Ok(registration) => all.push((row.column::<i64>(12)?, registration)),
            Err(Failure::Damaged(What::Column(column))) => bad.push(damaged(&row, &column)?),
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    let registrations = all.into_iter().map(|(_, registration)| registration).collect();
    Ok(FoundRegistrations { registrations, damaged: bad })
}

/// All registrations.
pub(crate) async fn all(session: &Session) -> Result<FoundRegistrations, Failure> {
    selected(session, "", &[]).await
}

/// The enabled registrations of an integration, oldest first.
pub(crate) async fn enabled(session: &Session, integration: &IntegrationId) -> Result<Vec<Registration>, Failure> {
    let condition = "WHERE r.integration = $1 AND r.disabled_at = 0";
    Ok(selected(session, condition, &[&text(integration.as_str())]).await?.registrations)
}

/// The charms of the registrations of an integration, oldest first: all, or those that are enabled.
pub(crate) async fn charms_of(
    session: &Session,
    integration: &IntegrationId,
    enabled_only: bool,
) -> Result<Vec<CharmRef>, Failure> {
    let select = "SELECT space, id, created_at, charm FROM registrations WHERE integration = $1 AND (disabled_at = 0 OR \
                  NOT $2)";
    let (mut spaces, mut charms) = (SpaceReader::default(), Vec::new());
    for row in session.query(select, &[&text(integration.as_str()), &enabled_only]).await? {
        // A damaged one is skipped here as in the list of all.
        let (Ok(created_at), Ok(charm)) = (row.time(2), charm_ref(&row, 0, &mut spaces)) else { continue };
        charms.push(((created_at, row.column::<i64>(3)?), charm));
    }
    charms.sort_unstable_by_key(|(order, _)| *order);
    Ok(charms.into_iter().map(|(_, charm)| charm).collect())
}

/// What is in the list cell of an integration; none if there is no such cell.
pub(crate) async fn list(session: &Session, integration: &IntegrationId) -> Result<Option<Vec<CharmRef>>, Failure> {
    let select = "SELECT 1 FROM integration_lists WHERE integration = $1";
    if !session.exists(select, &[&text(integration.as_str())]).await? {
        return Ok(None);
    }
    charms_of(session, integration, false).await.map(Some)
}

/// Creates the list cell of an integration, unless it is there. What is in the list are its registrations, so that the
/// two cannot disagree.
pub(crate) async fn prepare_list(session: &Session, integration: &IntegrationId) -> Result<(), Failure> {
    let insert = "INSERT INTO integration_lists (integration, created_at) VALUES ($1, bg_now()) ON CONFLICT DO NOTHING";
    session.execute(insert, &[&text(integration.as_str())]).await?;
    Ok(())
}

/// The registrations that have changed between these revisions, as they are now, and the charms that have none any
/// more; those that cannot be read are skipped, as where all are read. None if not all of the changes are known.
pub(crate) async fn since(
    session: &Session,
    after: u64,
    revision: u64,
) -> Result<Option<(RegistrationChanges, Vec<DamagedRegistration>)>, Failure> {
    let Some(missed) = revision.checked_sub(after).filter(|missed| *missed <= changes::KEPT) else { return Ok(None) };
    let select = concat!(
        "SELECT ",
        columns!("l"),
        " FROM registration_changes l LEFT JOIN registrations r ON r.space = l.space AND r.id = l.id WHERE l.revision \
         > $1 AND l.revision <= $2"
    );
    let rows = session.query(select, &[&number(after), &number(revision)]).await?;
    if rows.len() as u64 != missed {
        return Ok(None);
    }
    let (mut spaces, mut seen) = (SpaceReader::default(), BTreeSet::new());
    let (mut changed, mut removed, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        // The charm of a name that is damaged is in no list: who has known it by its name before is to forget that one.
        let Ok(charm) = charm_ref(row, 0, &mut spaces) else { return Ok(None) };
        if !seen.insert(charm.clone()) {
            continue;
        }
        let Some(number) = row.column::<Option<i64>>(12)? else {
            removed.push(charm);
            continue;
        };
        match registration(row, &mut spaces) {
            Ok(registration) => changed.push((number, registration)),
            Err(Failure::Damaged(What::Column(column))) => {
                bad.push(damaged(row, &column)?);
                removed.push(charm);
            }
            Err(error) => return Err(error),
        }
    }
    changed.sort_unstable_by_key(|(row, registration)| (registration.created_at, *row));
    let registrations = changed.into_iter().map(|(_, registration)| registration).collect();
    Ok(Some((RegistrationChanges { revision: Some(revision), registrations, removed: Some(removed) }, bad)))
}

/// What is wrong with a row that begins with [`columns`] and cannot be read.
fn damaged(row: &Row, column: &BadColumn) -> Result<DamagedRegistration, Failure> {
    let named = format!("{}/{}", row.text(0)?, row.text(1)?);
    let integration: Option<IntegrationId> = row.parse(2, said).ok();
    let fix = match named.parse::<CharmRef>() {
        Ok(charm) => {
            let integration = integration.as_ref().map_or("INTEGRATION", IntegrationId::as_str);
            format!("bg-wasm-host remove {charm}; then bg-wasm-host register {charm} --integration {integration}")
        }
        Err(_) => "put back a backup of the database".to_owned(),
    };
    Ok(DamagedRegistration {
        charm: printable(&named).into_owned(),
        integration,
        column: format!("registrations.{}", column.name),
        problem: column.problem.clone(),
        fix,
    })
}

/// Whether the charm in that row has a registration, damaged or not.
pub(crate) async fn is_there(session: &Session, row: i64) -> Result<bool, Failure> {
    session.exists("SELECT 1 FROM registrations WHERE charm = $1", &[&row]).await
}

/// The registration of a charm, which must have one.
pub(crate) async fn of(session: &Session, stored: &StoredCharm) -> Result<Registration, Failure> {
    let charm = &stored.summary.charm;
    let row = session.query_one(&format!("{SELECT} WHERE r.charm = $1"), &[&stored.row]).await?;
    let row = row.ok_or_else(|| refusals::not_registered(charm))?;
    registration(&row, &mut SpaceReader::default()).map_err(|failure| failure.of("the registration", charm))
}

/// The time after that of a registration's last change, if that is one.
macro_rules! next {
    () => {
        "CASE WHEN registrations.updated_at BETWEEN 0 AND 253402300799998 AND registrations.woken_at BETWEEN 0 AND \
         253402300799998 THEN greatest(registrations.updated_at, registrations.woken_at) + 1 ELSE 0 END"
    };
}

/// The time of a change: never before that of the last one, since a later time is how the poll loop knows that there
/// was one, and the wall clock may have been set back.
macro_rules! changed_at {
    () => {
        concat!("updated_at = greatest(bg_now(), ", next!(), ")")
    };
}

/// Registers a charm, or re-enables and re-labels its registration.
pub(crate) async fn upsert(
    session: &mut Session,
    stored: &StoredCharm,
    integration: &IntegrationId,
) -> Result<(), Failure> {
    let CharmRef { space, charm } = &stored.summary.charm;
    let upsert = concat!(
        "INSERT INTO registrations (charm, space, id, integration, created_at, updated_at, status) SELECT $1, $2, $3, \
         $4, now, now, 'Initializing' FROM bg_now() AS now ON CONFLICT (charm) DO UPDATE SET integration = \
         excluded.integration, ",
        changed_at!(),
        ", disabled_at = 0, disabled_by = NULL, status = 'Re-initializing'"
    );
    let (of_space, id) = (text(space.as_str()), text(charm.as_str()));
    session.execute(upsert, &[&stored.row, &of_space, &id, &text(integration.as_str())]).await?;
    session.note_change([(space.to_string(), charm.to_string())]);
    Ok(())
}

/// Disables these registrations (by somebody, with a reason) or enables them; answers how many there are.
pub(crate) async fn set_disabled(
    session: &mut Session,
    rows: &[i64],
    disabled: Option<(DisabledBy, &str)>,
) -> Result<u64, Failure> {
    let (by, status) = match disabled {
        Some((by, reason)) => (Some(by.as_str()), format!("Disabled: {}", status_line(reason))),
        None => (None, "Re-initializing".to_owned()),
    };
    let update = concat!(
        "UPDATE registrations SET disabled_at = CASE WHEN $2 THEN bg_now() ELSE 0 END, ",
        changed_at!(),
        ", status = $3, disabled_by = $4 WHERE charm = ANY ($1) RETURNING space, id"
    );
    let rows = rows.to_vec();
    let params: [&dyn Param; 4] = [&rows, &disabled.is_some(), &text(&status), &by.map(text)];
    let changed = session.query(update, &params).await?;
    note(session, &changed)?;
    Ok(changed.len() as u64)
}

/// Notes the changes of registrations, by rows of their charms' names.
fn note(session: &mut Session, rows: &[Row]) -> Result<(), Failure> {
    let named: Result<Vec<_>, Failure> = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect();
    session.note_change(named?);
    Ok(())
}

/// Wakes the charms that wait for a fix; `$1` says which.
fn wake(whose: &str) -> String {
    format!(
        concat!(
            "UPDATE registrations SET woken_at = greatest(bg_now(), ",
            next!(),
            ") WHERE {} AND disabled_at = 0 AND {} RETURNING space, id"
        ),
        whose, *AWAITS_A_FIX
    )
}

/// The statement that wakes those of these rows that wait; it answers their names.
pub(crate) static WAKE: LazyLock<String> = LazyLock::new(|| wake("charm = ANY ($1)"));

/// Something has changed that charms may wait for: cells, or access to a space. If its last poll failed for a reason
/// that may have been just that, the poll loop polls it soon. Its failures stay: those are its own.
pub(crate) async fn cells_changed(session: &mut Session, rows: &[i64]) -> Result<(), Failure> {
    let woken = session.query(&WAKE, &[&rows.to_vec()]).await?;
    note(session, &woken)
}

/// What charms are allowed may have changed: a process starts, with the configuration as it is now.
pub(crate) async fn configuration_changed(session: &mut Session) -> Result<(), Failure> {
    let woken = session.query(&wake("TRUE"), &[]).await?;
    note(session, &woken)
}

/// What these charms wait for is there.
pub(crate) async fn fixed(session: &mut Session, charms: &[CharmRef]) -> Result<(), Failure> {
    let spaces = texts(charms.iter().map(|charm| charm.space.as_str()));
    let ids = texts(charms.iter().map(|charm| charm.charm.as_str()));
    let whose = "(space, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))";
    let woken = session.query(&wake(whose), &[&spaces, &ids]).await?;
    note(session, &woken)
}

/// There is room again for what charms write, which the limits of the operator refused before.
pub(crate) async fn room_is_back(session: &mut Session) -> Result<(), Failure> {
    let whose = format!("last_kind = '{}' AND last_blame = '{}'", OutcomeKind::LimitExceeded, Blame::Configuration);
    let woken = session.query(&wake(&whose), &[]).await?;
    note(session, &woken)
}

/// The access list of a space was changed. That of the system space says who is the service, for all charms.
pub(crate) async fn access_changed(session: &mut Session, space: &SpaceDid) -> Result<(), Failure> {
    if *space == system_space() {
        return configuration_changed(session).await;
    }
    let woken = session.query(&wake("space = $1"), &[&text(space.as_str())]).await?;
    note(session, &woken)
}

/// Removes a registration; false if there is none.
pub(crate) async fn remove(session: &mut Session, charm: &CharmRef) -> Result<bool, Failure> {
    let delete = "DELETE FROM registrations WHERE space = $1 AND id = $2";
    let removed = session.execute(delete, &[&text(charm.space.as_str()), &text(charm.charm.as_str())]).await? > 0;
    if removed {
        session.note_change([(charm.space.to_string(), charm.charm.to_string())]);
    }
    Ok(removed)
}

/// Sets the interval that a registration asks for; none is no interval of its own.
pub(crate) async fn set_interval(session: &mut Session, row: i64, interval: Option<Duration>) -> Result<(), Failure> {
    let millis: i64 = interval.map_or(0, kept_millis).into();
    let update = "UPDATE registrations SET interval_ms = $2 WHERE charm = $1 RETURNING space, id";
    let changed = session.query(update, &[&row, &millis]).await?;
    note(session, &changed)
}

/// Runs to be noted in registrations, of any charms: each charm once.
#[derive(Default)]
pub(crate) struct Noted {
    rows: Vec<i64>,
    starts: Vec<i64>,
    statuses: Vec<String>,
    kinds: Vec<&'static str>,
    durations: Vec<i64>,
    failed: Vec<bool>,
    blames: Vec<Option<&'static str>>,
    causes: Vec<Option<&'static str>>,
    polls: Vec<bool>,
}

/// The same, as parameters of [`NOTE_RUNS`].
pub(crate) struct NotedParams<'n> {
    noted: &'n Noted,
    statuses: Vec<Text<'n>>,
    kinds: Vec<Text<'n>>,
    blames: Vec<Option<Text<'n>>>,
    causes: Vec<Option<Text<'n>>>,
}

impl Noted {
    /// Notes a run. One that is not a poll is counted alone.
    pub(crate) fn add(&mut self, row: i64, run: &Run, is_poll: bool) {
        self.rows.push(row);
        self.starts.push(number(run.started_at.0));
        self.statuses.push(status_line(&run.outcome.to_string()));
        self.kinds.push(run.outcome.kind.as_str());
        self.durations.push(kept_millis(run.duration).into());
        self.failed.push(!run.outcome.is_success());
        self.blames.push(run.outcome.blame().map(Blame::as_str));
        self.causes.push(run.outcome.cause.map(Cause::as_str));
        self.polls.push(is_poll);
    }

    /// As parameters.
    pub(crate) fn params(&self) -> NotedParams<'_> {
        let optional = |all: &[Option<&'static str>]| all.iter().map(|one| one.map(text)).collect();
        NotedParams {
            noted: self,
            statuses: texts(self.statuses.iter().map(String::as_str)),
            kinds: texts(self.kinds.iter().copied()),
            blames: optional(&self.blames),
            causes: optional(&self.causes),
        }
    }
}

impl NotedParams<'_> {
    pub(crate) fn all(&self) -> Vec<&dyn Param> {
        let Self { noted, statuses, kinds, blames, causes } = self;
        vec![&noted.rows, &noted.starts, statuses, kinds, &noted.durations, &noted.failed, blames, causes, &noted.polls]
    }
}

/// Notes runs. The reason of a disabled registration stays readable. Of two polls that are noted the later one counts,
/// unless its time is still to come: then the clock has been set back since. So a run that could not be noted at once
/// hides none that came after it.
pub(crate) const NOTE_RUNS: &str = "UPDATE registrations SET \
    last_run = CASE WHEN NOT n.poll THEN last_run WHEN last_run > now THEN n.start ELSE greatest(last_run, n.start) END, \
    status = CASE WHEN n.poll AND disabled_at = 0 AND (last_run > now OR n.start >= last_run) THEN n.status ELSE \
    registrations.status END, \
    last_kind = CASE WHEN n.poll AND (last_run > now OR n.start >= last_run) THEN n.kind ELSE last_kind END, \
    last_blame = CASE WHEN n.poll AND (last_run > now OR n.start >= last_run) THEN n.blame ELSE last_blame END, \
    last_cause = CASE WHEN n.poll AND (last_run > now OR n.start >= last_run) THEN n.cause ELSE last_cause END, \
    runs = runs + 1, total_ms = total_ms + n.ms, min_ms = CASE runs WHEN 0 THEN n.ms ELSE least(min_ms, n.ms) END, \
    max_ms = greatest(max_ms, n.ms), last_ms = n.ms, failed = registrations.failed + CASE WHEN n.failed THEN 1 ELSE 0 END, \
    failed_at = CASE WHEN n.failed THEN n.start ELSE failed_at END, \
    failure = CASE WHEN n.failed THEN n.status ELSE failure END, \
    last_success = CASE WHEN n.poll AND NOT n.failed THEN n.start ELSE last_success END \
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bool[], $7::text[], $8::text[], \
    $9::bool[]) AS n (charm, start, status, kind, ms, failed, blame, cause, poll), bg_now() AS now \
    WHERE registrations.charm = n.charm RETURNING registrations.charm";

/// Notes runs; answers the rows of those charms that are registered.
pub(crate) async fn note_runs(session: &Session, noted: &Noted) -> Result<BTreeSet<i64>, Failure> {
    let rows = session.query(NOTE_RUNS, &noted.params().all()).await?;
    rows.iter().map(|row| row.column(0)).collect()
}

/// Wakes a charm whose cells changed while it ran, if its run waits for a fix: the run may have read them before. This
/// is for a run of which only the time is known.
pub(crate) async fn wake_if_changed_since(session: &mut Session, row: i64, run: &Run) -> Result<(), Failure> {
    if !run.outcome.consequence().awaits_a_fix() {
        return Ok(());
    }
    // Each change counts once, and none that is still to come: then the clock has been set back since.
    let select = "SELECT 1 FROM charms c JOIN registrations r ON r.charm = c.row WHERE c.row = $1 AND c.updated_at BETWEEN \
                  $2 AND bg_now() AND greatest(r.updated_at, r.woken_at) < c.updated_at";
    let has_changed = session.exists(select, &[&row, &number(run.started_at.0)]).await?;
    if has_changed { cells_changed(session, &[row]).await } else { Ok(()) }
}

/// The counters of all runs of a registered charm.
pub(crate) async fn counters(session: &Session, stored: &StoredCharm) -> Result<Counters, Failure> {
    let charm = &stored.summary.charm;
    let select = "SELECT runs, failed, total_ms, min_ms, max_ms, last_ms, failed_at, failure FROM registrations WHERE \
                  charm = $1";
    let row = session.query_one(select, &[&stored.row]).await?.ok_or_else(|| refusals::not_registered(charm))?;
    let counters = || {
        let time = |column| row.unsigned(column).map(Duration::from_millis);
        Ok::<_, Failure>(Counters {
            runs: row.unsigned(0)?,
            failed: row.unsigned(1)?,
            total: time(2)?,
            shortest: time(3)?,
            longest: time(4)?,
            last: time(5)?,
            failed_at: row.time(6)?,
            failure: row.optional_text(7)?,
        })
    };
    counters().map_err(|failure| failure.of("the counters", charm))
}

/// A row that begins with [`columns`].
pub(crate) fn registration(row: &Row, spaces: &mut SpaceReader) -> Result<Registration, Failure> {
    let charm = charm_ref(row, 0, spaces)?;
    let integration = row.parse(2, said)?;
    let [created_at, updated_at, last_run, disabled_at] = [row.time(3)?, row.time(4)?, row.time(5)?, row.time(6)?];
    // As many as are written: a longer one is no interval.
    let interval_ms: u32 = row.unsigned(9)?;
    Ok(Registration {
        charm,
        integration,
        created_at,
        updated_at,
        last_run,
        disabled_at,
        disabled_by: word(row, 11, DisabledBy::of_name)?,
        interval: (interval_ms > 0).then(|| Duration::from_millis(interval_ms.into())),
        status: row.text(7)?,
        last_success: row.time(13)?,
        woken_at: row.time(14)?,
        last_outcome: word(row, 8, known_kind)?,
        last_blame: word(row, 10, Blame::of_name)?,
        last_cause: word(row, 15, Cause::of_name)?,
    })
}

/// A word that a later version may have written: then it is none that this one knows.
fn word<T>(row: &Row, index: usize, of_name: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
    Ok(row.parse_optional(index, |text| Some(of_name(text)))?.flatten())
}
