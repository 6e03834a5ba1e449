//! `charm set`.

use std::io::Read as _;

use anyhow::Context as _;
use bg_charm_api::SetRequest;
use serde_json::Value;

use crate::args::{Common, SetArgs};
use crate::{connect, output, paths};

/// The longest value from standard input, in bytes: more than a charm may store.
const VALUE_BYTES: u64 = 65 << 20;

/// Sets a value in a cell.
pub(super) async fn run(common: &Common, args: &SetArgs) -> anyhow::Result<()> {
    let request = SetRequest { path: args.path.0.clone(), value: value(&args.value)?, create: args.create };
    connect::client(common).await?.set(&args.charm, &request).await?;
    output::line(format_args!("{} of {} is set", output::printable(&args.path.to_string()), args.charm))?;
    Ok(())
}

/// The value of an argument: JSON, `@` and a file name, or `-` for standard input.
fn value(given: &str) -> anyhow::Result<Value> {
    let json = match given.strip_prefix('@') {
        Some(file) => paths::read(file.as_ref(), "the value")?,
        None if given == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().take(VALUE_BYTES).read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        }
        None => given.as_bytes().to_owned(),
    };
    // The value may be secret: the error shows only the position.
    serde_json::from_slice(&json).context("the value is not JSON (a string needs its own quotes: '\"text\"')")
}
