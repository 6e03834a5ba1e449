//! What charms logged, and how their runs ended.

use std::time::Duration;

use bg_charm_api::LogEntry;
use bg_poller::{Blame, Cause, CharmRef, LogLevel, LogLine, Outcome, OutcomeKind, Run};
use bg_store::{LINES_KEPT, kept_millis, sound};
use tokio_postgres::Row;

use super::error::Failure;
use super::session::Session;
use super::values::{Columns as _, Param, Text, number, text};

/// Lines to be kept, of any charms.
#[derive(Default)]
pub(crate) struct Lines<'l> {
    pub(crate) rows: Vec<i64>,
    pub(crate) times: Vec<i64>,
    pub(crate) levels: Vec<Text<'l>>,
    pub(crate) texts: Vec<Text<'l>>,
}

/// The statement that keeps them.
pub(crate) const ADD_LINES: &str = "INSERT INTO logs (charm, at, level, text) SELECT charm, at, level, text FROM \
                                    unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS line \
                                    (charm, at, level, text, place) ORDER BY place";

/// The statement that drops the oldest over `$2` of these charms.
pub(crate) const DROP_LINES: &str = "DELETE FROM logs l USING unnest($1::bigint[]) AS of (charm) WHERE l.charm = \
                                     of.charm AND l.row <= (SELECT x.row FROM logs x WHERE x.charm = of.charm ORDER BY \
                                     x.row DESC LIMIT 1 OFFSET $2)";

impl<'l> Lines<'l> {
    pub(crate) fn add(&mut self, row: i64, lines: &'l [LogLine]) {
        for line in lines {
            self.rows.push(row);
            self.times.push(number(line.at.0));
            self.levels.push(text(line.level.as_str()));
            self.texts.push(text(&line.text));
        }
    }

    /// As parameters of [`ADD_LINES`].
    pub(crate) fn params(&self) -> Vec<&dyn Param> {
        vec![&self.rows, &self.times, &self.levels, &self.texts]
    }

    /// Keeps them, of one charm.
    pub(crate) async fn keep(self, session: &Session) -> Result<(), Failure> {
        let Some(row) = self.rows.first().copied() else { return Ok(()) };
        session.execute(ADD_LINES, &self.params()).await?;
        session.execute(DROP_LINES, &[&vec![row], &lines_kept()]).await?;
        Ok(())
    }
}

/// How many lines are kept of each charm.
pub(crate) fn lines_kept() -> i64 {
    number(LINES_KEPT as u64)
}

/// The first `limit` lines after the one that a cursor names, or the newest; oldest first.
pub(crate) async fn lines(
    session: &Session,
    row: i64,
    charm: &CharmRef,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<LogEntry>, Failure> {
    let limit = number(limit.min(LINES_KEPT) as u64);
    let rows = if let Some(cursor) = after {
        let select = "SELECT row, at, level, text FROM logs WHERE charm = $1 AND row > $2 ORDER BY row LIMIT $3";
        session.query(select, &[&row, &number(cursor), &limit]).await?
    } else {
        let select = "SELECT row, at, level, text FROM logs WHERE charm = $1 ORDER BY row DESC LIMIT $2";
        let mut rows = session.query(select, &[&row, &limit]).await?;
        rows.reverse();
        rows
    };
    let mut entries = Vec::new();
    for row in &rows {
        entries.extend(sound(entry(row), || format!("the log of {charm}"))?);
    }
    Ok(entries)
}

fn entry(row: &Row) -> Result<LogEntry, Failure> {
    let of_name = |name: &str| LogLevel::ALL.into_iter().find(|known| known.as_str() == name);
    let line = LogLine { at: row.time(1)?, level: row.parse(2, of_name)?, text: row.text(3)? };
    Ok(LogEntry { cursor: row.unsigned(0)?, line })
}

/// Runs to be kept, of any charms.
#[derive(Default)]
pub(crate) struct Runs<'r> {
    pub(crate) rows: Vec<i64>,
    pub(crate) starts: Vec<i64>,
    pub(crate) durations: Vec<i64>,
    pub(crate) kinds: Vec<Text<'r>>,
    pub(crate) messages: Vec<Option<Text<'r>>>,
    pub(crate) stacks: Vec<Option<Text<'r>>>,
    pub(crate) blames: Vec<Option<Text<'r>>>,
    pub(crate) causes: Vec<Option<Text<'r>>>,
    /// How many runs of each charm are kept.
    pub(crate) kept: Vec<i64>,
}

