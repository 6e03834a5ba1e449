//! Cells of databases from before the maker of a link or of data decided which of them it is.
//!
//! Until then, whatever had the shape of a link was one, and the programs of charms stored data as it came. Programs
//! made links of exactly one shape, to cells of their charm; nothing else there tells a link from data that somebody
//! brought. So the rule is: what has that shape, leads to a cell that the charm has, and leads to nothing secret, stays
//! a link. It shows its readers what they may read anyway. Everything else is data from here on, and is given back as
//! it came.

use std::collections::BTreeMap;

use rusqlite::Transaction;

use super::{Cells, Failure, Sealer, charms};
use bg_store::document::Document;

/// Rewrites what is no link. What is damaged stays as it is, and is reported when it is read.
pub(super) fn tell_links_from_data(tx: &Transaction<'_>, sealer: &Sealer) -> Result<(), Failure> {
    let mut rows = tx.prepare(
        "SELECT DISTINCT charm FROM cells WHERE sealed = 1 OR instr(document, CAST('/\":' AS BLOB)) > 0 ORDER BY charm",
    )?;
    for row in rows.query_map([], |row| row.get(0))? {
        let row = row?;
        let Some(name) = unless_damaged(charms::name(tx, row))? else { continue };
        // No more of the charm: of the columns of today, some are not there yet.
        let Some(secrets) = unless_damaged(charms::secrets(tx, row))? else { continue };
        let cells = Cells::new(tx, sealer, row, &name, &secrets);
        let Some(names) = unless_damaged(cells.names())? else { continue };
        let mut changed = BTreeMap::new();
        for name in &names {
            let text = unless_damaged(cells.text(name))?.flatten().filter(|text| text.contains("/\":"));
            let Some(text) = text else { continue };
            let Ok(before) = serde_json::from_str(&text) else { continue };
            let after = Document::from_before(before, &|way| names.contains(&way[0]) && !secrets.covers(way)).text();
            if after != text {
                changed.insert(name.clone(), after);
            }
        }
        cells.set(&changed)?;
    }
    Ok(())
}

fn unless_damaged<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
