//! A small separate disk, which no other test sees.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

/// Mounts a file system in memory over the folder `$0`, of size `$1`, and keeps it until standard input is closed.
const MOUNT: &str = "mount -t tmpfs -o \"size=$1\" tmpfs \"$0\" && echo mounted && read _";

/// Runs a command in the folder `$0`: a process that enters another mount namespace starts in its root.
const IN_FOLDER: &str = "cd \"$0\" && exec \"$@\"";

/// A file system in memory, mounted over a folder in a separate mount namespace: only processes that are started with
/// its [`prefix`](Self::prefix) see it. It is removed when this is dropped and these processes have ended.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it over `folder`, which must exist. `size` is in the format of mount(8), such as `4m`. If the system does
    /// not allow users to create namespaces, the reason.
    pub fn mount(folder: &Path, size: &str) -> Result<Self, String> {
        let mut keeper = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT])
            .args([folder.as_os_str(), size.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare cannot be started: {error}"))?;
        let mut line = String::new();
        let said = keeper.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        if matches!(said, Some(Ok(_))) && line == "mounted\n" {
            return Ok(Self { keeper, folder: folder.to_owned() });
        }
        let output = keeper.wait_with_output().map_err(|error| error.to_string())?;
        Err(format!("no mount namespace: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// A prefix for a command, so that it sees this disk, and runs in `in_folder`.
    pub fn prefix(&self, in_folder: &Path) -> Vec<OsString> {
        let target = self.keeper.id().to_string();
        let enter =
            ["nsenter", "--target", &target, "--user", "--mount", "--preserve-credentials", "sh", "-c", IN_FOLDER];
        enter.into_iter().map(OsString::from).chain([in_folder.as_os_str().to_owned()]).collect()
    }

    /// The folder as seen by processes that do not see the disk, such as this one.
    pub fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.folder.strip_prefix("/").unwrap_or(&self.folder))
    }

    /// Fills it to the last byte.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.filler()).context("cannot write to the small disk")?;
        // Large pieces first, then what is left.
        for piece in [64 * 1024, 4096, 1] {
            let bytes = vec![b'x'; piece];
            loop {
                match file.write(&bytes) {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Frees what [`fill`](Self::fill) took.
    pub fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.filler()).context("cannot free the small disk")
    }

    /// Makes it read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) -> anyhow::Result<()> {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        let target = self.keeper.id().to_string();
        let output = Command::new("nsenter")
            .args(["--target", &target, "--user", "--mount", "--preserve-credentials", "mount", "-o", option])
            .arg(&self.folder)
            .output()?;
        ensure!(output.status.success(), "{option}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.outside().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
