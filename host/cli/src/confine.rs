//! A defence behind the defence: what this process itself may open, by Landlock (see landlock(7)). Should a component ever
//! escape its sandbox, it finds the files of the service, and nothing else of its user's.

use std::path::{Path, PathBuf};

use bg_sandbox::ChildCommand;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

/// The newest rules that this program was tried with; an older kernel enforces those that it knows.
const RULES: ABI = ABI::V7;

/// What the system's resolver reads to look up names, and what programs are loaded with: see resolv.conf(5), nsswitch.conf(5),
/// gai.conf(5), ld.so(8).
const SYSTEM_FILES: [&str; 10] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/random",
];
/// How many processors there are, and how much of them this process may have; this process's own memory map.
const SYSTEM_FOLDERS: [&str; 3] = ["/proc/self", "/sys/fs/cgroup", "/sys/devices/system/cpu"];
/// Shared libraries: for the processes that compile, and for the resolver's modules.
const LIBRARIES: [&str; 7] = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store"];

/// What a process may open. Everything else is closed to it once [`enter`](Self::enter)ed.
#[derive(Debug, Default)]
pub(crate) struct Confinement {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    remove: Option<PathBuf>,
    listen: Option<u16>,
    /// May reach others over TCP: which ones, the gate decides.
    connects: bool,
    starts_itself: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confined {
    /// All rules hold.
    Fully,
    /// The kernel does not know all of them.
    Partly,
    /// None hold, and why.
    Not(String),
}

impl Confinement {
    /// What every service needs: TCP, name resolution, shared libraries, its own program to compile with.
    pub(crate) fn of_service() -> Self {
        let mut confinement = Self { connects: true, starts_itself: true, ..Self::default() };
        for file in SYSTEM_FILES {
            confinement = confinement.read(Path::new(file));
        }
        confinement.read.extend(SYSTEM_FOLDERS.map(PathBuf::from));
        confinement
    }

    /// May read this file or folder.
    #[must_use]
    pub(crate) fn read(mut self, path: &Path) -> Self {
        // A file that is a link into a folder of a manager of such files (/run/systemd/resolve) is replaced by a new one there
        // as the network changes: so that whole folder.
        let replaced = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
        if let Some(folder) = replaced.as_deref().and_then(Path::parent).filter(|folder| folder.starts_with("/run")) {
            self.read.push(folder.to_owned());
        }
        self.read.push(path.to_owned());
        self
    }

    /// May do anything in this folder.
    #[must_use]
    pub(crate) fn write(mut self, folder: &Path) -> Self {
        self.write.push(folder.to_owned());
        self
    }

    /// May remove empty folders in this folder: a data directory that was just made, should the service not start.
    #[must_use]
    pub(crate) fn remove_folders(mut self, folder: &Path) -> Self {
        self.remove = Some(folder.to_owned());
        self
    }

    /// May listen on this port; on none, if this is not called.
    #[must_use]
    pub(crate) fn listen(mut self, port: u16) -> Self {
        self.listen = Some(port);
        self
    }

    /// Confines this thread, and all threads and processes that it starts from now on, for good. So it must come before the
    /// first thread. Paths that are not there are left out.
    pub(crate) fn enter(&self) -> Confined {
        self.restrict().unwrap_or_else(|error| Confined::Not(error.to_string()))
    }

    fn restrict(&self) -> Result<Confined, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let run = read | AccessFs::Execute;
        let tcp = if self.connects { AccessNet::BindTcp.into() } else { AccessNet::from_all(RULES) };
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(RULES))?
            .handle_access(tcp)?
            .scope(Scope::from_all(RULES))?
            .create()?
            .add_rules(beneath(&self.read, read))?
            .add_rules(beneath(&self.write, AccessFs::from_all(RULES) & !BitFlags::from(AccessFs::Execute)))?
            .add_rules(beneath(&self.remove, AccessFs::RemoveDir))?;
        if self.starts_itself {
            let program = ChildCommand::this_program([""; 0]).program;
            rules = rules
                .add_rules(beneath(LIBRARIES, run))?
                .add_rules(beneath([program], AccessFs::ReadFile | AccessFs::Execute))?
                .add_rules(beneath(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?;
        }
        if let Some(port) = self.listen {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
        let status = rules.restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::FullyEnforced, _) => Confined::Fully,
            (RulesetStatus::PartiallyEnforced, _) => Confined::Partly,
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                Confined::Not("Landlock is switched off in this kernel (see its option `lsm=`)".to_owned())
            }
            (RulesetStatus::NotEnforced, _) => Confined::Not("this kernel has no Landlock".to_owned()),
        })
    }
}

