//! `abuse-table`: prints the table of all abuses that the tests tried, also to `target/abuse.md`; fails if a row has no
//! attempt.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it shows is its output")]

use std::fs;
use std::process::ExitCode;

use bg_abuse::{ROWS, Table, folder};

fn main() -> ExitCode {
    let folder = folder();
    let table = match Table::read(&folder) {
        Ok(table) => table,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let text = format!(
        "Times are those of the tests, which set shorter limits than the service has. Peaks are of the whole process that was tried: the \
         service's, or that of all the tests that ran at the same time.\n\n{table}{} rows, {} attempts\n",
        ROWS.len(),
        table.attempts()
    );
    print!("{text}");
    let file = folder.with_extension("md");
    if let Err(error) = fs::write(&file, text) {
        eprintln!("cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    let missing = table.missing();
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("nothing was recorded of: {}", missing.join(", "));
    ExitCode::FAILURE
}
