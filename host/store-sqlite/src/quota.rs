//! How much a charm may keep.

use bg_store::{CellTexts, Size};
use rusqlite::{OptionalExtension, Transaction};

use super::{Failure, charms};

/// What a charm's cells take, and what they would take after some writes.
pub(crate) struct Sizes {
    row: i64,
    sizes: bg_store::Sizes,
}

impl Sizes {
    /// Reads them for the charm in that row.
    pub(crate) fn of(tx: &Transaction<'_>, row: i64, writes: &CellTexts) -> Result<Self, Failure> {
        let now = tx
            .prepare_cached("SELECT count(*), coalesce(sum(length(document)), 0) FROM cells WHERE charm = ?1")?
            .query_row([row], |row| Ok(Size { cells: row.get(0)?, bytes: row.get(1)? }))?;
        let mut statement = tx.prepare_cached("SELECT length(document) FROM cells WHERE charm = ?1 AND name = ?2")?;
        let before = |name: &str| statement.query_row((row, name), |row| row.get::<_, u64>(0)).optional();
        Ok(Self { row, sizes: bg_store::Sizes::of(now, writes, before)? })
    }

    /// What the charm would have too much of, if it would, for people.
    pub(crate) fn excess(&self, tx: &Transaction<'_>) -> Result<Option<String>, Failure> {
        if !self.sizes.is_too_much() {
            return Ok(None);
        }
        Ok(self.sizes.excess(&charms::name(tx, self.row)?))
    }

    /// By how many bytes the cells would grow.
    pub(crate) fn growth(&self) -> i64 {
        self.sizes.growth()
    }
}

#[cfg(test)]
mod tests {
    use bg_store::MAX_CELLS;

    use super::*;
    use crate::open;

    #[test]
    fn what_is_there_and_what_is_written_count_together() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = open::writer(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        tx.execute_batch(
            "INSERT INTO spaces VALUES ('did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo', 0);
             INSERT INTO charms (row, space, id, file_name, source, module, streams, secrets, created_at, updated_at)
                VALUES (1, 'did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo', 'fid1:test', '', '', '', '[]', '[]', 0, 0);
             INSERT INTO cells VALUES (1, 'large', 0, zeroblob(60 * 1024 * 1024));",
        )
        .unwrap();
        let write = |cells: &[(&str, usize)]| {
            let texts = cells.iter().map(|&(name, mib)| (name.to_owned(), " ".repeat(mib << 20)));
            Sizes::of(&tx, 1, &texts.collect()).unwrap().excess(&tx).unwrap()
        };
        assert_eq!(write(&[]), None);
        assert_eq!(write(&[("other", 4)]), None);
        let excess_of_bytes = write(&[("other", 5)]).unwrap();
        let expected = "fid1:test take 62914560 bytes, would take 68157440, and may take 67108864";
        assert!(excess_of_bytes.ends_with(expected), "{excess_of_bytes}");
        assert_eq!(write(&[("large", 50), ("other", 14)]), None, "what is replaced does not count");

        let names: Vec<_> = (0..MAX_CELLS).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        assert_eq!(write(&many[1..]), None);
        assert!(write(&many).unwrap().ends_with("fid1:test has 1 cells, would have 1001, and may have 1000"));
    }
}
