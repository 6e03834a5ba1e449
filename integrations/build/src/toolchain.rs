//! Which compiler builds the guests, and how to get the target.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::compiler::{Active, Target, Triple, program};
use crate::progress::Progress;
use crate::run::{line, output_of, run_quietly};
use crate::workspace::Workspace;
use crate::{BuildError, debian};

/// rustup downloads about 20 MB; a network that drops packets must not delay the build longer than this.
const RUSTUP_LIMIT: Duration = Duration::from_mins(5);

/// A way to get a compiler for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The active toolchain has the target's standard library.
    Installed,
    /// rustup can add it.
    Rustup,
    /// Debian's `rustc-web`, which compiles the standard library from `rust-web-src`.
    Debian,
}

impl Way {
    /// All ways, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Installed, Self::Rustup, Self::Debian];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        })
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|way| way.to_string() == text)
            .ok_or_else(|| "a way is one of installed, rustup, debian".to_owned())
    }
}

/// The compiler in use: `RUSTC`, or the compiler of the cargo that runs this program, or the one on the `PATH`.
fn active_rustc() -> Result<PathBuf, BuildError> {
    let named = std::env::var_os("RUSTC").filter(|name| !name.is_empty());
    if named.is_none()
        && let Some(cargo) = std::env::var_os("CARGO")
        && let Some(rustc) = beside(Path::new(&cargo), "rustc")
    {
        return Ok(rustc);
    }
    let command = named.unwrap_or_else(|| OsString::from("rustc"));
    // rustup's `rustc` only calls the one of the active toolchain, which identifies the compiler.
    let sysroot = output_of(Command::new(&command).args(["--print", "sysroot"]))?;
    let rustc = program(&Path::new(sysroot.trim()).join("bin"), "rustc");
    Ok(rustc.unwrap_or_else(|| PathBuf::from(command)))
}

/// A program in the same folder as another, unless both are rustup's.
fn beside(other: &Path, name: &str) -> Option<PathBuf> {
    let path = program(other.parent()?, name)?;
    let behind = path.canonicalize().ok()?;
    (behind.file_stem()? != "rustup").then_some(path)
}

/// Changes when the active compiler does. Avoids running it, since every check for freshness needs this.
pub(crate) fn active_identity() -> Result<String, BuildError> {
    let rustc = active_rustc()?;
    Ok(format!("{} {}", rustc.display(), file_identity(&rustc).unwrap_or_default()))
}

/// Changes when a file is replaced; `None` if it does not exist.
pub(crate) fn file_identity(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let modified = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Some(format!("{} {}", metadata.len(), modified.as_nanos()))
}

