//! `completions` and `man`: generated from this program's own arguments.

use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell as Kind, generate};
use clap_mangen::Man;

use crate::args::{Cli, Shell};
use crate::output;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<()> {
    let kind = match shell {
        Shell::Bash => Kind::Bash,
        Shell::Zsh => Kind::Zsh,
        Shell::Fish => Kind::Fish,
    };
    let mut script = Vec::new();
    generate(kind, &mut shown(), "bg-wasm-host", &mut script);
    // clap_complete 4.6 writes the hyphens of the program's name in two ways into its script for bash, which then finds
    // no command.
    let script = String::from_utf8_lossy(&script).replace("bg__subcmd__wasm__subcmd__host", "bg__wasm__host");
    print(script.as_bytes())
}

/// The program's arguments, without the internal commands.
fn shown() -> Command {
    let all = Cli::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let about = all.get_about().cloned().unwrap_or_default();
    Command::new("bg-wasm-host")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .args(all.get_arguments())
        .subcommands(commands)
}

/// Prints the manual page of the program; or writes it, and one for each command, into a folder.
pub(crate) fn man(folder: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(shown().disable_help_subcommand(true)).render(&mut page)?;
        return print(&page);
    };
    std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(shown(), folder)).with_context(|| {
        format!("cannot write manual pages into {}; name a folder that you can write to", folder.display())
    })?;
    output::line(format_args!(
        "the manual pages are in {}: man {}",
        folder.display(),
        folder.join("bg-wasm-host.1").display()
    ))?;
    Ok(())
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    Ok(output::raw(String::from_utf8_lossy(text).trim_end()).map(drop)?)
}
