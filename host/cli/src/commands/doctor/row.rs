//! What was found of one thing.

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is in order.
    Ok,
    /// The service runs, but less well or less safely than it could.
    Weak,
    /// The service does not run so.
    Wrong,
}

/// One line of what `doctor` tells.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// What was looked at.
    check: String,
    pub(super) state: State,
    /// How it is, and what is wrong with it.
    found: String,
    /// The command, or what else mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Row {
    fn new(check: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { check: check.into(), state, found: found.into(), mend: None }
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

    /// An error, with its causes.
    pub(super) fn error(check: impl Into<String>, error: &anyhow::Error) -> Self {
        Self::wrong(check, format!("{error:#}"))
    }

    /// The same, with what mends it.
    pub(super) fn mended_by(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
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
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "; to mend it: {mend}"))
    }
}
