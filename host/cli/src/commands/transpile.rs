//! `transpile-charm`: what a server starts to transpile a charm that nobody trusts. Not for people.

use std::process::ExitCode;

use bg_transpile::transpile_as_child;

use crate::confine::Confinement;
use crate::output;

/// Works on what comes over standard input, with no right to open anything.
pub(crate) fn run(options: &[String]) -> ExitCode {
    let confine = || {
        // Where the kernel cannot do that, the limits of memory and time hold all the same, and the service has said so.
        let _ = Confinement::default().enter();
    };
    transpile_as_child(options, confine).unwrap_or_else(|| {
        output::error(&anyhow::anyhow!("`transpile-charm` is for `run` and `serve`, which start it themselves"));
        ExitCode::FAILURE
    })
}
