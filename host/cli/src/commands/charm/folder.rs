//! The folder of a charm's files, its root, which none of them leaves.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

/// No file of a charm is larger; the transpiler has the actual limit.
const FILE_BYTES: u64 = 16 << 20;

/// How a file is opened: without waiting, in case it is a pipe.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// What is in the root of a package or of a repository.
const MARKS: [&str; 6] = ["package.json", "deno.json", "deno.jsonc", ".git", ".hg", ".jj"];

/// The root of a charm whose first file is in `folder`, an absolute path: the folder itself, or the nearest above it
/// that is the root of a package or of a repository. A home folder is never one, and what is above it neither: it has
/// what other programs keep.
pub(super) fn root_of(folder: &Path) -> PathBuf {
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    let within = folder.ancestors().take_while(|above| above.parent().is_some() && Some(*above) != home.as_deref());
    let root = within.into_iter().find(|above| MARKS.iter().any(|mark| above.join(mark).symlink_metadata().is_ok()));
    root.unwrap_or(folder).to_owned()
}

/// An open folder: files read from it are in it, even if folders are renamed or links created meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    open: OwnedFd,
}

impl Folder {
    /// Opens a folder.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let open = open(&path, READ | OFlags::DIRECTORY, Mode::empty())
            .with_context(|| format!("cannot open the folder {}", path.display()))?;
        Ok(Self { path, open })
    }

    /// The path of a file in it.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// The text of the file at a path relative to the folder; `None` if it does not exist. Fails, without reading the
    /// file, if the path leaves the folder by itself or through a symbolic link.
    pub(super) fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        let is_within =
            Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_within {
            return Err(self.outside());
        }
        let file = match open_beneath(&self.open, path) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            // A link that leaves the folder, or any link if links cannot be followed safely.
            Err(Errno::XDEV | Errno::LOOP) => return Err(self.outside()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.at(path).display())),
        };
        let kind = file.metadata().with_context(|| format!("cannot read {}", self.at(path).display()))?;
        if kind.is_dir() {
            return Ok(None);
        }
        if !kind.is_file() {
            bail!("{} is not a regular file, but a device, a pipe or a socket", self.at(path).display());
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES + 1).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read {}", self.at(path).display()))?;
        if bytes.len() as u64 > FILE_BYTES {
            bail!("{} is longer than {} MiB", self.at(path).display(), FILE_BYTES >> 20);
        }
        let text = String::from_utf8(bytes).map_err(|_| anyhow!("{} is not UTF-8 text", self.at(path).display()))?;
        Ok(Some(text))
    }

    fn outside(&self) -> anyhow::Error {
        anyhow!(
            "this path leaves the charm's root, {}, by itself or through a symbolic link; a charm can import files \
             below its root, which is the nearest folder above its first file with package.json, deno.json or .git, \
             or the one that --root DIR names",
            self.path.display()
        )
    }
}

/// Opens a file below a folder by the kernel's own lookup; links are followed as long as they stay below it.
fn open_beneath(folder: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    match openat2(folder, path, READ, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
        // The kernel, or a system call filter, does not support it.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => open_without_links(folder, path),
        opened => opened,
    }
}

