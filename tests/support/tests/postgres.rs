//! The tests' PostgreSQL goes with the process that started it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bg_test_support::{Durability, Postgres, SOON};

/// In the environment of a test that starts a server for another one, which kills it.
const NAMES_ITS_FOLDER: &str = "BG_TEST_POSTGRES_FOLDER";

fn is_gone_soon(folder: &Path) {
    let until = Instant::now() + SOON;
    while folder.exists() {
        assert!(Instant::now() < until, "{} is still there", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn each_database_is_empty_and_the_server_goes_when_it_is_dropped() {
    let Some(postgres) = Postgres::start(Durability::None, &[("work_mem", "5MB")]) else { return };
    assert_ne!(postgres.database(), postgres.database());
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'; SHOW work_mem; SHOW server_encoding";
    assert_eq!(postgres.psql("test_0", tables).unwrap(), "0\n5MB\nUTF8");
    assert!(postgres.psql("test_0", "SELECT nothing").unwrap_err().contains("nothing"));
    let folder = postgres.folder().to_owned();
    drop(postgres);
    assert!(!folder.exists());
}

#[test]
fn the_server_goes_when_its_test_is_killed_or_panics() {
    if let Some(note) = std::env::var_os(NAMES_ITS_FOLDER) {
        // In the process of below.
        let Some(postgres) = Postgres::shared() else { return };
        std::fs::write(&note, postgres.folder().to_str().unwrap()).unwrap();
        let how = std::env::var("BG_TEST_POSTGRES_END").unwrap();
        assert_ne!(how, "panic");
        std::thread::sleep(SOON);
        return;
    }
    let Some(_) = Postgres::shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    for how in ["panic", "kill"] {
        let note = dir.path().join(how);
        let mut test = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_server_goes_when_its_test_is_killed_or_panics"])
            .env(NAMES_ITS_FOLDER, &note)
            .env("BG_TEST_POSTGRES_END", how)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + SOON;
        let folder = loop {
            let folder = std::fs::read_to_string(&note).unwrap_or_default();
            if !folder.is_empty() {
                break folder;
            }
            assert!(Instant::now() < until, "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        if how == "kill" {
            test.kill().unwrap();
        }
        assert!(!test.wait().unwrap().success());
        is_gone_soon(Path::new(&folder));
    }
}
