//! Compilers, and what they compile for.

use std::path::{Path, PathBuf};

/// The targets of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Triple {
    /// `wasm32-unknown-unknown`: the guests of this workspace.
    Unknown,
    /// `wasm32-wasip2`: what authors of integrations use.
    Wasip2,
}

impl Triple {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "wasm32-unknown-unknown",
            Self::Wasip2 => "wasm32-wasip2",
        }
    }
}

/// The active toolchain.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    pub(crate) sysroot: PathBuf,
    /// The target of this machine, such as `x86_64-unknown-linux-gnu`.
    pub(crate) host: String,
    pub(crate) release: String,
}

/// A compiler for the target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) rustc: PathBuf,
    /// Its name in a progress line.
    pub(crate) name: String,
    /// The standard library's sources, if it must be compiled, too.
    pub(crate) std_source: Option<PathBuf>,
    /// The linker, unless the compiler finds its own.
    pub(crate) linker: Option<PathBuf>,
}

/// A program in a folder, if it exists.
pub(crate) fn program(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    path.is_file().then_some(path)
}