/// The same, step by step, without following links.
fn open_without_links(folder: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let last = parts.next_back().ok_or(Errno::NOENT)?;
    let mut within = openat(folder, ".", READ | OFlags::DIRECTORY, Mode::empty())?;
    for part in parts {
        within = openat(&within, part, READ | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(linked)?;
    }
    openat(&within, last, READ | OFlags::NOFOLLOW, Mode::empty())
}

/// To the kernel, a link in place of a folder is not a folder.
fn linked(error: Errno) -> Errno {
    if error == Errno::NOTDIR { Errno::LOOP } else { error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with files, links that stay in it, and links that do not; and a file outside.
    fn folders() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("charm/lib/deep")).unwrap();
        std::fs::create_dir(at("outside")).unwrap();
        for (path, text) in
            [("charm/main.ts", "main"), ("charm/lib/a.ts", "a"), ("outside/secret.ts", "SECRET"), ("up.ts", "SECRET")]
        {
            std::fs::write(at(path), text).unwrap();
        }
        std::fs::write(at("charm/latin1.ts"), [0xe9]).unwrap();
        symlink("lib/a.ts", at("charm/inner.ts")).unwrap();
        symlink("../main.ts", at("charm/lib/up.ts")).unwrap();
        symlink("../outside/secret.ts", at("charm/linked.ts")).unwrap();
        symlink(at("outside/secret.ts"), at("charm/absolute.ts")).unwrap();
        symlink("../outside", at("charm/linked")).unwrap();
        symlink("/proc/self/cwd", at("charm/magic")).unwrap();
        symlink("../../up.ts", at("charm/lib/up-up.ts")).unwrap();
        symlink("loop.ts", at("charm/loop.ts")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("charm/pipe.ts"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        dir
    }

    #[test]
    fn only_files_of_the_folder_are_read() {
        let dir = folders();
        let folder = Folder::open(dir.path().join("charm")).unwrap();
        for (path, expected) in [
            ("main.ts", Some("main")),
            ("./lib/a.ts", Some("a")),
            ("inner.ts", Some("a")),
            ("lib/up.ts", Some("main")),
            ("gone.ts", None),
            ("main.ts/a.ts", None),
            ("lib", None),
        ] {
            assert_eq!(folder.read(path).unwrap().as_deref(), expected, "{path}");
        }
        let attempt =
            bg_abuse::Attempt::begin("imports", "files outside a charm's root, by .., by links, and by renaming");
        let outside = [
            "../up.ts",
            "lib/../../up.ts",
            "/etc/passwd",
            "linked.ts",
            "absolute.ts",
            "linked/secret.ts",
            "lib/up-up.ts",
            "loop.ts",
            "magic/Cargo.toml",
        ];
        for path in outside {
            let error = format!("{:#}", folder.read(path).unwrap_err());
            assert!(error.contains("leaves the charm's root") && !error.contains("SECRET"), "{path}: {error}");
        }
        for (path, expected) in [("pipe.ts", "is not a regular file"), ("latin1.ts", "is not UTF-8")] {
            let error = format!("{:#}", folder.read(path).unwrap_err());
            assert!(error.contains(expected), "{path}: {error}");
        }
        // The opened folder is read, even if another folder takes its name meanwhile.
        std::fs::rename(dir.path().join("charm"), dir.path().join("away")).unwrap();
        symlink("outside", dir.path().join("charm")).unwrap();
        assert_eq!(folder.read("lib/a.ts").unwrap().as_deref(), Some("a"));
        assert_eq!(folder.read("secret.ts").unwrap(), None);
        attempt.ended(format!("refused, {} of {}", outside.len(), outside.len()));
    }

    #[test]
    fn the_root_is_the_nearest_package_or_repository_below_the_home_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().canonicalize().unwrap().join(path);
        std::fs::create_dir_all(at("repository/.git")).unwrap();
        std::fs::create_dir_all(at("repository/package/charms/deep")).unwrap();
        std::fs::create_dir_all(at("repository/charms")).unwrap();
        std::fs::create_dir_all(at("alone/charms")).unwrap();
        std::fs::write(at("repository/package/deno.jsonc"), "{}").unwrap();
        for (folder, root) in [
            ("repository/package/charms/deep", "repository/package"),
            ("repository/package", "repository/package"),
            ("repository/charms", "repository"),
            ("alone/charms", "alone/charms"),
        ] {
            assert_eq!(root_of(&at(folder)), at(root), "{folder}");
        }
        // Whatever is in the folders above.
        let home = std::env::home_dir().unwrap().canonicalize().unwrap();
        for never in [Path::new("/"), &home] {
            assert_eq!(root_of(&never.join("none of these")), never.join("none of these"));
        }
    }

    #[test]
    fn without_kernel_support_no_link_is_followed() {
        let dir = folders();
        let folder = Folder::open(dir.path().join("charm")).unwrap();
        assert!(open_without_links(&folder.open, "lib/a.ts").is_ok());
        assert!(open_without_links(&folder.open, "./main.ts").is_ok());
        for path in ["linked.ts", "absolute.ts", "linked/secret.ts", "magic/Cargo.toml", "inner.ts", "loop.ts"] {
            assert_eq!(open_without_links(&folder.open, path).err(), Some(Errno::LOOP), "{path}");
        }
        assert_eq!(open_without_links(&folder.open, "gone.ts").err(), Some(Errno::NOENT));
    }
}
