//! The list of abuses that the service must survive, and a record of what came of each.
//!
//! A test of an abuse begins an [`Attempt`] and says how it ended; each leaves one file in `target/abuse`. The program
//! `abuse-table` makes one table of them all, and fails if a [row](ROWS) has none.

mod attempt;
mod attempts;
mod peak;
mod rows;

pub use attempt::Attempt;
pub use attempts::{Table, TableError, folder};
pub use rows::{List, ROWS, Row};
