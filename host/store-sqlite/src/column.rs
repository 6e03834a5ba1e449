//! Columns of rows, read so that one that is damaged is named; and the texts of those that hold JSON.

use std::str::FromStr;

use bg_poller::UnixMillis;
use bg_store::{BadColumn, LAST_TIME, What};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;

/// What of a damaged value is shown, characters.
const SHOWN: usize = 40;

/// Reads columns. Each error is [`What::Column`].
pub(crate) trait Columns {
    /// The value of a column.
    fn column<T: FromSql>(&self, index: usize) -> Result<T, Failure>;

    /// A column of text as what it says. Of rows with the same texts, nothing is copied.
    fn parse<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure>;

    /// A time.
    fn time(&self, index: usize) -> Result<UnixMillis, Failure> {
        let time = UnixMillis(self.column(index)?);
        if time > LAST_TIME { Err(self.bad(index, "no time that can be")) } else { Ok(time) }
    }

    /// That a column is damaged.
    fn bad(&self, index: usize, why: &str) -> Failure;
}

impl Columns for Row<'_> {
    fn column<T: FromSql>(&self, index: usize) -> Result<T, Failure> {
        T::column_result(self.get_ref(index)?).map_err(|error| {
            let why = match error {
                FromSqlError::OutOfRange(_) => "out of range",
                _ => "not of its type",
            };
            self.bad(index, why)
        })
    }

    fn parse<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure> {
        let text = self.get_ref(index)?.as_str().map_err(|_| self.bad(index, "not of its type"))?;
        parse(text).ok_or_else(|| self.bad(index, "not what it should be"))
    }

    fn bad(&self, index: usize, why: &str) -> Failure {
        let name = self.as_ref().column_name(index).unwrap_or("?").to_owned();
        let value = self.get_ref(index).map_or_else(|_| "a value".to_owned(), shown);
        Failure::Damaged(What::Column(BadColumn { name, problem: format!("{value} is {why}") }))
    }
}

/// A value in an error: enough to find it, and nothing that may be secret.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let start: String = text.chars().take(SHOWN).collect();
            let more = if start.len() < text.len() { "…" } else { "" };
            format!("{start:?}{more}")
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

/// [`FromStr`] for [`Columns::parse`].
pub(crate) fn said<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A column of JSON that says what a charm is made of.
pub(crate) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Damaged(What::OfCharm(format!("the shape of a charm ({error})"))))
}

/// The reverse of [`parsed`].
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Damaged(What::OfCharm(format!("the shape of a charm ({error})"))))
}
