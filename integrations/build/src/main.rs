//! Builds the guests and reports the result.

#![allow(rustdoc::invalid_html_tags, reason = "doc comments of arguments are help for people")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bg_build::{Dist, Options, Way};
use clap::Parser;

/// Builds every guest of the workspace into dist/<id>.wasm.
///
/// Components that are up to date are left alone. If this machine cannot compile for wasm32-unknown-unknown yet, says
/// what it is about to install and installs it: a target by rustup, or Debian's rustc-web and rust-web-src.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Build even if nothing has changed.
    #[arg(long)]
    force: bool,
    /// Build nothing; exit with status 1 if something is missing or out of date.
    #[arg(long, conflicts_with = "force")]
    check: bool,
    /// The folder for the components, instead of dist/.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The only way to get the target: installed, rustup or debian.
    #[arg(long, value_name = "WAY")]
    way: Option<Way>,
    /// The workspace whose guests to build, instead of the one that this program was compiled in.
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options =
        Options { force: arguments.force, out: arguments.out, way: arguments.way, workspace: arguments.workspace };
    let built =
        if arguments.check { bg_build::fresh(&options) } else { bg_build::build_integrations(&options).map(Some) };
    // If the output is closed, the status does not change: the work is done.
    let (text, status) = match &built {
        Ok(Some(dist)) => (table(dist), ExitCode::SUCCESS),
        Ok(None) => ("out of date: run `cargo run --bin build-integrations`\n".to_owned(), ExitCode::FAILURE),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    status
}

/// One row per component.
fn table(dist: &Dist) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let shown = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
    let mut rows = vec![["component".to_owned(), "bytes".to_owned(), "sha256".to_owned(), "time".to_owned()]];
    for component in dist.components() {
        let took =
            component.took.map_or_else(|| "up to date".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        rows.push([shown(&component.path), component.size.to_string(), component.sha256.clone(), took]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let row = |[name, size, digest, time]: &[String; 4]| {
        let [a, b, c] = widths;
        format!("{name:a$}  {size:>b$}  {digest:c$}  {time}\n")
    };
    rows.iter().map(row).collect()
}
