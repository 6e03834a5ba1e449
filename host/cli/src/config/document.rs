//! A configuration file as text: every mistake in it is told at once, with its line.
//!
//! All keys are optional, so each value alone is a file as well. Each is read by itself, and one that is wrong hides no other.

use bg_charm_api::names::nearest;
use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

/// Where in a file something is, in bytes.
type Span = Range<usize>;

/// The paths of all values of a file, and where they are.
type Places = Vec<(Vec<String>, Span)>;

/// One thing that is wrong in a file, as it is shown: with its line, and a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where, in bytes: what they are sorted by.
    pub(crate) at: usize,
    shown: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The text of a file, and where its values are.
#[derive(Debug, Default)]
pub(crate) struct Document {
    text: String,
    places: Places,
}

impl Document {
    /// Reads a file of type `T`, all of whose keys are optional.
    pub(super) fn parse<T: DeserializeOwned>(text: String) -> Result<(T, Self), Vec<Mistake>> {
        let mut places = Vec::new();
        match read(&text, &mut places) {
            Ok(file) => Ok((file, Self { text, places })),
            Err(found) => {
                let document = Self { text, places };
                Err(found.into_iter().map(|(span, message)| document.mistake(span, &message)).collect())
            }
        }
    }

    /// What is wrong with the value at that path, or with the nearest one that it is in.
    pub(crate) fn mistake_at(&self, path: &[&str], message: &str) -> Mistake {
        let place = (1..=path.len()).rev().find_map(|length| {
            let (_, span) = self.places.iter().find(|(place, _)| place.iter().eq(&path[..length]))?;
            Some(span.clone())
        });
        self.mistake(place, message)
    }

    fn mistake(&self, span: Option<Span>, message: &str) -> Mistake {
        let Some(span) = span else { return Mistake { at: 0, shown: message.to_owned() } };
        let start = self.text.floor_char_boundary(span.start);
        let line = self.text[..start].matches('\n').count();
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let shown = self.text[line_start..].lines().next().unwrap_or_default();
        let before = self.text[line_start..start].chars().count();
        let end = self.text.floor_char_boundary(span.end).clamp(start, (line_start + shown.len()).max(start));
        let marked = self.text[start..end].chars().count().max(1);
        let number = (line + 1).to_string();
        let gutter = " ".repeat(number.len());
        // A tab is as wide as what stands for it in the line above.
        let pad: String = shown.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks = "^".repeat(marked);
        let shown = format!("line {number}: {message}\n{gutter} |\n{number} | {shown}\n{gutter} | {pad}{marks}");
        Mistake { at: start, shown }
    }
}

/// Reads a file, and notes where its values are; or finds all that is wrong.
fn read<T: DeserializeOwned>(text: &str, places: &mut Places) -> Result<T, Vec<(Option<Span>, String)>> {
    let (table, wrong) = DeTable::parse_recoverable(text);
    let mut found: Vec<_> = wrong.iter().map(|error| (error.span(), error.message().to_owned())).collect();
    for (key, value) in table.get_ref() {
        let path = [key.get_ref().to_string()];
        places.push((path.to_vec(), key.span()));
        for (span, leaf) in leaves(value, &path, places) {
            let alone = DeTable::from_iter([(key.clone(), leaf)]);
            if let Err(error) = T::deserialize(Deserializer::from(Spanned::new(table.span(), alone))) {
                // Where a value is read in two steps, the error only knows what it is in.
                let known = error.span().filter(|span| *span != value.span());
                found.push((known.or(Some(span)), with_suggestion(error.message())));
            }
        }
    }
    if found.is_empty() {
        // What only shows in several values together.
        match T::deserialize(Deserializer::from(table)) {
            Ok(file) => return Ok(file),
            Err(error) => found.push((error.span(), error.message().to_owned())),
        }
    }
    found.sort_by_key(|(span, _)| span.as_ref().map(|span| span.start));
    found.dedup();
    Err(found)
}

