//! The environment of a nested cargo call.
//!
//! Under `cargo run` and `cargo test`, and in shells where people set compiler flags, the environment has settings for
//! the host's build: the same guests must be built with and without them ([`clean`]), and a nested build of the host must
//! be the one that a person's own `cargo build` makes ([`same_cargo`]).

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// Variables that begin with `CARGO` and configure the network and the download cache, not the build.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_BUILD_JOBS",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_UNSTABLE_GITOXIDE",
];

/// Whether a variable belongs to another build.
fn is_foreign(name: &str) -> bool {
    let foreign = ["CARGO", "__CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CLIPPY_"];
    let build = ["MAKEFLAGS", "MFLAGS", "OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "NUM_JOBS"];
    // Rust's `RUSTUP_*` variables stay: they name the active toolchain.
    (foreign.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.iter().any(|prefix| name.starts_with(prefix)))
        || build.contains(&name)
}

/// For the programs it runs, cargo puts its own library folders first here, where another compiler would find the wrong
/// libraries.
const LIBRARY_PATHS: [&str; 2] = ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

/// Removes everything that belongs to another build from the environment of `command`. `ours` are folders whose
/// libraries must not be found: the workspace's target folder, the active toolchain.
pub(crate) fn clean(command: &mut Command, ours: &[&Path]) {
    for (name, value) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if is_foreign(text) {
            command.env_remove(&name);
        } else if LIBRARY_PATHS.contains(&text) {
            match without(&value, ours) {
                Some(rest) => command.env(&name, rest),
                None => command.env_remove(&name),
            };
        }
    }
}

/// The prefixes of the variables that cargo sets for a program or a test that it runs.
const SET_FOR_A_RUN: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_TARGET_TMPDIR"];

/// The cargo that runs this program, to build the host as a person would from a shell: people's settings stay, and what
/// cargo has set for this program is removed. Build scripts such as ring's run again when one of these variables differs
/// from the last time, and a third of the host would be compiled again.
#[must_use]
pub fn same_cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if SET_FOR_A_RUN.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn without(paths: &OsStr, ours: &[&Path]) -> Option<OsString> {
    let kept = std::env::split_paths(paths)
        .filter(|path| !path.as_os_str().is_empty() && !ours.iter().any(|ours| path.starts_with(ours)))
        .collect::<Vec<_>>();
    if kept.is_empty() { None } else { std::env::join_paths(kept).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_an_outer_build_are_removed_and_network_settings_stay() {
        for (name, foreign) in [
            ("CARGO", true),
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_BIN_EXE_demo", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_PROFILE_GUEST_OPT_LEVEL", true),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", true),
            ("CARGO_BUILD_RUSTC_WRAPPER", true),
            ("RUSTFLAGS", true),
            ("RUSTC", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC_BOOTSTRAP", true),
            ("RUSTDOCFLAGS", true),
            ("CARGO_MAKEFLAGS", true),
            ("CLIPPY_ARGS", true),
            ("OUT_DIR", true),
            ("CARGO_HOME", false),
            ("CARGO_BUILD_JOBS", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_REGISTRIES_CRATES_IO_PROTOCOL", false),
            ("CARGO_REGISTRY_DEFAULT", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("RUSTUP_HOME", false),
            ("RUST_BACKTRACE", false),
            ("HOST_OF_MINE", false),
            ("PATH", false),
        ] {
            assert_eq!(is_foreign(name), foreign, "{name}");
        }
    }

    #[test]
    fn a_nested_build_does_not_see_what_cargo_sets_for_a_test() {
        let cargo = same_cargo();
        let removed = |name: &str| cargo.get_envs().any(|(other, value)| other == name && value.is_none());
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
            assert!(std::env::var_os(name).is_some_and(|_| removed(name)), "{name}");
        }
        assert!(!removed("PATH") && !removed("CARGO"));
    }

    #[test]
    fn only_our_own_folders_leave_the_library_path() {
        let ours = [Path::new("/work/target"), Path::new("/toolchain")];
        for (before, after) in [
            ("/work/target/debug/deps:/toolchain/lib", None),
            ("/work/target/debug:/opt/lib:/toolchain/lib", Some("/opt/lib")),
            ("/work/targets", Some("/work/targets")),
            ("", None),
        ] {
            assert_eq!(without(OsStr::new(before), &ours), after.map(OsString::from), "{before}");
        }
    }
}
