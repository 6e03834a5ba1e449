//! A disk that fails while files on it are open.

use std::ffi::OsString;
use std::path::Path;

use rustix::io::Errno;

use crate::preload::Preload;

/// Fails writes to files, with the number as the error. Pipes and sockets are not affected.
const SOURCE: &str = r"
static int refused(int file) {
    struct stat found;
    if (!*number || fstat(file, &found) || !S_ISREG(found.st_mode)) return 0;
    errno = (int) *number;
    return 1;
}
ssize_t write(int file, const void *bytes, size_t size) {
    return refused(file) ? -1 : syscall(SYS_write, file, bytes, size);
}
ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    return refused(file) ? -1 : syscall(SYS_pwrite64, file, bytes, size, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return refused(file) ? -1 : syscall(SYS_pwrite64, file, bytes, size, at);
}
int ftruncate(int file, off_t size) {
    return refused(file) ? -1 : (int) syscall(SYS_ftruncate, file, size);
}
int ftruncate64(int file, off64_t size) {
    return refused(file) ? -1 : (int) syscall(SYS_ftruncate, file, size);
}
";

/// How writes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// The file system has become read-only, as the kernel makes one after a disk error. On request (`mount -o
    /// remount,ro`) the kernel refuses that while a file is open for writing, as a service's always are; so it is
    /// simulated.
    ReadOnly,
    /// The disk answers with an error.
    Io,
}

/// Controls the file writes of processes that are started with [`env`](Self::env).
#[derive(Debug)]
pub struct FailingWrites(Preload);

impl FailingWrites {
    /// None fails so far; its files are in `folder`. Without a C compiler, the reason.
    pub fn new(folder: &Path) -> Result<Self, String> {
        Preload::new(folder, "writes", SOURCE).map(Self)
    }

    /// The variables of a process whose writes may fail.
    pub fn env(&self) -> [(&'static str, OsString); 2] {
        self.0.env()
    }

    /// From now on all writes fail like this, or none does.
    pub fn set(&self, fault: Option<WriteFault>) -> anyhow::Result<()> {
        self.0.set(match fault {
            None => 0,
            Some(WriteFault::ReadOnly) => Errno::ROFS.raw_os_error().into(),
            Some(WriteFault::Io) => Errno::IO.raw_os_error().into(),
        })
    }
}
