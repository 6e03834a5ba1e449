//! Why the sandbox could not be created.

use std::path::PathBuf;

/// The sandbox could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not work here.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    /// The folder for compiled components cannot be trusted.
    #[error(
        "compiled components are not kept in {}: {problem}; make it private to this user (chmod 700), or name another",
        folder.display()
    )]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
