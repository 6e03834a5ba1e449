//! Transpiling in a process of its own, whose time and memory the system limits. Where a function may begin, the parser
//! reads what follows as one, and goes back if it is not one, without releasing the memory: 128 KiB of `(a=` take
//! minutes and more than 17 GB. Here, such a text is refused, and the service has taken no part in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bg_sandbox::{ChildCommand, ChildError, ChildLimits, work_as_child};
use serde::{Deserialize, Serialize};

use super::places::Place;
use super::{Finding, MAX_SOURCES, Sources, TOO_MUCH_MEMORY, TranspileError, Transpiled, check_sources, transpile_for};

/// Processor time. A charm with all the files that it may have takes half a second.
const CPU: Duration = Duration::from_secs(3);
/// The whole of it, on a machine with more to do.
const TIME: Duration = Duration::from_secs(20);
/// Memory, the stack among it. The largest charm takes half of what is left beside the stack.
const MEMORY: usize = 256 * 1024 * 1024;
/// What nests deeper ends the process, which is reported as such.
const STACK: usize = 64 * 1024 * 1024;
/// The sources as JSON, in which a character may take six.
const INPUT_BYTES: usize = 8 * MAX_SOURCES;
/// The modules as JSON, with a source map each.
pub(super) const ANSWER_BYTES: usize = 32 * MAX_SOURCES;

#[derive(Serialize, Deserialize)]
struct Task<'t> {
    // What JSON escapes cannot be borrowed from it.
    #[serde(borrow)]
    file_name: Cow<'t, str>,
    #[serde(borrow)]
    source: Cow<'t, str>,
    files: BTreeMap<String, String>,
    pages: bool,
}

/// Why a charm was not transpiled.
#[derive(Debug, thiserror::Error)]
pub enum ChildFailure {
    /// It is not a charm.
    #[error(transparent)]
    Source(#[from] TranspileError),
    /// The process cannot do its work.
    #[error("the transpiler does not work: {0}")]
    Unusable(String),
}

/// The modules of a charm, from a process that calls [`transpile_as_child`].
pub async fn transpile_by(
    command: &ChildCommand,
    sources: &Sources<'_>,
    pages: bool,
) -> Result<Transpiled, ChildFailure> {
    check_sources(sources)?;
    let Sources { file_name, source, files } = *sources;
    let task = Task { file_name: file_name.into(), source: source.into(), files: files.clone(), pages };
    let unusable = |error: &dyn std::fmt::Display| ChildFailure::Unusable(error.to_string());
    let input = serde_json::to_vec(&task).map_err(|error| unusable(&error))?;
    drop(task);
    let limits = ChildLimits { cpu: CPU, memory: MEMORY, input_bytes: INPUT_BYTES };
    let answer = command.ask(&[], limits, TIME, &input, ANSWER_BYTES).await;
    let refused = |message: &str| {
        let start = Place { line: 0, column: 0 };
        ChildFailure::Source(TranspileError(vec![Finding::new(file_name, start, message)]))
    };
    let answer = answer.map_err(|error| match error {
        ChildError::Time | ChildError::Cpu => {
            refused("the file takes too long to read; write what nests deeply, or has many `(`, in another way")
        }
        ChildError::Memory => refused(TOO_MUCH_MEMORY),
        ChildError::Crash(_) => refused("the file nests too deeply to be read"),
        ChildError::TooLong => refused("the modules of the charm are too long"),
        ChildError::Refused(message) | ChildError::Unusable(message) => ChildFailure::Unusable(message),
    })?;
    let answer: Result<Transpiled, Vec<Finding>> = serde_json::from_slice(&answer).map_err(|error| unusable(&error))?;
    Ok(answer.map_err(TranspileError)?)
}

/// The whole of a process that transpiles a charm; see [`work_as_child`]. None if the arguments are not those of such a
/// process.
pub fn transpile_as_child(arguments: &[String], confine: impl FnOnce()) -> Option<ExitCode> {
    let limits = ChildLimits::from_arguments(arguments)?;
    Some(work_as_child(limits, confine, |input| {
        let Task { file_name, source, files, pages } = serde_json::from_slice(&input)?;
        let sources = Sources { file_name: &file_name, source: &source, files: &files };
        let done = transpile_for(&sources, pages, STACK).map_err(|TranspileError(findings)| findings);
        serde_json::to_vec(&done).map_err(io::Error::other)
    }))
}
