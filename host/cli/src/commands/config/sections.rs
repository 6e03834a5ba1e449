//! The options of services, with clap's help and defaults.

use clap::{Arg, Command, CommandFactory as _};

use crate::args::{Cli, GRANTS, GUESTS, RunArgs};
#[cfg(test)]
use crate::options::Sample;
use crate::options::{Options as _, Row};

/// An option, with clap's data about it.
pub(crate) struct Shown {
    row: Row,
    help: String,
}

impl Shown {
    /// Its key.
    pub(crate) fn key(&self) -> &'static str {
        self.row.key
    }

    /// Its help, without the default.
    #[cfg(test)]
    pub(crate) fn help(&self) -> &str {
        self.help.split(" [default: ").next().unwrap_or_default()
    }

    /// Its values, or its default.
    pub(crate) fn values(self) -> Vec<String> {
        if !self.row.values.is_empty() {
            return self.row.values;
        }
        let default = || self.default().map(self.row.default_shown);
        vec![self.row.unset.map(str::to_owned).or_else(default).unwrap_or_else(|| "none".to_owned())]
    }

    /// Its lines in the sample file.
    #[cfg(test)]
    pub(crate) fn sample(&self) -> String {
        let key = self.row.key;
        match self.row.sample {
            Sample::Table(lines) => lines.to_owned(),
            Sample::InForce(value) => format!("{key} = {value}"),
            Sample::Example(value) => format!("# {key} = {value}"),
            Sample::Default => {
                let default = self.default().unwrap_or_else(|| panic!("{key} has neither an example nor a default"));
                let is_number = default.parse::<u64>().is_ok();
                if is_number { format!("# {key} = {default}") } else { format!("# {key} = \"{default}\"") }
            }
        }
    }

    /// Whether it is a table in files.
    #[cfg(test)]
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.row.sample, Sample::Table(_))
    }

    fn default(&self) -> Option<&str> {
        let (_, default) = self.help.split_once("[default: ")?;
        Some(default.trim_end_matches(']').trim_matches('`'))
    }
}

/// The options of services, grouped by command.
pub(crate) fn sections(args: &RunArgs) -> [(&'static str, Vec<Shown>); 3] {
    let mut all = Cli::command();
    all.build();
    let [run, serve] = ["run", "serve"].map(|name| all.find_subcommand(name));
    let known = |command: Option<&Command>, row: &Row| {
        let mut arguments = command.into_iter().flat_map(Command::get_arguments);
        arguments.find(|arg| arg.get_long() == Some(row.option)).cloned()
    };
    let (mut components, mut polling, mut serving, mut both) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in args.rows() {
        let served = known(serve, &row);
        let is_served = served.is_some();
        let arg = served.or_else(|| known(run, &row));
        let section = match arg.as_ref().and_then(Arg::get_help_heading) {
            Some(GUESTS) => &mut both,
            Some(GRANTS) => &mut components,
            _ if is_served => &mut serving,
            _ if matches!(row.key, "components" | "sha256") => &mut components,
            _ => &mut polling,
        };
        let help = arg.as_ref().and_then(Arg::get_help).map(ToString::to_string).unwrap_or_default();
        section.push(Shown { row, help });
    }
    components.append(&mut polling);
    [
        ("for `run`", components),
        ("for `serve`, and for `run` if it listens", serving),
        ("for both, if charms run there", both),
    ]
}
