//! Why there is no sandbox.

use std::path::PathBuf;

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not work here.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    /// The folder for compiled components cannot be trusted.
    #[error(
        "compiled components are not kept in {}: {problem}; make it a folder of this user alone (chmod 700), or name another",
        folder.display()
    )]
    Cache {
        /// Which folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