/// A value once for each single value in it, with only that, and where that is; notes where each is.
fn leaves<'i>(value: &Spanned<DeValue<'i>>, path: &[String], places: &mut Places) -> Vec<(Span, Spanned<DeValue<'i>>)> {
    let mut below = |key: String, span: Span, value: &Spanned<DeValue<'i>>| {
        let path = [path, &[key]].concat();
        places.push((path.clone(), span));
        leaves(value, &path, places)
    };
    let parts: Vec<(Span, DeValue<'i>)> = match value.get_ref() {
        DeValue::Table(table) if !table.is_empty() => table
            .iter()
            .flat_map(|(key, value)| {
                let inner = below(key.get_ref().to_string(), key.span(), value).into_iter();
                inner.map(|(span, leaf)| (span, DeValue::Table(DeTable::from_iter([(key.clone(), leaf)]))))
            })
            .collect(),
        DeValue::Array(array) if !array.is_empty() => array
            .iter()
            .enumerate()
            .flat_map(|(place, value)| below(place.to_string(), value.span(), value))
            .map(|(span, leaf)| {
                let mut alone = DeArray::new();
                alone.push(leaf);
                (span, DeValue::Array(alone))
            })
            .collect(),
        _ => return vec![(value.span(), value.clone())],
    };
    parts.into_iter().map(|(span, part)| (span, Spanned::new(value.span(), part))).collect()
}

/// An unknown key with the known one that was meant, if it is near.
fn with_suggestion(message: &str) -> String {
    if !message.starts_with("unknown field `") {
        return message.to_owned();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    match nearest(unknown, names) {
        Some(known) => format!("unknown field `{unknown}`; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        number: u8,
        list: Vec<u8>,
        table: std::collections::BTreeMap<String, bool>,
    }

    fn mistakes(text: &str) -> Vec<String> {
        let mistakes = Document::parse::<File>(text.to_owned()).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_a_pointer() {
        let found = mistakes("nmuber = 1\nlist = [1, \"é\", 300]\n[table]\na = true\nb = 5\n");
        assert_eq!(
            found,
            [
                "line 1: unknown field `nmuber`; did you mean `number`?\n  |\n1 | nmuber = 1\n  | ^^^^^^",
                "line 2: invalid type: string \"é\", expected u8\n  |\n2 | list = [1, \"é\", 300]\n  |            ^^^",
                "line 2: invalid value: integer `300`, expected u8\n  |\n2 | list = [1, \"é\", 300]\n  |                 ^^^",
                "line 5: invalid type: integer `5`, expected a boolean\n  |\n5 | b = 5\n  |     ^",
            ]
        );
        let unlike = mistakes("zzz = 1");
        assert!(unlike[0].contains("expected one of `number`, `list`, `table`"), "{unlike:?}");
    }

    #[test]
    fn what_is_no_toml_is_told_beside_what_is_wrong_in_the_rest() {
        let found = mistakes("number = \nlist = 5\n");
        assert!(found[0].starts_with("line 1: "), "{found:?}");
        assert!(found.iter().any(|mistake| mistake.starts_with("line 2: invalid type")), "{found:?}");
        assert_eq!(mistakes("[table]\n[table]").len(), 1);
    }

    #[test]
    fn a_value_is_found_by_its_path_or_what_it_is_in() {
        let (file, document) =
            Document::parse::<File>("list = [\n  1,\n  2,\n]\n[table]\na = true\n".to_owned()).unwrap();
        assert_eq!(file.list, [1, 2]);
        for (path, line) in [(&["list", "1"][..], 3), (&["list", "7"], 1), (&["table", "a"], 6), (&["table"], 5)] {
            let mistake = document.mistake_at(path, "so").to_string();
            assert!(mistake.starts_with(&format!("line {line}: so\n")), "{path:?}: {mistake}");
        }
        assert_eq!(document.mistake_at(&["number"], "so").to_string(), "so");
    }
}
