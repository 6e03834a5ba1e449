//! Questions to the person at the terminal.

use std::io::{self, BufRead as _, Write as _};

use anyhow::{Context as _, bail};

use crate::output;

/// What a person answers; `default` if they only press Enter. `option` answers the question in advance.
pub(super) fn ask(question: &str, default: Option<&str>, option: &str) -> anyhow::Result<String> {
    let hint = default.map(|default| format!(" [{default}]")).unwrap_or_default();
    for _ in 0..3 {
        let mut terminal = io::stderr().lock();
        // If standard error is closed, the answer may come all the same.
        let _ = write!(terminal, "{}{hint}: ", output::printable(question)).and_then(|()| terminal.flush());
        drop(terminal);
        let mut line = String::new();
        let length = io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
        if length == 0 {
            bail!("there is nobody to answer; give the answer with {option}");
        }
        match (line.trim(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
    bail!("there is no answer; give it with {option}")
}
