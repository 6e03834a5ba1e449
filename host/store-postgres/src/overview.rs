//! Registrations page by page, and how many there are.

use std::collections::BTreeMap;
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
use tokio_postgres::Row;

use super::error::Failure;
use super::logs::known_kind;
use super::registrations::{self, columns};
use super::session::Session;
use super::values::{Columns as _, Param, Text, said, text};

/// How many runs a row shows.
const RECENT: i64 = 20;

/// How the polling of a registration `r` stands: what [`bg_poller::Registration::state`] says, by its slug. So that a
/// state can be looked for, and counted, without reading all registrations; and the poll states of those alone that
/// fail.
static STATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "CASE WHEN r.disabled_at <> 0 THEN \
     CASE r.disabled_by WHEN 'failures' THEN 'disabled-by-failures' ELSE 'disabled-by-hand' END \
     WHEN NOT {} OR r.last_run < greatest(r.updated_at, r.woken_at) \
     THEN 'running' WHEN {} THEN 'waiting' \
     WHEN (SELECT p.failures FROM poll_states p WHERE p.space = r.space AND p.charm = r.id) > 0 THEN 'backing-off' ELSE \
     'failing' END",
        *FAILED, *WAITS
    )
});

const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    ", c.name, coalesce(p.failures, 0)::bigint, coalesce(p.next_due, 0)::bigint FROM registrations r LEFT JOIN charms c \
     ON c.row = r.charm LEFT JOIN poll_states p ON p.space = r.space AND p.charm = r.id"
);

/// Conditions on the registrations `r` of charms `c`, with their parameters.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<String>,
}

impl Conditions {
    /// Those that a filter lets through.
    fn of(filter: &RegistrationFilter) -> Self {
        let RegistrationFilter { search, space, integration, state } = filter;
        let mut all = Self::default();
        if let Some(space) = space {
            all.add(space.to_string(), |value| format!("r.space = {value}"));
        }
        if let Some(integration) = integration {
            all.add(integration.to_string(), |value| format!("r.integration = {value}"));
        }
        if let Some(state) = state {
            all.add(state.slug().to_owned(), |value| format!("{} = {value}", *STATE));
        }
        if let Some(search) = search {
            all.add(search.to_lowercase(), |value| {
                format!(
                    "(strpos(lower(coalesce(c.name, '')), {value}) > 0 OR strpos(lower(r.id), {value}) > 0 OR \
                     strpos(r.integration, {value}) > 0 OR strpos(lower(r.status), {value}) > 0)"
                )
            });
        }
        all
    }

    /// Those of these that have something to gain by being enabled: if the filter says no state, all that do not run as
    /// they should. What somebody has disabled by hand does.
    fn to_enable(filter: &RegistrationFilter) -> Self {
        let mut all = Self::of(filter);
        if filter.state.is_none() {
            for state in [RegistrationState::Running, RegistrationState::DisabledByHand] {
                all.add(state.slug().to_owned(), |value| format!("{} <> {value}", *STATE));
            }
        }
        all
    }

    fn add(&mut self, value: String, condition: impl Fn(&str) -> String) {
        self.values.push(value);
        self.texts.push(condition(&format!("${}::text", self.values.len())));
    }

    fn text(&self) -> String {
        self.texts.iter().fold("TRUE".to_owned(), |all, one| all + " AND " + one)
    }

    async fn query(&self, session: &Session, statement: &str) -> Result<Vec<Row>, Failure> {
        let values: Vec<Text<'_>> = self.values.iter().map(|value| text(value)).collect();
        let params: Vec<&dyn Param> = values.iter().map(|value| value as &dyn Param).collect();
        session.query(statement, &params).await
    }
}

