//! Debian's `rustc-web`, a newer compiler than its `rustc`, and `rust-web-src`, the standard library's sources for it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;
use crate::compiler::{Active, Target, Triple, program};
use crate::progress::Progress;
use crate::run::{line, output_of, run_quietly};
use crate::workspace::Workspace;

/// The packages to install. The standard library for WASI uses the C library.
pub(crate) fn packages(triple: Triple) -> &'static [&'static str] {
    match triple {
        Triple::Unknown => &["rustc-web", "rust-web-src"],
        Triple::Wasip2 => &["rustc-web", "rust-web-src", "wasi-libc"],
    }
}

/// Where Debian's `wasi-libc` installs its libraries.
pub(crate) const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

const RUSTC: &str = "/usr/bin/rustc";

/// The compiler, installed first if needed and allowed: as root, or by a `sudo` that needs no password.
pub(crate) fn target(
    active: &Active,
    workspace: &Workspace,
    triple: Triple,
    progress: &Progress,
) -> Result<Target, String> {
    let missing = match ready(active, workspace, triple) {
        Ok(target) => return Ok(target),
        Err(missing) => missing,
    };
    let mut packages = packages(triple).to_vec();
    if linker(active).is_none() {
        packages.push("lld");
    }
    progress.stage("installing a Rust compiler for guests");
    install(&missing, &packages, progress)?;
    ready(active, workspace, triple)
}

/// Installs Debian's packages, if that is allowed. `missing` says why.
pub(crate) fn install(missing: &str, packages: &[&str], progress: &Progress) -> Result<(), String> {
    if !Path::new("/etc/debian_version").exists() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("{missing}, and this is not a Debian system"));
    }
    let privilege = privilege().ok_or_else(|| {
        format!("{missing}, and neither root nor a sudo without password can install {}", packages.join(" "))
    })?;
    let update = apt(privilege, &["update"]);
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    let install = apt(privilege, &install);
    progress.say(&format!("{missing}; running: {} && {}", line(&update), line(&install)));
    for mut command in [update, install] {
        run_quietly(&mut command, progress, None).map_err(BuildError::in_short)?;
    }
    Ok(())
}

/// The compiler, if it is complete; otherwise what is missing.
fn ready(active: &Active, workspace: &Workspace, triple: Triple) -> Result<Target, String> {
    let version = output_of(Command::new(RUSTC).arg("-vV")).map_err(|_| format!("{RUSTC} is not installed"))?;
    let release = version.lines().find_map(|line| line.strip_prefix("release:")).unwrap_or_default().trim();
    if number(release) < number(workspace.rust_version()) {
        return Err(format!("{RUSTC} is version {release}, and {} is needed", workspace.rust_version()));
    }
    let sysroot = output_of(Command::new(RUSTC).args(["--print", "sysroot"])).map_err(BuildError::in_short)?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    let std_source = source.join("library");
    if !std_source.join("std/Cargo.toml").is_file() {
        return Err(format!("the sources of {RUSTC}'s standard library are not in {}", source.display()));
    }
    if source_release(&source).is_some_and(|found| number(&found) != number(release)) {
        return Err(format!("the standard library in {} does not belong to {RUSTC} {release}", source.display()));
    }
    if triple == Triple::Wasip2 && !Path::new(WASI_LIBC).join("libc.a").is_file() {
        return Err(format!("the C library for WASI is not in {WASI_LIBC}"));
    }
    let linker = linker(active).ok_or("there is no linker for WebAssembly (rust-lld or wasm-ld)")?;
    Ok(Target {
        rustc: RUSTC.into(),
        name: format!("Debian's rustc {release}"),
        std_source: Some(std_source),
        linker: Some(linker),
    })
}

/// The version of the sources, or else the name of the folder that the link to them points to: `rustc-1.96.0`.
fn source_release(source: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(source.join("version")) {
        return Some(text.trim().to_owned());
    }
    let folder = source.canonicalize().ok()?;
    folder.file_name()?.to_str()?.strip_prefix("rustc-").map(str::to_owned)
}

/// `1.96.0-beta` as comparable numbers.
fn number(version: &str) -> (u32, u32) {
    let mut parts = version.split(['.', '-', '+', ' ']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The first linker for WebAssembly: that of the active toolchain, or Debian's.
fn linker(active: &Active) -> Option<PathBuf> {
    let tools = |sysroot: &Path| sysroot.join("lib").join("rustlib").join(&active.host).join("bin");
    program(&tools(&active.sysroot), "rust-lld")
        .or_else(|| program(&tools(Path::new("/usr")), "rust-lld"))
        .or_else(|| program(Path::new("/usr/bin"), "wasm-ld"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
}

fn privilege() -> Option<Privilege> {
    if output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(Privilege::Root);
    }
    output_of(Command::new("sudo").args(["-n", "true"])).is_ok().then_some(Privilege::Sudo)
}

/// An apt-get that asks nothing, and waits two minutes for another one to finish.
fn apt(privilege: Privilege, arguments: &[&str]) -> Command {
    let quiet = [OsStr::new("DEBIAN_FRONTEND=noninteractive"), OsStr::new("apt-get")];
    let mut command = match privilege {
        Privilege::Root => Command::new("env"),
        Privilege::Sudo => {
            let mut command = Command::new("sudo");
            command.args(["-n", "env"]);
            command
        }
    };
    command.args(quiet).args(["-q", "-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(number("1.96.0") > number("1.95"));
        assert!(number("1.100.0") > number("1.95.0"));
        assert!(number("1.85.0") < number("1.95"));
        assert_eq!(number("1.96.0 (abc 2026-01-01)"), number("1.96.0"));
        assert_eq!(number("nonsense"), (0, 0));
    }

    #[test]
    fn the_commands_are_shown_as_they_are_run() {
        assert_eq!(
            line(&apt(Privilege::Root, &["update"])),
            "env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 update"
        );
        assert!(line(&apt(Privilege::Sudo, &["update"])).starts_with("sudo -n env DEBIAN_FRONTEND"));
    }

    #[test]
    fn sources_say_which_version_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("rustc-1.96.0");
        fs::create_dir(&source).unwrap();
        assert_eq!(source_release(&source).as_deref(), Some("1.96.0"));
        fs::write(source.join("version"), "1.97.0 (abc)\n").unwrap();
        assert_eq!(source_release(&source).as_deref(), Some("1.97.0 (abc)"));
    }
}
