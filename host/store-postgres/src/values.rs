//! Values on their way into statements, and out of rows.
//!
//! Statements take [`Param`]s alone, of which none is a plain string: PostgreSQL's texts cannot hold U+0000, which the
//! texts of charms may. [`text`] writes it as two other characters, and [`Columns`] reads it back.

use std::borrow::Cow;
use std::str::FromStr;

use bg_poller::UnixMillis;
use bg_store::{BadColumn, LAST_TIME, What};
use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::error::Failure;

/// Begins what stands for a character that is not kept as it is: U+0000, and this one itself. It is no character that
/// texts have (Unicode calls it a noncharacter), but nothing keeps it from them.
const ESCAPE: char = '\u{10FFFF}';

/// A text as it is kept.
#[derive(Debug)]
pub(crate) struct Text<'t>(Cow<'t, str>);

/// A text, for a statement.
pub(crate) fn text(text: &str) -> Text<'_> {
    if !text.contains(['\0', ESCAPE]) {
        return Text(text.into());
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => kept.extend([ESCAPE, '0']),
            ESCAPE => kept.extend([ESCAPE, '1']),
            other => kept.push(other),
        }
    }
    Text(kept.into())
}

/// Texts, for a statement.
pub(crate) fn texts<'t>(all: impl IntoIterator<Item = &'t str>) -> Vec<Text<'t>> {
    all.into_iter().map(text).collect()
}

/// The reverse of [`text`].
fn plain(kept: &str) -> Cow<'_, str> {
    if !kept.contains(ESCAPE) {
        return kept.into();
    }
    let (mut plain, mut characters) = (String::with_capacity(kept.len()), kept.chars());
    while let Some(character) = characters.next() {
        plain.push(match character {
            ESCAPE if characters.next() == Some('0') => '\0',
            other => other,
        });
    }
    plain.into()
}

impl ToSql for Text<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.as_ref().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&str as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

/// What a statement takes.
pub(crate) trait Param: ToSql + Sync {
    /// As the client wants it.
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

macro_rules! params {
    ($($kind:ty),* $(,)?) => {
        $(impl Param for $kind {
            fn as_sql(&self) -> &(dyn ToSql + Sync) {
                self
            }
        })*
    };
}

params!(
    Text<'_>,
    Option<Text<'_>>,
    Vec<Text<'_>>,
    Vec<Option<Text<'_>>>,
    i64,
    Option<i64>,
    Vec<i64>,
    bool,
    Vec<bool>,
    &[u8],
    Vec<u8>,
    Option<Vec<u8>>,
    Vec<Vec<u8>>,
    Vec<Cow<'_, [u8]>>,
);

/// A number as it is kept; what is larger than can be kept is as much as can be.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads columns. Each error is [`What::Column`].
pub(crate) trait Columns {
    /// The value of a column that is no text.
    fn column<T: for<'r> FromSql<'r>>(&self, index: usize) -> Result<T, Failure>;

    /// A number that is not negative.
    fn unsigned<T: TryFrom<i64>>(&self, index: usize) -> Result<T, Failure>;

    /// A column of text as what it says. Of rows with the same texts, nothing is copied.
    fn parse<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure>;

    /// The same of a column that may be empty.
    fn parse_optional<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure>;

    /// A text.
    fn text(&self, index: usize) -> Result<String, Failure> {
        self.parse(index, |text| Some(text.to_owned()))
    }

    /// Texts.
    fn texts(&self, index: usize) -> Result<Vec<String>, Failure>;

    /// A text, if there is one.
    fn optional_text(&self, index: usize) -> Result<Option<String>, Failure> {
        self.parse_optional(index, |text| Some(text.to_owned()))
    }

    /// A time.
    fn time(&self, index: usize) -> Result<UnixMillis, Failure> {
        let time = UnixMillis(self.unsigned(index)?);
        if time > LAST_TIME { Err(self.bad(index, "no time that can be")) } else { Ok(time) }
    }

    /// That a column is damaged.
    fn bad(&self, index: usize, why: &str) -> Failure;
}

impl Columns for Row {
    fn column<T: for<'r> FromSql<'r>>(&self, index: usize) -> Result<T, Failure> {
        self.try_get(index).map_err(|_| self.bad(index, "a value that is not of its type"))
    }

    fn unsigned<T: TryFrom<i64>>(&self, index: usize) -> Result<T, Failure> {
        let number: i64 = self.column(index)?;
        T::try_from(number).map_err(|_| self.bad(index, &format!("{number} is out of range")))
    }

    fn parse<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Failure> {
        self.parse_optional(index, parse)?.ok_or_else(|| self.bad(index, "there is no value"))
    }

    fn parse_optional<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        let found: Option<&str> =
            self.try_get(index).map_err(|_| self.bad(index, "a value that is not of its type"))?;
        let Some(found) = found else { return Ok(None) };
        // What it holds may be secret.
        parse(&plain(found)).map(Some).ok_or_else(|| self.bad(index, "a text is not what it should be"))
    }

    fn texts(&self, index: usize) -> Result<Vec<String>, Failure> {
        let found: Vec<String> = self.column(index)?;
        Ok(found.iter().map(|text| plain(text).into_owned()).collect())
    }

    fn bad(&self, index: usize, why: &str) -> Failure {
        let name = self.columns().get(index).map_or("?", tokio_postgres::Column::name).to_owned();
        Failure::Damaged(What::Column(BadColumn { name, problem: why.to_owned() }))
    }
}

/// [`FromStr`] for [`Columns::parse`].
pub(crate) fn said<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// JSON for [`Columns::parse`].
pub(crate) fn json_of<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The JSON of what a charm is made of.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Damaged(What::OfCharm(format!("the shape of a charm ({error})"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_kept_without_its_null_characters_and_read_as_it_was() {
        for original in ["", "plain", "\0", "a\0b\0", "\u{10FFFF}", "\u{10FFFF}0\0\u{10FFFF}\u{10FFFF}1", "ü\0\u{FFFE}"]
        {
            let kept = text(original);
            assert!(!kept.0.contains('\0'));
            assert_eq!(plain(&kept.0), original);
        }
        assert!(matches!(text("plain").0, Cow::Borrowed(_)));
    }
}