/// The registrations that a query asks for.
pub(crate) async fn page(session: &Session, query: &RegistrationQuery) -> Result<RegistrationPage, Failure> {
    let RegistrationQuery { filter, cursor, limit } = query;
    let mut at = match cursor {
        None => None,
        Some(Cursor::After(charm) | Cursor::Before(charm)) => Some((charm.space.to_string(), charm.charm.to_string())),
    };
    let (order, compared) = if let Some(Cursor::Before(_)) = cursor { ("DESC", "<") } else { ("ASC", ">") };
    let mut spaces = SpaceReader::default();
    let mut found = Vec::new();
    // One more, to know whether there are more. Damaged rows are skipped, and reported beside the list: so it may take
    // another look.
    let wanted = limit.saturating_add(1);
    loop {
        let mut conditions = Conditions::of(filter);
        if let Some((space, id)) = at.clone() {
            conditions.add(space, |value| format!("r.space {compared}= {value}"));
            let space = format!("${}::text", conditions.values.len());
            conditions.add(id, |value| format!("(r.space, r.id) {compared} ({space}, {value})"));
        }
        // In the text, for a plan that fits; and of few different sizes, since each text is prepared and kept.
        let missing = wanted.saturating_sub(found.len()).next_power_of_two();
        let statement =
            format!("{SELECT} WHERE {} ORDER BY r.space {order}, r.id {order} LIMIT {missing}", conditions.text());
        let rows = conditions.query(session, &statement).await?;
        for row in &rows {
            at = Some((row.text(0)?, row.text(1)?));
            match shown(row, &mut spaces) {
                Ok(row) => found.push(row),
                Err(Failure::Damaged(What::Column(_))) => {}
                Err(error) => return Err(error),
            }
        }
        if found.len() >= wanted || rows.len() < missing {
            break;
        }
    }
    let more = found.len() > *limit;
    found.truncate(*limit);
    if order == "DESC" {
        found.reverse();
    }
    Ok(RegistrationPage { rows: with_recent(session, found).await?, more })
}

/// The registration of one charm; none if it has none.
pub(crate) async fn of(session: &Session, charm: &CharmRef) -> Result<Option<RegistrationRow>, Failure> {
    let select = format!("{SELECT} WHERE r.space = $1 AND r.id = $2");
    let row = session.query_one(&select, &[&text(charm.space.as_str()), &text(charm.charm.as_str())]).await?;
    let Some(row) = row else { return Ok(None) };
    let row = shown(&row, &mut SpaceReader::default()).map_err(|failure| failure.of("the registration", charm))?;
    Ok(with_recent(session, vec![row]).await?.pop())
}

/// A row of [`SELECT`], with its charm's number. What the loop remembers may be damaged, too: it starts again from
/// nothing then.
fn shown(row: &Row, spaces: &mut SpaceReader) -> Result<(i64, RegistrationRow), Failure> {
    let registration = registrations::registration(row, spaces)?;
    let failures: u32 = row.unsigned(17).unwrap_or_default();
    let due = row.time(18).unwrap_or_default();
    let shown = RegistrationRow {
        name: row.optional_text(16)?,
        state: registration.state(failures),
        failures,
        put_off_until: Some(due).filter(|due| failures > 0 && !due.is_never()),
        recent: Vec::new(),
        registration,
    };
    Ok((row.column(12)?, shown))
}

/// The same rows with the newest runs of their charms, oldest first.
async fn with_recent(session: &Session, rows: Vec<(i64, RegistrationRow)>) -> Result<Vec<RegistrationRow>, Failure> {
    let charms: Vec<i64> = rows.iter().map(|(charm, _)| *charm).collect();
    let select = "SELECT of.charm, r.started_at, r.duration_ms, r.kind FROM unnest($1::bigint[]) AS of (charm) CROSS JOIN \
                  LATERAL (SELECT * FROM runs x WHERE x.charm = of.charm ORDER BY x.row DESC LIMIT $2) r ORDER BY \
                  of.charm, r.row";
    let mut recent: BTreeMap<i64, Vec<RecentRun>> = BTreeMap::new();
    for row in session.query(select, &[&charms, &RECENT]).await? {
        let (started_at, duration, kind) = (row.time(1), row.unsigned(2), row.parse(3, |text| Some(known_kind(text))));
        // One that is damaged is no bar of a small drawing; `runs` says what is wrong.
        if let (Ok(started_at), Ok(millis), Ok(kind)) = (started_at, duration, kind) {
            let run = RecentRun { started_at, duration: Duration::from_millis(millis), kind };
            recent.entry(row.column(0)?).or_default().push(run);
        }
    }
    let rows = rows
        .into_iter()
        .map(|(charm, row)| RegistrationRow { recent: recent.remove(&charm).unwrap_or_default(), ..row });
    Ok(rows.collect())
}

