//! The result of one check.

use serde::Serialize;

/// The state of what was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It works.
    Ok,
    /// The service runs, but less well or less safely than it could.
    Weak,
    /// The service does not run.
    Wrong,
}

/// One line of `doctor`'s output.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// What was checked.
    check: String,
    pub(super) state: State,
    /// Its state, and what is wrong.
    found: String,
    /// The fix: a command, or other advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Row {
    fn new(check: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { check: check.into(), state, found: found.into(), fix: None }
    }

    pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found)
    }

    pub(super) fn weak(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(check, State::Weak, found)
    }

    pub(super) fn wrong(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(check, State::Wrong, found)
    }

    /// The row of an error, with its causes.
    pub(super) fn error(check: impl Into<String>, error: &anyhow::Error) -> Self {
        Self::wrong(check, format!("{error:#}"))
    }

    /// The same row, with a fix.
    pub(super) fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// Says once what is wrong with several checks: the others refer to the first of them.
pub(super) fn said_once(mut rows: Vec<Row>) -> Vec<Row> {
    for later in (1..rows.len()).rev() {
        let (before, rest) = rows.split_at_mut(later);
        let row = &mut rest[0];
        if row.state == State::Wrong
            && let Some(first) = before.iter().find(|first| first.state == State::Wrong && first.found == row.found)
        {
            (row.found, row.fix) = (format!("not checked: see {}", first.check), None);
        }
    }
    rows
}

/// For people.
impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Ok => "ok   ",
            State::Weak => "weak ",
            State::Wrong => "wrong",
        };
        write!(f, "{state}  {}: {}", self.check, self.found)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "; to fix it: {fix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_several_checks_is_said_once() {
        let missing = || "the directory is not there";
        let rows = said_once(vec![
            Row::ok("key", "fine"),
            Row::wrong("directory", missing()).fixed_by("make it"),
            Row::ok("cache", missing()),
            Row::wrong("database", missing()).fixed_by("make it"),
            Row::wrong("room", "none"),
            Row::wrong("registrations", missing()),
        ]);
        let shown: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "ok     key: fine",
                "wrong  directory: the directory is not there; to fix it: make it",
                "ok     cache: the directory is not there",
                "wrong  database: not checked: see directory",
                "wrong  room: none",
                "wrong  registrations: not checked: see directory",
            ]
        );
    }
}
