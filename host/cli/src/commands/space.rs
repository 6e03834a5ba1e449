//! `space …`: spaces with random keys, and the list of all spaces.

use anyhow::Context as _;
use bg_charm_api::{AccessLevel, Runtime};
use bg_identity::{SpaceDid, space_did};

use crate::args::{Common, SpaceCommand};
use crate::{connect, output};

/// `space …`
pub(crate) async fn run(common: &Common, command: &SpaceCommand) -> anyhow::Result<()> {
    match command {
        SpaceCommand::New { name } => new(common, name).await,
        SpaceCommand::List { json } => list(common, json.json).await,
    }
}

/// Creates a space, and prints its DID.
async fn new(common: &Common, name: &str) -> anyhow::Result<()> {
    let made = connect::with_owner(common).await?.new_space(name).await?;
    output::line(&made.space)?;
    let mut lines = vec![format!("deploy into it: bg-wasm-host charm deploy FILE --space {}", made.space)];
    if made.anyone >= Some(AccessLevel::Write) {
        lines.push(format!(
            "anybody who signs requests may write in it; to close it: bg-wasm-host charm acl {} --revoke '*'",
            made.space
        ));
    }
    output::note(&lines);
    Ok(())
}

async fn list(common: &Common, json: bool) -> anyhow::Result<()> {
    let spaces = connect::client(common).await?.spaces(None).await?;
    if json {
        return output::json(&spaces);
    }
    let rows: Vec<Vec<String>> = spaces
        .iter()
        .map(|space| {
            vec![
                space.space.to_string(),
                output::printable(space.name.as_deref().unwrap_or("")),
                space.charms.to_string(),
                space.bytes.to_string(),
                space.anyone.map_or("nothing".to_owned(), |level| level.to_string()),
            ]
        })
        .collect();
    output::table(&["SPACE", "NAME", "CHARMS", "BYTES", "ANYBODY MAY"], &rows)?;
    Ok(())
}

/// The names that the caller has given to spaces, if they can be read.
pub(crate) async fn names(runtime: &dyn Runtime) -> Vec<String> {
    let all = runtime.spaces(None).await.unwrap_or_default();
    all.into_iter().filter_map(|space| space.name).collect()
}

/// A space by its DID; or by its name: the caller's own space of that name, or, as in the original, the space whose key
/// is derived from that name.
pub(crate) async fn resolve(runtime: &dyn Runtime, text: &str) -> anyhow::Result<SpaceDid> {
    if text.starts_with("did:") {
        return text.parse().with_context(|| format!("{text} is not a space"));
    }
    let named = runtime.spaces(Some(text)).await?;
    Ok(named.into_iter().next().map_or_else(|| space_did(text), |found| found.space))
}