/// Fails if the filter names an integration or a space that no registration has: nothing would be done, silently.
async fn check_names(session: &Session, filter: &RegistrationFilter) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if let Some(id) = &filter.integration {
        let known = distinct(session, "integration").await?;
        if !known.iter().any(|known| known == id.as_str()) {
            problems.push(names::no_integration(id, known.iter().map(String::as_str)));
        }
    }
    if let Some(space) = &filter.space {
        let known = distinct(session, "space").await?;
        if !known.iter().any(|known| known == space.as_str()) {
            problems.push(names::no_space(space, space.as_str(), known.iter().map(String::as_str)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(RuntimeError::Invalid(problems.join("; ")).into()) }
}

/// The values of a column of the registrations, sorted: each is found in an index, without a look at the rows between.
async fn distinct(session: &Session, column: &str) -> Result<Vec<String>, Failure> {
    let select = format!(
        "WITH RECURSIVE found AS ((SELECT {column} AS value FROM registrations ORDER BY {column} LIMIT 1) UNION ALL \
         SELECT (SELECT r.{column} FROM registrations r WHERE r.{column} > found.value ORDER BY r.{column} LIMIT 1) FROM \
         found WHERE found.value IS NOT NULL) SELECT value FROM found WHERE value IS NOT NULL"
    );
    Ok(session.query(&select, &[]).await?.iter().filter_map(|row| row.text(0).ok()).collect())
}

/// How many [`enable`] would enable.
pub(crate) async fn count_to_enable(session: &Session, filter: &RegistrationFilter) -> Result<u64, Failure> {
    check_names(session, filter).await?;
    let conditions = Conditions::to_enable(filter);
    let select = format!(
        "SELECT count(*) FROM registrations r LEFT JOIN charms c ON c.row = r.charm WHERE {}",
        conditions.text()
    );
    conditions.query(session, &select).await?.first().map_or(Ok(0), |row| row.unsigned(0))
}

/// Enables all that a filter lets through, and returns how many.
pub(crate) async fn enable(session: &mut Session, filter: &RegistrationFilter) -> Result<u64, Failure> {
    check_names(session, filter).await?;
    let conditions = Conditions::to_enable(filter);
    let select = format!(
        "SELECT r.charm FROM registrations r LEFT JOIN charms c ON c.row = r.charm WHERE {}",
        conditions.text()
    );
    let rows = conditions.query(session, &select).await?;
    let rows = rows.iter().map(|row| row.column(0)).collect::<Result<Vec<i64>, Failure>>()?;
    registrations::set_disabled(session, &rows, None).await
}

/// How many registrations there are in each state, for each integration.
pub(crate) async fn counts(session: &Session) -> Result<Vec<RegistrationCount>, Failure> {
    let select =
        format!("SELECT r.integration, {} AS state, count(*) FROM registrations r GROUP BY 1, 2 ORDER BY 1, 2", *STATE);
    let mut counts = Vec::new();
    for row in session.query(&select, &[]).await? {
        // Of a damaged one, it is not known for which integration it is.
        let Ok(integration) = row.parse(0, said) else { continue };
        let of_slug = |slug: &str| RegistrationState::ALL.into_iter().find(|state| state.slug() == slug);
        counts.push(RegistrationCount { integration, state: row.parse(1, of_slug)?, count: row.unsigned(2)? });
    }
    Ok(counts)
}
