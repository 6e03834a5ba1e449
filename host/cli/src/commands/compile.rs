//! `compile-component`: what a service starts to check and compile a component that nobody trusts. Not for people.

use std::process::ExitCode;

use bg_sandbox::{ChildOptions, compile_as_child};

use crate::confine::Confinement;
use crate::output;

/// Works on what comes over standard input, with no right to open anything.
pub(crate) fn run(options: &[String]) -> ExitCode {
    let Some(options) = ChildOptions::from_arguments(options) else {
        output::error(&anyhow::anyhow!("`compile-component` is for `run` and `serve`, which start it themselves"));
        return ExitCode::FAILURE;
    };
    compile_as_child(options, || {
        // Where the kernel cannot do that, the limits of memory and time hold all the same, and the service has said so.
        let _ = Confinement::default().enter();
    })
}
