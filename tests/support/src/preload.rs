//! Libraries that override the C library in processes of a test.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The start of each: `number` is the one that the test sets, initially 0. Its file is mapped before the program
/// starts, so that reading it needs no open file: the program may confine itself.
const PRELUDE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const long long zero;
static const volatile long long *number = &zero;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("PRELOADED_NUMBER");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    const void *mapped = mmap(0, sizeof *number, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) number = mapped;
    close(file);
}
"#;

/// A built library, and the number that controls it.
#[derive(Debug)]
pub(crate) struct Preload {
    library: PathBuf,
    file: PathBuf,
    number: File,
}

impl Preload {
    /// Builds it from C, with files of that name in `folder`. Without a C compiler, the reason.
    pub(crate) fn new(folder: &Path, name: &str, source: &str) -> Result<Self, String> {
        let path = |extension: &str| folder.join(format!("{name}.{extension}"));
        let (library, source_file, file) = (path("so"), path("c"), path("number"));
        std::fs::write(&source_file, format!("{PRELUDE}{source}")).map_err(|error| error.to_string())?;
        let mut cc = Command::new("cc");
        let built = cc.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source_file]).output();
        let built = built.map_err(|error| format!("cc cannot be started: {error}"))?;
        if !built.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr)));
        }
        let mut options = OpenOptions::new();
        let number = options.write(true).create(true).truncate(true).open(&file).map_err(|error| error.to_string())?;
        let preload = Self { library, file, number };
        preload.set(0).map_err(|error| error.to_string())?;
        Ok(preload)
    }

    /// The variables of a process that uses it.
    pub(crate) fn env(&self) -> [(&'static str, OsString); 2] {
        [("LD_PRELOAD", self.library.clone().into()), ("PRELOADED_NUMBER", self.file.clone().into())]
    }

    /// Sets the number, immediately, in all its processes.
    pub(crate) fn set(&self, number: i64) -> anyhow::Result<()> {
        self.number.write_all_at(&number.to_ne_bytes(), 0).context("cannot set the number of a preloaded library")
    }
}