/// Queries the active compiler.
pub(crate) fn active() -> Result<Active, BuildError> {
    let rustc = active_rustc()?;
    let sysroot = PathBuf::from(output_of(Command::new(&rustc).args(["--print", "sysroot"]))?.trim());
    let version = output_of(Command::new(&rustc).arg("-vV"))?;
    let field = |name: &str| {
        version
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cargo = std::env::var_os("CARGO")
        .map(PathBuf::from)
        .or_else(|| program(&sysroot.join("bin"), "cargo"))
        .unwrap_or_else(|| PathBuf::from("cargo"));
    Ok(Active { cargo, host: field("host:"), release: field("release:"), rustc, sysroot })
}

/// The first way that works, or only `only`.
pub(crate) fn target(
    active: &Active,
    workspace: &Workspace,
    triple: Triple,
    only: Option<Way>,
    progress: &Progress,
) -> Result<Target, BuildError> {
    let mut tried = Vec::new();
    for way in Way::ALL.into_iter().filter(|way| only.is_none_or(|only| only == *way)) {
        let found = match way {
            Way::Installed => installed(active, triple),
            Way::Rustup => rustup(active, triple, progress),
            Way::Debian => debian::target(active, workspace, triple, progress),
        };
        match found {
            Ok(target) => return Ok(target),
            Err(reason) => tried.push(format!("  {way}: {reason}")),
        }
    }
    Err(BuildError::NoTarget { target: triple.name(), tried: tried.join("\n"), ways: ways(active, triple) })
}

fn ways(active: &Active, triple: Triple) -> String {
    let name = triple.name();
    format!(
        "  with rustup:          rustup target add {name}\n  \
           on Debian:            sudo apt-get update && sudo apt-get install --no-install-recommends {}\n  \
           with another Rust:    install its standard library for {name} (packages are called rust-wasm or \
           rust-std-static-{name}) into {}",
        debian::packages(triple).join(" "),
        active.sysroot.join("lib/rustlib").display()
    )
}

fn installed(active: &Active, triple: Triple) -> Result<Target, String> {
    let library = active.sysroot.join("lib").join("rustlib").join(triple.name());
    if library.join("lib").is_dir() {
        let name = format!("rustc {}", active.release);
        return Ok(Target { rustc: active.rustc.clone(), name, std_source: None, linker: None });
    }
    Err(format!("{} does not exist", library.display()))
}

fn rustup(active: &Active, triple: Triple, progress: &Progress) -> Result<Target, String> {
    let toolchain = active
        .sysroot
        .file_name()
        .filter(|_| active.sysroot.parent().is_some_and(|parent| parent.ends_with("toolchains")))
        .ok_or_else(|| format!("the active toolchain, {}, was not installed by rustup", active.sysroot.display()))?;
    let mut command = Command::new("rustup");
    command.args(["target", "add", triple.name(), "--toolchain"]).arg(toolchain).env_remove("RUST_BACKTRACE");
    progress.stage("adding the Rust target for guests");
    progress.say(&format!("the target {} is not installed; running: {}", triple.name(), line(&command)));
    run_quietly(&mut command, progress, Some(RUSTUP_LIMIT)).map_err(BuildError::in_short)?;
    installed(active, triple)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(sysroot: &Path) -> Active {
        Active {
            cargo: "cargo".into(),
            rustc: sysroot.join("bin/rustc"),
            sysroot: sysroot.to_path_buf(),
            host: "x86_64-unknown-linux-gnu".into(),
            release: "1.95.0".into(),
        }
    }

    #[test]
    fn the_target_is_installed_if_its_library_is_in_the_sysroot() {
        let sysroot = tempfile::tempdir().unwrap();
        let active = toolchain(sysroot.path());
        for triple in [Triple::Unknown, Triple::Wasip2] {
            assert!(installed(&active, triple).is_err());
            std::fs::create_dir_all(sysroot.path().join("lib/rustlib").join(triple.name()).join("lib")).unwrap();
            assert_eq!(installed(&active, triple).unwrap().rustc, active.rustc);
        }
    }

    #[test]
    fn rustup_is_not_run_on_a_toolchain_that_it_did_not_install() {
        let sysroot = tempfile::tempdir().unwrap();
        let reason = rustup(&toolchain(sysroot.path()), Triple::Unknown, &Progress::new()).unwrap_err();
        assert!(reason.contains("was not installed by rustup"), "{reason}");
    }

    #[test]
    fn without_any_way_the_error_lists_all_three_with_their_commands() {
        let sysroot = tempfile::tempdir().unwrap();
        let workspace = Workspace::find().unwrap();
        let active = toolchain(sysroot.path());
        for (triple, packages) in
            [(Triple::Unknown, "rustc-web rust-web-src\n"), (Triple::Wasip2, "rustc-web rust-web-src wasi-libc\n")]
        {
            let error = target(&active, &workspace, triple, Some(Way::Installed), &Progress::new()).unwrap_err();
            let text = error.to_string();
            let add = format!("rustup target add {}\n", triple.name());
            for part in ["installed: ", &add, "apt-get install", packages, "rust-wasm"] {
                assert!(text.contains(part), "no {part} in\n{text}");
            }
        }
    }

    #[test]
    fn the_active_toolchain_is_queried() {
        let active = active().unwrap();
        assert!(active.rustc.is_file() && active.sysroot.is_dir(), "{active:?}");
        assert!(active.host.contains('-') && active.release.starts_with('1'), "{active:?}");
        assert_eq!(active_identity().unwrap(), active_identity().unwrap());
    }

    #[test]
    fn a_way_survives_printing_and_parsing() {
        for way in Way::ALL {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        assert!("brew".parse::<Way>().is_err());
    }
}
