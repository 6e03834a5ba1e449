//! The options of `new`.

use std::path::PathBuf;

use bg_identity::IntegrationId;
use clap::{Args, ValueEnum};

/// Options of `new`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NewArgs {
    /// The integration's ID, such as my-news: letters, digits, `.`, `_` and `-`
    pub(crate) name: IntegrationId,

    /// The language to write it in
    #[arg(long, value_enum, value_name = "rust|js|python")]
    pub(crate) lang: Language,

    /// The folder to write to; must be empty if it exists [default: NAME, in the current folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

/// A language in which `new` writes integrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust, for `wasm32-wasip2`
    Rust,
    /// JavaScript, with componentize-js
    #[value(alias = "javascript")]
    Js,
    /// Python, with componentize-py
    Python,
}
