//! `charm deploy`, `charm show`, `charm list`.

use anyhow::{Context as _, bail};
use bg_charms::DeployRequest;
use bg_identity::{SpaceDid, space_did};
use serde_json::{Map, Value};

use crate::args::{CharmCommand, Common, HandlerArgs};
use crate::{connect, output, paths};

/// `charm …`
pub(crate) async fn run(common: &Common, command: &CharmCommand) -> anyhow::Result<()> {
    match command {
        CharmCommand::Deploy { file, space, inputs } => {
            let source = String::from_utf8(paths::read(file, "the charm's source")?)
                .with_context(|| format!("{} is not UTF-8 text", file.display()))?;
            let file_name = file.file_name().and_then(|name| name.to_str()).context("the file's name is not UTF-8")?;
            let request = DeployRequest {
                file_name: file_name.to_owned(),
                source,
                inputs: inputs.as_deref().map(parse_inputs).transpose()?.unwrap_or_default(),
            };
            let runtime = connect::with_handlers(common, &HandlerArgs::default()).await?;
            let space = parse_space(space)?;
            let deployed = runtime.deploy(&space, &request).await?;
            tracing::info!(
                charm = %deployed.charm,
                created = deployed.created,
                "deployed; register it with `bg-wasm-host register {} --integration NAME`",
                deployed.charm
            );
            output::line(deployed.charm.charm)?;
        }
        CharmCommand::Show { charm } => {
            let shown = connect::client(common).await?.show(charm).await?;
            output::json(&shown)?;
        }
        CharmCommand::List { space } => {
            let charms = connect::client(common).await?.charms(&parse_space(space)?).await?;
            let rows: Vec<Vec<String>> = charms
                .iter()
                .map(|charm| {
                    vec![
                        charm.charm.to_string(),
                        output::printable(charm.name.as_deref().unwrap_or("")),
                        output::printable(&charm.file_name),
                        charm.streams.join(" "),
                    ]
                })
                .collect();
            output::table(&["CHARM", "NAME", "SOURCE", "STREAMS"], &rows)?;
        }
    }
    Ok(())
}

/// A space by its DID or, as anything else is, by its name.
fn parse_space(text: &str) -> anyhow::Result<SpaceDid> {
    if text.starts_with("did:") {
        return text.parse().with_context(|| format!("--space {text}"));
    }
    Ok(space_did(text))
}

/// A JSON object, or `@` and the name of a file with one.
fn parse_inputs(text: &str) -> anyhow::Result<Map<String, Value>> {
    let json = match text.strip_prefix('@') {
        Some(file) => paths::read(file.as_ref(), "the inputs")?,
        None => text.as_bytes().to_owned(),
    };
    // The text may hold secrets. An error about the syntax tells its place only; one about the type would quote the value.
    match serde_json::from_slice(&json).context("--inputs is not JSON")? {
        Value::Object(inputs) => Ok(inputs),
        _ => bail!("--inputs is not a JSON object, such as {{\"limit\": 10}}"),
    }
}
