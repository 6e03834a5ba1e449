//! The records of all attempts, as one table.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::{List, ROWS};

/// How one attempt ended. One file each, one line, with tabs between the fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) row: String,
    pub(crate) what: String,
    pub(crate) outcome: String,
    pub(crate) millis: u64,
    pub(crate) peak_kib: Option<u64>,
}

/// Where the records are: `abuse` in cargo's target folder.
pub fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("abuse")
}

/// A text as one field.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '|' { ' ' } else { c }).collect()
}

impl Record {
    /// The same attempt has the same file, so that each run overwrites its result.
    pub(crate) fn file(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.what.hash(&mut hasher);
        format!("{}-{:016x}.tsv", self.row, hasher.finish())
    }

    pub(crate) fn line(&self) -> String {
        let peak = self.peak_kib.map(|peak| peak.to_string()).unwrap_or_default();
        format!("{}\t{}\t{}\t{}\t{peak}\n", self.row, self.what, self.outcome, self.millis)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end_matches('\n').split('\t').map(str::to_owned);
        let (row, what, outcome) = (fields.next()?, fields.next()?, fields.next()?);
        let millis = fields.next()?.parse().ok()?;
        let peak = fields.next()?;
        let peak_kib = if peak.is_empty() { None } else { Some(peak.parse().ok()?) };
        fields.next().is_none().then_some(Self { row, what, outcome, millis, peak_kib })
    }
}

/// The table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The records can't be read.
    #[error("cannot read the records in {}: {error}; run the tests first", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A record is malformed.
    #[error("{} is not a record; remove it and run the tests again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
    },
}

/// How all abuses ended. Shown as Markdown.
#[derive(Debug)]
pub struct Table {
    rows: BTreeMap<String, Vec<Record>>,
}

impl Table {
    /// Reads the records in `folder`.
    pub fn read(folder: &Path) -> Result<Self, TableError> {
        let failed = |path: &Path, error| TableError::Read { path: path.to_owned(), error };
        let mut rows: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            if path.extension().is_none_or(|extension| extension != "tsv") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let record = Record::parse(&text).ok_or(TableError::Record { path })?;
            rows.entry(record.row.clone()).or_default().push(record);
        }
        for records in rows.values_mut() {
            records.sort();
        }
        Ok(Self { rows })
    }

    /// The rows without a record.
    pub fn missing(&self) -> Vec<&'static str> {
        ROWS.iter().map(|row| row.id).filter(|id| !self.rows.contains_key(*id)).collect()
    }

    /// The number of attempts.
    pub fn attempts(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (list, title) in
            [(List::Guest, "Hostile guests"), (List::Egress, "Egress"), (List::Service, "The service itself")]
        {
            writeln!(f, "## {title}\n\n| abuse | attempt | outcome | ms | peak MiB |\n|---|---|---|---:|---:|")?;
            for row in ROWS.iter().filter(|row| row.list == list) {
                let Some(records) = self.rows.get(row.id) else {
                    writeln!(f, "| {} | **none recorded** | must be: {} | | |", row.title, row.must)?;
                    continue;
                };
                for record in records {
                    let mut peak = String::new();
                    if let Some(kib) = record.peak_kib {
                        write!(peak, "{}", kib / 1024)?;
                    }
                    let Record { what, outcome, millis, .. } = record;
                    writeln!(f, "| {} | {what} | {outcome} | {millis} | {peak} |", row.title)?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_writing_and_reading() {
        for peak_kib in [None, Some(70_000)] {
            let record = Record {
                row: "loop".into(),
                what: one_line("in\tstart"),
                outcome: one_line("Time|out\n"),
                millis: 12,
                peak_kib,
            };
            assert_eq!(Record::parse(&record.line()), Some(record));
        }
        for line in ["", "loop\tx\ty\tz\t", "loop\tx\ty\t1", "loop\tx\ty\t1\t2\t3"] {
            assert_eq!(Record::parse(line), None, "{line:?}");
        }
    }
}
