//! What of a store is damaged. Rows that cannot be read do not hide the others.

use std::fmt;

use bg_poller::CharmRef;
use serde::de::IgnoredAny;

/// What is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A part of one charm.
    OfCharm(String),
    /// A column of a row; whose it is, is for the caller to say.
    Column(BadColumn),
    /// A part of one space.
    OfSpace(String),
}

/// A column whose value is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadColumn {
    /// Its name, as the statement has it.
    pub name: String,
    /// What it holds instead.
    pub problem: String,
}

impl fmt::Display for BadColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.problem)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfCharm(what) | Self::OfSpace(what) => f.write_str(what),
            Self::Column(column) => write!(f, "the column {column}"),
        }
    }
}

impl What {
    /// A cell of a charm.
    pub fn of_cell(charm: &CharmRef, name: &str) -> Self {
        Self::OfCharm(format!("the cell {name} of {charm}"))
    }
}

/// The text of a cell, if it is JSON. To be asked where it is read, and not where a handler reads it: damage is not the
/// fault of the program, which would be blamed for it.
pub fn sound_text(charm: &CharmRef, name: &str, text: String) -> Result<String, What> {
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => Ok(text),
        Err(_) => Err(What::of_cell(charm, name)),
    }
}

/// An error of a store, which may be that something is damaged.
pub trait MaybeDamage: Sized {
    /// What is damaged, or else the error.
    fn damage(self) -> Result<What, Self>;
}

/// What was read, if it is sound. What is damaged is logged and skipped; `of` says what it is a part of. Anything
/// else that fails is an error.
pub fn sound<T, E: MaybeDamage>(read: Result<T, E>, of: impl FnOnce() -> String) -> Result<Option<T>, E> {
    let error = match read {
        Ok(read) => return Ok(Some(read)),
        Err(error) => error,
    };
    let (what, of) = (error.damage()?, of());
    match what {
        What::Column(column) => tracing::warn!("a row of {of} is skipped: its column {column} is damaged"),
        other => tracing::warn!("a row of {of} is skipped: {other} is damaged"),
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Failure {
        Damaged(What),
        OfTheDisk,
    }

    impl MaybeDamage for Failure {
        fn damage(self) -> Result<What, Self> {
            if let Self::Damaged(what) = self { Ok(what) } else { Err(self) }
        }
    }

    #[test]
    fn only_what_is_damaged_is_passed_over() {
        let of = || "the log".to_owned();
        assert_eq!(sound::<_, Failure>(Ok(1), of).unwrap(), Some(1));
        assert_eq!(sound::<u8, _>(Err(Failure::Damaged(What::OfCharm("a cell".into()))), of).unwrap(), None);
        assert!(matches!(sound::<u8, _>(Err(Failure::OfTheDisk), of), Err(Failure::OfTheDisk)));
    }
}
