//! How a service and the process that works on a component for it speak with each other.
//!
//! The process learns its task and its limits from its arguments. It gets the component over its standard input, as a length
//! and that many bytes, and answers on its standard output with [`MAGIC`], the SHA-256 of the answer, and the answer.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::LoadError;
use crate::Limits;
use crate::engine::Allocation;

/// First in what is answered.
const MAGIC: &[u8; 16] = b"bg-wasm-compiled";
const DIGEST_BYTES: usize = 32;
/// What stands before the answer itself, bytes.
const HEAD_BYTES: usize = MAGIC.len() + DIGEST_BYTES;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To check the component, and to tell what it says of itself: JSON of a [`Look`](super::inspect::Look).
    Inspect,
    /// To compile the component: machine code.
    Compile,
}

/// The task of a process, its limits, and how the service's engine allocates: what the process is told by its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildOptions {
    pub(super) task: Task,
    /// Processor time.
    pub(super) cpu: Duration,
    /// Memory that it may write to, bytes.
    pub(super) memory: usize,
    /// The largest component it accepts, bytes.
    pub(super) component_bytes: usize,
    /// How the service's engine allocates.
    pub(super) allocation: Allocation,
}

impl ChildOptions {
    pub(super) fn new(task: Task, limits: &Limits, allocation: Allocation) -> Self {
        let Limits { compile_cpu, compile_memory, component_bytes, .. } = *limits;
        Self { task, cpu: compile_cpu, memory: compile_memory, component_bytes, allocation }
    }

    pub(super) fn to_arguments(self) -> [String; 5] {
        let task = match self.task {
            Task::Inspect => "inspect",
            Task::Compile => "compile",
        };
        let allocation = match self.allocation {
            Allocation::Pool => "pool",
            Allocation::OnDemand => "on-demand",
        };
        let cpu = self.cpu.as_secs().max(1).to_string();
        [task.to_owned(), cpu, self.memory.to_string(), self.component_bytes.to_string(), allocation.to_owned()]
    }

    /// Reads the arguments that the service gave.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [task, cpu, memory, component_bytes, allocation] = arguments else { return None };
        Some(Self {
            task: match &**task {
                "inspect" => Task::Inspect,
                "compile" => Task::Compile,
                _ => return None,
            },
            cpu: Duration::from_secs(cpu.parse().ok()?),
            memory: memory.parse().ok()?,
            component_bytes: component_bytes.parse().ok()?,
            allocation: match &**allocation {
                "pool" => Allocation::Pool,
                "on-demand" => Allocation::OnDemand,
                _ => return None,
            },
        })
    }
}

/// What stands before `answer`.
pub(super) fn head(answer: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (magic, digest) = head.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    digest.copy_from_slice(&Sha256::digest(answer));
    head
}

/// How many bytes of what a process writes are read: one more than an answer of `limit` bytes takes.
pub(super) fn most(limit: usize) -> usize {
    limit.saturating_add(HEAD_BYTES + 1)
}

/// Whether what a process wrote is more than an answer of `limit` bytes.
pub(super) fn is_too_large(written: &[u8], limit: usize) -> bool {
    written.len() >= most(limit)
}

/// The answer in what a process wrote, which must be whole.
pub(super) fn checked(mut written: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    let damaged = || LoadError::Compiler("its answer is damaged".to_owned());
    let (found, answer) = written.split_at_checked(HEAD_BYTES).ok_or_else(damaged)?;
    if *found != head(answer) {
        return Err(damaged());
    }
    written.drain(..HEAD_BYTES);
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_told_what_its_parent_means() {
        for task in [Task::Inspect, Task::Compile] {
            for allocation in [Allocation::Pool, Allocation::OnDemand] {
                let options = ChildOptions::new(task, &Limits::default(), allocation);
                assert_eq!(ChildOptions::from_arguments(&options.to_arguments()), Some(options));
            }
        }
        let arguments = |task: &str, last: &str| [task, "1", "2", "3", last].map(str::to_owned);
        assert!(ChildOptions::from_arguments(&arguments("compile", "pool")).is_some());
        assert_eq!(ChildOptions::from_arguments(&arguments("run", "pool")), None);
        assert_eq!(ChildOptions::from_arguments(&arguments("compile", "heap")), None);
        assert_eq!(ChildOptions::from_arguments(&arguments("compile", "pool")[..4]), None);
    }

    #[test]
    fn an_answer_must_be_whole() {
        let code = b"machine code";
        let whole = [&head(code)[..], code].concat();
        assert_eq!(checked(whole.clone()).unwrap(), code);
        assert!(!is_too_large(&whole, code.len()) && is_too_large(&whole, code.len() - 1));
        for end in 0..whole.len() {
            assert!(matches!(checked(whole[..end].to_vec()), Err(LoadError::Compiler(_))), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(matches!(checked(damaged), Err(LoadError::Compiler(_))), "byte {at}");
        }
    }
}