/// The statement that keeps them.
pub(crate) const ADD_RUNS: &str = "INSERT INTO runs (charm, started_at, duration_ms, kind, message, stack, blame, cause) \
                                   SELECT charm, started_at, duration_ms, kind, message, stack, blame, cause FROM \
                                   unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], \
                                   $7::text[], $8::text[]) WITH ORDINALITY AS run (charm, started_at, duration_ms, \
                                   kind, message, stack, blame, cause, place) ORDER BY place";

/// The statement that drops the oldest of these charms.
pub(crate) const DROP_RUNS: &str = "DELETE FROM runs r USING unnest($1::bigint[], $2::bigint[]) AS of (charm, kept) \
                                    WHERE r.charm = of.charm AND r.row <= (SELECT x.row FROM runs x WHERE x.charm = \
                                    of.charm ORDER BY x.row DESC LIMIT 1 OFFSET of.kept)";

impl<'r> Runs<'r> {
    pub(crate) fn add(&mut self, row: i64, run: &'r Run, kept: u32) {
        let outcome = &run.outcome;
        self.rows.push(row);
        self.starts.push(number(run.started_at.0));
        self.durations.push(kept_millis(run.duration).into());
        self.kinds.push(text(outcome.kind.as_str()));
        self.messages.push(outcome.message.as_deref().map(text));
        self.stacks.push(outcome.stack.as_deref().map(text));
        self.blames.push(outcome.blame().map(|blame| text(blame.as_str())));
        self.causes.push(outcome.cause.map(|cause| text(cause.as_str())));
        self.kept.push(kept.into());
    }

    /// As parameters of [`ADD_RUNS`].
    pub(crate) fn params(&self) -> Vec<&dyn Param> {
        vec![
            &self.rows,
            &self.starts,
            &self.durations,
            &self.kinds,
            &self.messages,
            &self.stacks,
            &self.blames,
            &self.causes,
        ]
    }

    /// Keeps them.
    pub(crate) async fn keep(&self, session: &Session) -> Result<(), Failure> {
        session.execute(ADD_RUNS, &self.params()).await?;
        session.execute(DROP_RUNS, &[&self.rows, &self.kept]).await?;
        Ok(())
    }
}

/// Whether the history has this very run of the charm in that row.
pub(crate) async fn has(session: &Session, row: i64, run: &Run) -> Result<bool, Failure> {
    let Outcome { kind, message, .. } = &run.outcome;
    let select = "SELECT 1 FROM runs WHERE charm = $1 AND started_at = $2 AND duration_ms = $3 AND kind = $4 AND message \
                  IS NOT DISTINCT FROM $5";
    let (started, millis): (i64, i64) = (number(run.started_at.0), kept_millis(run.duration).into());
    session.exists(select, &[&row, &started, &millis, &text(kind.as_str()), &message.as_deref().map(text)]).await
}

/// The kind of an outcome by its name; none if it is one of a later version of this program.
pub(crate) fn known_kind(name: &str) -> Option<OutcomeKind> {
    OutcomeKind::ALL.into_iter().find(|known| known.as_str() == name)
}

/// The newest runs of the charm in that row, newest first.
pub(crate) async fn runs(session: &Session, row: i64, charm: &CharmRef, limit: usize) -> Result<Vec<Run>, Failure> {
    let select = "SELECT started_at, duration_ms, kind, message, stack, blame, cause FROM runs WHERE charm = $1 ORDER BY \
                  row DESC LIMIT $2";
    let mut runs = Vec::new();
    for row in session.query(select, &[&row, &number(limit as u64)]).await? {
        runs.extend(sound(run(&row, charm), || format!("the run history of {charm}"))?);
    }
    Ok(runs)
}

fn run(row: &Row, charm: &CharmRef) -> Result<Run, Failure> {
    let kind = row.parse(2, known_kind)?;
    let blame = row.optional_text(5)?.and_then(|name| Blame::of_name(&name));
    let cause = row.optional_text(6)?.and_then(|name| Cause::of_name(&name));
    Ok(Run {
        charm: charm.clone(),
        started_at: row.time(0)?,
        duration: Duration::from_millis(row.unsigned(1)?),
        outcome: Outcome {
            kind,
            blame,
            cause,
            message: row.optional_text(3)?,
            stack: row.optional_text(4)?,
            ..Outcome::success()
        },
    })
}
