//! What a test needs, and not every machine has.

use std::io::Write;

use crate::skipped;

/// The needed thing; or `None`, and then the test should return: it is skipped. The reason goes to standard error, past
/// the capture of tests' output, and to the [records](skipped) that `cargo verify` counts. With `BG_REQUIRE_ALL` set,
/// and not empty, it is a failure instead.
///
/// # Panics
///
/// If there is a reason, and `BG_REQUIRE_ALL` is set.
#[track_caller]
pub fn available<T>(needed: Result<T, String>) -> Option<T> {
    match needed {
        Ok(value) => Some(value),
        Err(why) => {
            let required = std::env::var_os("BG_REQUIRE_ALL").is_some_and(|value| !value.is_empty());
            assert!(!required, "BG_REQUIRE_ALL is set, and this machine lacks what the test needs: {why}");
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            skipped::record(&skipped::folder(), test, &why).expect("cargo's target folder can be written");
            // If standard error is closed, there is nowhere to report this. A test's own `eprintln!` would be captured.
            let _ = writeln!(std::io::stderr().lock(), "skipped: {test}: {why}");
            None
        }
    }
}
