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

const MIB: usize = 1024 * 1024;

/// What a process may take for its sources. It grows with their length, so that a short one that was made to be
/// expensive costs little. Dense code of 4 MiB takes 1.6 s and 190 MiB beside the stack, half of what it may.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// Processor time.
    cpu: Duration,
    /// The whole of it, on a machine with more to do.
    time: Duration,
    /// Memory, the stack among it.
    memory: usize,
}

impl Allowance {
    /// For that many bytes of sources, each MiB begun.
    fn of(bytes: usize) -> Self {
        let mib = bytes.div_ceil(MIB).max(1);
        let seconds = mib as u64;
        Self {
            cpu: Duration::from_secs(2 + seconds),
            time: Duration::from_secs(15 + 5 * seconds),
            memory: (192 + 64 * mib) * MIB,
        }
    }
}

/// What nests deeper ends the process, which is reported as such.
const STACK: usize = 64 * MIB;
/// The sources as JSON, in which a character may take six.
const INPUT_BYTES: usize = 8 * MAX_SOURCES;
/// The modules as JSON, with a source map each. Dense code of 4 MiB makes 17 MB of it with its pages.
pub(super) const ANSWER_BYTES: usize = 32 * MIB;

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
    let Allowance { cpu, time, memory } = Allowance::of(sources.bytes());
    let limits = ChildLimits { cpu, memory, input_bytes: INPUT_BYTES };
    let answer = command.ask(&[], limits, time, &input, ANSWER_BYTES).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_may_take_grows_with_the_length_of_its_sources() {
        let of = |bytes| {
            let Allowance { cpu, time, memory } = Allowance::of(bytes);
            (cpu.as_secs(), time.as_secs(), memory / MIB)
        };
        assert_eq!([0, 1, MIB].map(of), [(3, 20, 256); 3]);
        assert_eq!(of(MIB + 1), (4, 25, 320));
        assert_eq!(of(MAX_SOURCES), (6, 35, 448));
    }
}
