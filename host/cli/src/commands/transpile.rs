//! `transpile-charm`: the process that transpiles an untrusted charm. Started by servers, not by people.

use std::process::ExitCode;

use bg_transpile::transpile_as_child;

use crate::confine::Confinement;
use crate::output;

/// Works on its standard input, without the right to open anything.
pub(crate) fn run(options: &[String]) -> ExitCode {
    let confine = || {
        // If the kernel does not support it, the limits of memory and time still apply, and the service has reported
        // it.
        let _ = Confinement::default().enter();
    };
    transpile_as_child(options, confine).unwrap_or_else(|| {
        output::error(&anyhow::anyhow!("`transpile-charm` is for `run` and `serve`, which start it themselves"));
        ExitCode::FAILURE
    })
}
