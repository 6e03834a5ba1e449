//! `cargo verify`: runs `cargo test` with the same arguments, and ends with one line that counts the skipped tests, and
//! says what this machine lacks for them.
//!
//! Tests wait for processes, timers and connections more than they compute. So twice as many run at a time as there are
//! processors, unless `RUST_TEST_THREADS` says otherwise.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it shows is its output")]

use std::num::NonZeroUsize;
use std::process::ExitCode;

use bg_test_support::skipped;

fn main() -> ExitCode {
    let folder = skipped::folder();
    if let Err(error) = skipped::clear(&folder) {
        eprintln!("cannot remove {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    let mut test = bg_build::same_cargo();
    test.arg("test").args(std::env::args_os().skip(1));
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        test.env("RUST_TEST_THREADS", (2 * processors).to_string());
    }
    let status = match test.status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cannot run {}: {error}", test.get_program().display());
            return ExitCode::FAILURE;
        }
    };
    match skipped::summary(&folder) {
        Ok(line) => println!("\n{line}"),
        Err(error) => {
            eprintln!("cannot read the records in {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