impl Confined {
    /// In one word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fully => "fully",
            Self::Partly => "partly",
            Self::Not(_) => "not",
        }
    }

    /// What [`name`](Self::name) says of a process that is confined.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "fully" => Some(Self::Fully),
            "partly" => Some(Self::Partly),
            _ => None,
        }
    }

    /// Tells the operator.
    pub(crate) fn log(&self) {
        match self {
            Self::Fully => tracing::info!("confined: this process can open its own files only (Landlock)"),
            Self::Partly => tracing::info!(
                "confined, as far as this kernel's Landlock goes: this process can open its own files only"
            ),
            Self::Not(why) => tracing::warn!("not confined: {why}; the sandbox of the components is the only defence"),
        }
    }
}

/// A rule for each of `paths` that is there; a file gets the rights that files have.
fn beneath<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    access: impl Into<BitFlags<AccessFs>>,
) -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
    let access = access.into();
    paths.into_iter().filter_map(move |path| {
        let opened = PathFd::new(&path).ok()?;
        let access = if path.as_ref().is_dir() { access } else { access & AccessFs::from_file(RULES) };
        Some(Ok(PathBeneath::new(opened, access)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
    use std::process::Command;

    use super::*;

    /// What happens in a thread that is confined so; none where the kernel has no Landlock.
    fn confined<T: Send + 'static>(confinement: Confinement, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let thread = std::thread::spawn(move || match confinement.enter() {
            Confined::Not(why) => {
                println!("skipped: {why}");
                None
            }
            Confined::Fully | Confined::Partly => Some(work()),
        });
        thread.join().unwrap()
    }

    #[test]
    fn what_is_not_named_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["data", "data/inside", "components"] {
            fs::create_dir(path(name)).unwrap();
        }
        for name in ["data/runtime.db", "data/inside/file", "components/a.wasm", "components/b.wasm", "secret"] {
            fs::write(path(name), "text").unwrap();
        }
        std::os::unix::fs::symlink(path("secret"), path("data/link")).unwrap();
        let confinement = Confinement::of_service().write(&path("data")).read(&path("components/a.wasm"));
        let root = folder.path().to_owned();
        let outcome = confined(confinement, move || {
            let path = |name: &str| root.join(name);
            for name in ["data/runtime.db", "data/inside/file", "components/a.wasm"] {
                fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            fs::write(path("data/new"), "x").unwrap();
            fs::rename(path("data/new"), path("data/inside/new")).unwrap();
            fs::remove_file(path("data/inside/new")).unwrap();
            for name in ["components/b.wasm", "secret", "data/link", "data/../secret"] {
                fs::read(path(name)).expect_err(name);
            }
            for name in ["components/a.wasm", "components/new", "new", "secret"] {
                fs::write(path(name), "x").expect_err(name);
            }
            fs::rename(path("data/runtime.db"), path("runtime.db")).unwrap_err();
            fs::hard_link(path("secret"), path("data/secret")).unwrap_err();
            for name in ["/etc/passwd", "/etc/hostname", "/proc/1/environ", "/tmp", "/"] {
                let opened = fs::File::open(name).map(|_| ());
                assert_eq!(opened.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{name}");
            }
            fs::read_dir("/home").unwrap_err();
            Command::new("/bin/sh").args(["-c", "true"]).status().unwrap_err();
            TcpListener::bind("127.0.0.1:0").unwrap_err();
        });
        if outcome.is_some() {
            assert_eq!(fs::read_to_string(path("secret")).unwrap(), "text", "the test itself is not confined");
        }
    }

    #[test]
    fn a_folder_that_was_just_made_can_be_removed_and_nothing_else_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        for name in ["made", "full"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("full/file"), "text").unwrap();
        let confinement = Confinement::of_service().write(&root.join("made")).remove_folders(&root);
        confined(confinement, move || {
            fs::write(root.join("made/file"), "x").unwrap();
            fs::remove_file(root.join("made/file")).unwrap();
            fs::remove_dir(root.join("made")).unwrap();
            fs::remove_dir(root.join("full")).unwrap_err();
            fs::remove_file(root.join("full/file")).unwrap_err();
            fs::read(root.join("full/file")).unwrap_err();
            fs::create_dir(root.join("new")).unwrap_err();
            fs::rename(root.join("full"), root.join("other")).unwrap_err();
        });
    }

    #[test]
    fn a_service_can_look_up_names_listen_on_its_port_and_start_itself() {
        confined(Confinement::of_service().listen(0), || {
            assert!(("localhost", 80).to_socket_addrs().unwrap().count() > 0);
            TcpListener::bind("127.0.0.1:0").unwrap();
            assert!(std::thread::available_parallelism().unwrap().get() >= 1);
            // The program of this test, which lists its tests.
            let itself = Command::new(ChildCommand::this_program([""; 0]).program).arg("--list").output().unwrap();
            assert!(itself.status.success());
        });
    }

    #[test]
    fn without_any_rule_nothing_can_be_opened() {
        confined(Confinement::default(), || {
            fs::read_dir("/").unwrap_err();
            fs::File::open("/etc/hosts").unwrap_err();
            TcpListener::bind("127.0.0.1:0").unwrap_err();
            // Nobody listens there, which a process that may connect would be told.
            let refused = TcpStream::connect("127.0.0.1:1").unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        });
    }
}
