//! A PostgreSQL server of the tests' own.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as its test does")]

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::available;
use crate::browser::SOON;

/// The oldest version that works.
const OLDEST: u32 = 15;
/// Where Debian has a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Between two looks whether it is ready.
const PAUSE: Duration = Duration::from_millis(20);
/// Who owns the databases.
const OWNER: &str = "bgwh";

/// Runs the server, until standard input is closed: also when the process that holds the other end is killed. Then the
/// server and its folder `$0` go. Signals for the whole group of the tests are not for it.
const KEEP: &str = "trap '' HUP INT TERM; folder=$0; \"$@\" < /dev/null & server=$!; read _; \
                    kill -QUIT \"$server\" 2> /dev/null; wait \"$server\"; rm -rf \"$folder\"";

/// Debian's PostgreSQL, on a socket in a folder of its own, with nothing in it. It is stopped when this is dropped, and
/// when the process ends, however that ends.
#[derive(Debug)]
pub struct Postgres {
    keeper: Child,
    folder: PathBuf,
    programs: PathBuf,
    databases: AtomicU32,
}

/// Whether what was acknowledged survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: for measurements.
    Full,
    /// It does not, which saves tests the time for it.
    None,
}

impl Postgres {
    /// The one that all tests of this process share, started first; PostgreSQL is installed first, if needed and
    /// allowed. `None` if there is none.
    #[track_caller]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::new(Durability::None, &[]));
        available(shared.as_ref().map_err(Clone::clone))
    }

    /// One of the test's own, with these settings.
    #[track_caller]
    pub fn start(durability: Durability, settings: &[(&str, &str)]) -> Option<Self> {
        available(Self::new(durability, settings))
    }

    fn new(durability: Durability, settings: &[(&str, &str)]) -> Result<Self, String> {
        let programs = installed()?;
        let folder = tempfile::Builder::new().prefix("bg-postgres-").tempdir().map_err(|error| error.to_string())?;
        // From here on, the keeper removes it.
        let folder = folder.keep();
        let account = Account::find()?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(|error| error.to_string())?;
        account.give(&folder)?;
        let made = account
            .command(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username", OWNER, "--pgdata"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .map_err(|error| format!("initdb cannot be started: {error}"))?;
        if !made.status.success() {
            let _ = std::fs::remove_dir_all(&folder);
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        let server = account.command(&programs.join("postgres"));
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEP]).arg(&folder).arg(server.get_program()).args(server.get_args());
        keeper.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder);
        keeper.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        if durability == Durability::None {
            keeper.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        for (name, value) in settings {
            keeper.arg("-c").arg(format!("{name}={value}"));
        }
        let log = std::fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let keeper = keeper
            .current_dir(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("sh cannot be started: {error}"))?;
        let postgres = Self { keeper, folder, programs, databases: AtomicU32::new(0) };
        let until = Instant::now() + SOON;
        while postgres.psql("postgres", "SELECT 1").is_err() {
            if Instant::now() > until {
                return Err(format!("PostgreSQL does not start: {}", postgres.log()));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(postgres)
    }

    /// Makes an empty database; answers its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{OWNER}@{folder}/{database}")
    }

    /// What psql prints of statements, without headers and alignment; its error otherwise.
    pub fn psql(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                OWNER,
                "-d",
                database,
                "-c",
                statements,
                "-h",
            ])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The programs of this version: `pg_dump` and others.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg("-h").arg(&self.folder).args(["-U", OWNER]);
        command
    }

    /// The processor time that the server's present processes took so far.
    pub fn processor_time(&self) -> Duration {
        let text = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let server: u32 = text.lines().next().unwrap().parse().unwrap();
        let children = Command::new("pgrep").args(["-P", &server.to_string()]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let all = children.lines().map(|child| child.parse::<u32>().unwrap()).chain([server]);
        // One that has just ended took no time.
        all.filter_map(|process| crate::processor_time(process).ok()).sum()
    }

    /// What the server said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Whom the server runs as: PostgreSQL refuses to run as root.
enum Account {
    /// This process's.
    Own,
    /// Another, by its number and that of its group.
    Other { user: u32, group: u32 },
}

impl Account {
    fn find() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        // Debian's package makes the first; there is always the second.
        let number = |option, user| {
            let output = Command::new("id").args([option, user]).output().ok().filter(|output| output.status.success());
            String::from_utf8(output?.stdout).ok()?.trim().parse().ok()
        };
        let found = ["postgres", "nobody"]
            .into_iter()
            .find_map(|user| Some(Self::Other { user: number("-u", user)?, group: number("-g", user)? }));
        found.ok_or_else(|| "PostgreSQL refuses to run as root, and this system has no other user for it".to_owned())
    }

    fn give(&self, folder: &Path) -> Result<(), String> {
        match self {
            Self::Own => Ok(()),
            Self::Other { user, group } => {
                chown(folder, Some(*user), Some(*group)).map_err(|error| format!("chown: {error}"))
            }
        }
    }

    fn command(&self, program: &Path) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Other { user, group } => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.args([OsStr::new("--clear-groups"), program.as_os_str()]);
                command
            }
        }
    }
}

/// The folder of the programs of PostgreSQL, which is installed first, if needed and allowed.
fn installed() -> Result<PathBuf, String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    if let Some(found) = programs() {
        return Ok(found);
    }
    bg_build::install_packages("tests of the store in PostgreSQL need a server", &["postgresql"])?;
    programs().ok_or_else(|| format!("there is no PostgreSQL {OLDEST} or later in {DEBIAN}"))
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let folder = path.join("bin");
        (version >= OLDEST && folder.join("postgres").exists()).then_some((version, folder))
    });
    versions.max().map(|(_, folder)| folder)
}
