//! The task of a process that works on a component, and its limits.

use crate::Limits;
use crate::child::ChildLimits;
use crate::engine::Allocation;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Check the component, and describe it: JSON of a [`Look`](super::inspect::Look).
    Inspect,
    /// Compile the component to machine code.
    Compile,
}

/// The task of a process, its limits, and the allocation of the service's engine, as passed in the process's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildOptions {
    pub(super) task: Task,
    /// How the service's engine allocates.
    pub(super) allocation: Allocation,
    pub(super) limits: ChildLimits,
}

impl ChildOptions {
    pub(super) fn new(task: Task, limits: &Limits, allocation: Allocation) -> Self {
        let Limits { compile_cpu, compile_memory, component_bytes, .. } = *limits;
        let limits = ChildLimits { cpu: compile_cpu, memory: compile_memory, input_bytes: component_bytes };
        Self { task, allocation, limits }
    }

    /// The arguments before the limits.
    pub(super) fn to_arguments(self) -> [String; 2] {
        let task = match self.task {
            Task::Inspect => "inspect",
            Task::Compile => "compile",
        };
        let allocation = match self.allocation {
            Allocation::Pool => "pool",
            Allocation::OnDemand => "on-demand",
        };
        [task.to_owned(), allocation.to_owned()]
    }

    /// Parses the arguments from the service.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [task, allocation, limits @ ..] = arguments else { return None };
        Some(Self {
            task: match &**task {
                "inspect" => Task::Inspect,
                "compile" => Task::Compile,
                _ => return None,
            },
            allocation: match &**allocation {
                "pool" => Allocation::Pool,
                "on-demand" => Allocation::OnDemand,
                _ => return None,
            },
            limits: ChildLimits::from_arguments(limits)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_parses_the_arguments_of_its_parent() {
        let arguments = |task: &str, allocation: &str| [task, allocation, "1", "2", "3"].map(str::to_owned);
        for (task, name) in [(Task::Inspect, "inspect"), (Task::Compile, "compile")] {
            for (allocation, other) in [(Allocation::Pool, "pool"), (Allocation::OnDemand, "on-demand")] {
                let options = ChildOptions::new(task, &Limits::default(), allocation);
                assert_eq!(options.to_arguments(), [name, other]);
                let read = ChildOptions::from_arguments(&arguments(name, other)).unwrap();
                assert_eq!((read.task, read.allocation, read.limits.memory), (task, allocation, 2));
            }
        }
        assert_eq!(ChildOptions::from_arguments(&arguments("run", "pool")), None);
        assert_eq!(ChildOptions::from_arguments(&arguments("compile", "heap")), None);
        assert_eq!(ChildOptions::from_arguments(&arguments("compile", "pool")[..4]), None);
    }
}
