//! Records of the tests that were skipped, from all test programs of a run, and one line that counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// How much of a reason the line shows, in characters. The whole reason was printed when the test was skipped.
const REASON: usize = 100;

/// Where the records are: `skipped` in cargo's target folder. One file for each test and reason.
pub fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")).join("skipped")
}

/// Forgets what an earlier run recorded.
pub fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Records that a test was skipped.
pub(crate) fn record(folder: &Path, test: &str, why: &str) -> io::Result<()> {
    // Two programs may have tests of the same name.
    let program =
        env::current_exe().ok().and_then(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    let test = format!("{}::{test}", program.as_deref().unwrap_or("a program"));
    let mut hasher = DefaultHasher::new();
    (&test, why).hash(&mut hasher);
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{:016x}", hasher.finish())), format!("{test}\n{why}"))
}

/// One line: how many tests were skipped, and why.
pub fn summary(folder: &Path) -> io::Result<String> {
    let mut by_reason: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("no test was skipped".to_owned()),
        entries => entries?,
    };
    for entry in entries {
        let record = fs::read_to_string(entry?.path())?;
        let mut lines = record.lines();
        let test = lines.next().unwrap_or_default().to_owned();
        let reason = lines.next().unwrap_or_default().chars().take(REASON).collect();
        by_reason.entry(reason).or_default().insert(test);
    }
    let tests = by_reason.values().flatten().collect::<BTreeSet<_>>().len();
    let mut line = format!("{tests} {} skipped: ", if tests == 1 { "test" } else { "tests" });
    for (place, (reason, tests)) in by_reason.iter().enumerate() {
        let between = if place == 0 { "" } else { "; " };
        write!(line, "{between}{reason} ({})", tests.len()).expect("a String takes all");
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_counts_the_skipped_tests_and_says_why() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("skipped");
        clear(&folder).unwrap();
        assert_eq!(summary(&folder).unwrap(), "no test was skipped");
        for (test, why) in [
            ("admin::a", "no Chromium: not found\nand more"),
            ("admin::b", "no Chromium: not found"),
            ("disk::c", "only root can mount"),
            // The same again, as when a test runs twice; and one that lacks two things.
            ("disk::c", "only root can mount"),
            ("disk::c", "no Chromium: not found"),
        ] {
            record(&folder, test, why).unwrap();
        }
        assert_eq!(summary(&folder).unwrap(), "3 tests skipped: no Chromium: not found (3); only root can mount (1)");
        clear(&folder).unwrap();
        record(&folder, "disk::c", &"long ".repeat(100)).unwrap();
        assert_eq!(summary(&folder).unwrap(), format!("1 test skipped: {} (1)", "long ".repeat(20)));
    }
}
