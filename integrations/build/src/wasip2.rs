//! Sets up cargo as authors of integrations use it: for `wasm32-wasip2`, on any machine, and for this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::{Active, Target, Triple};
use crate::progress::Progress;
use crate::workspace::Workspace;
use crate::{BuildError, debian, environment, files, toolchain};

/// Provides a compiler for `wasm32-wasip2`, installed first if needed, and makes `command`, which is or calls cargo,
/// use it: then `cargo build --release --target wasm32-wasip2` works. Settings of an outer cargo are removed from its
/// environment.
pub fn prepare_wasip2(command: &mut Command) -> Result<(), BuildError> {
    let workspace = Workspace::find()?;
    let active = toolchain::active()?;
    let progress = Progress::new();
    let folder = workspace.root().join("target");
    // rustup and apt-get would wait, or fail, while another instance is running.
    let lock = files::lock(&folder.join("guests").join(".lock"), &progress)?;
    let target = toolchain::target(&active, &workspace, Triple::Wasip2, None, &progress)?;
    drop(lock);
    progress.finish();
    environment::clean(command, &[&folder, &active.sysroot]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.envs(variables(&active, &target, &path));
    Ok(())
}

/// Removes the settings of an outer cargo from the environment of `command`, which is or calls cargo.
pub fn prepare_cargo(command: &mut Command) -> Result<(), BuildError> {
    let workspace = Workspace::find()?;
    let active = toolchain::active()?;
    environment::clean(command, &[&workspace.root().join("target"), &active.sysroot]);
    Ok(())
}

/// The variables for cargo and rustc. Debian's compiler builds the standard library, links it with Debian's C library,
/// and finds the linker's two programs in the active toolchain.
fn variables(active: &Active, target: &Target, path: &OsString) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("RUSTC", target.rustc.clone().into_os_string())];
    // The active cargo, rather than another one on the path.
    let mut folders: Vec<PathBuf> = active.cargo.parent().map(Path::to_path_buf).into_iter().collect();
    if target.std_source.is_some() {
        let tools = active.sysroot.join("lib").join("rustlib").join(&active.host).join("bin");
        folders.extend([tools.clone(), tools.join("gcc-ld")]);
        let flags = format!("-L{} -Clink-self-contained=no", debian::WASI_LIBC);
        variables.extend([
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
            ("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags.into()),
        ]);
    }
    folders.retain(|folder| !folder.as_os_str().is_empty());
    // A folder with a colon in its name cannot be on a path; then the path stays unchanged.
    if let Ok(joined) = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(path))) {
        variables.push(("PATH", joined));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_compiler_gets_every_path_and_an_installed_target_needs_none() {
        let active = Active {
            cargo: "/toolchain/bin/cargo".into(),
            rustc: "/toolchain/bin/rustc".into(),
            sysroot: "/toolchain".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            release: "1.95.0".into(),
        };
        for (std_source, path, count) in [
            (None, "/toolchain/bin:/usr/bin", 2),
            (
                Some("/usr/lib/rustlib/src".into()),
                "/toolchain/bin:/toolchain/lib/rustlib/x86_64-unknown-linux-gnu/bin:\
                 /toolchain/lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld:/usr/bin",
                5,
            ),
        ] {
            let target = Target { rustc: "/usr/bin/rustc".into(), name: String::new(), std_source, linker: None };
            let variables = variables(&active, &target, &"/usr/bin".into());
            assert_eq!(variables.len(), count, "{variables:?}");
            assert!(variables.contains(&("RUSTC", "/usr/bin/rustc".into())), "{variables:?}");
            assert!(variables.contains(&("PATH", path.into())), "{variables:?}");
        }
    }
}
