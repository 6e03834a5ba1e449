//! `compile-component`: the process that checks and compiles an untrusted component. Started by services, not by
//! people.

use std::process::ExitCode;

use bg_sandbox::{ChildOptions, compile_as_child};

use crate::confine::Confinement;
use crate::output;

/// Works on its standard input, without the right to open anything.
pub(crate) fn run(options: &[String]) -> ExitCode {
    let Some(options) = ChildOptions::from_arguments(options) else {
        output::error(&anyhow::anyhow!("`compile-component` is for `run` and `serve`, which start it themselves"));
        return ExitCode::FAILURE;
    };
    compile_as_child(options, || {
        // If the kernel does not support it, the limits of memory and time still apply, and the service has reported
        // it.
        let _ = Confinement::default().enter();
    })
}
