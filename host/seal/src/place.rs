//! Gives a file that is complete its name, in one step, and never in the place of another file.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Gives `draft`, which is in the same folder, the name `to`; an error of the kind [`ErrorKind::AlreadyExists`] if that
/// is taken. Afterwards the draft may still be there, as a second name of the same file.
pub fn place(draft: &Path, to: &Path) -> io::Result<()> {
    // Not every file system has links (FAT, exFAT, some of networks), nor every one the other two.
    let mut last = Ok(());
    for way in [link, rename_to_new, rename_under_lock] {
        last = way(draft, to);
        match &last {
            Err(error) if is_unsupported(error) => {}
            _ => return last,
        }
    }
    last
}

/// Whether the file system, the kernel or a sandbox has no such operation.
fn is_unsupported(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    let others = [
        Errno::PERM,
        Errno::ACCESS,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::NOTSUP,
        Errno::MLINK,
        Errno::XDEV,
    ];
    errno.is_some_and(|errno| others.contains(&errno))
}

/// A link never takes the place of a file.
fn link(draft: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(draft, to)
}

/// Nor does this renaming.
fn rename_to_new(draft: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, draft, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Any other would: one process at a time looks, and renames.
fn rename_under_lock(draft: &Path, to: &Path) -> io::Result<()> {
    let folder = File::open(folder(to))?;
    folder.lock()?;
    match to.symlink_metadata() {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => std::fs::rename(draft, to),
        Err(error) => Err(error),
    }
}

/// Makes the name of a file durable.
pub fn sync_folder(file: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder(file))?.sync_all() } else { Ok(()) }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_the_name_once_and_replaces_nothing() {
        for way in [place, link, rename_to_new, rename_under_lock] {
            let dir = tempfile::tempdir().unwrap();
            let [to, one, other] = ["key", "one", "other"].map(|name| dir.path().join(name));
            std::fs::write(&one, "one").unwrap();
            std::fs::write(&other, "other").unwrap();
            way(&one, &to).unwrap();
            assert_eq!(way(&other, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read_to_string(&to).unwrap(), "one");
            assert_eq!(std::fs::read_to_string(&other).unwrap(), "other");
            assert!(way(&dir.path().join("gone"), &dir.path().join("new")).is_err());
        }
    }

    #[test]
    fn of_many_that_come_at_once_one_gives_the_name() {
        for way in [link, rename_to_new, rename_under_lock] {
            let dir = tempfile::tempdir().unwrap();
            let to = dir.path().join("key");
            let drafts: Vec<_> = (0..8).map(|number| dir.path().join(format!("draft-{number}"))).collect();
            let placed = std::thread::scope(|scope| {
                let to = &to;
                let one = |draft: &Path| {
                    std::fs::write(draft, format!("{draft:?}")).unwrap();
                    way(draft, to).is_ok()
                };
                let all: Vec<_> = drafts.iter().map(|draft| scope.spawn(move || one(draft))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
            });
            let first = placed.iter().position(|placed| *placed).unwrap();
            assert_eq!(placed.iter().filter(|placed| **placed).count(), 1);
            assert_eq!(std::fs::read_to_string(&to).unwrap(), format!("{:?}", drafts[first]));
        }
    }
}
