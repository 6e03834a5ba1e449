//! `charm delete`.

use std::io::{self, BufRead, IsTerminal as _, Write};

use anyhow::bail;

use crate::args::{Common, DeleteArgs};
use crate::{connect, output};

/// Deletes a charm, after confirmation.
pub(super) async fn run(common: &Common, args: &DeleteArgs) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    if !args.yes {
        // Fails if the charm does not exist; the name is shown in the confirmation.
        let name = runtime.show(&args.charm).await?.summary.name.unwrap_or_else(|| "without a name".to_owned());
        let question = format!(
            "Delete the charm {} ({}) with its registration, cells, secrets, log and runs? This cannot be undone. \
            [y/N] ",
            args.charm,
            output::printable(&name)
        );
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            bail!("nothing is deleted without confirmation: add --yes");
        }
        if !confirmed(&question, &mut io::stdin().lock(), &mut io::stderr().lock())? {
            bail!("nothing was deleted");
        }
    }
    runtime.delete(&args.charm).await?;
    output::line(format_args!("{} is deleted", args.charm))?;
    Ok(())
}

/// Asks, and returns whether the answer is yes.
fn confirmed(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    write!(output, "{question}")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_confirms() {
        for (answer, expected) in
            [("y\n", true), ("yes\n", true), ("", false), ("\n", false), ("n\n", false), ("yep\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(confirmed("Delete? ", &mut answer.as_bytes(), &mut asked).unwrap(), expected, "{answer:?}");
            assert_eq!(asked, b"Delete? ");
        }
    }
}
