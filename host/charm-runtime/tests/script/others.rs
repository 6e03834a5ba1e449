//! Which charms of others deploy: those in the folder that `BG_CHARMS` names. It is their root, unless `BG_ROOT` names
//! one above it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bg_sandbox::CharmComponent;
use bg_transpile::{Import, Sources, gather, name_from_common_folder, transpile_files};
use serde_json::json;

use crate::support::{Charm, client, component};

/// Files that export a pattern by default, in a folder and below it, without tests.
fn patterns_in(folder: PathBuf) -> Vec<(PathBuf, String)> {
    let (mut open, mut found) = (vec![folder], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let is_code = path.extension().is_some_and(|extension| extension == "ts" || extension == "tsx");
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".test"));
        let Some(source) = std::fs::read_to_string(&path).ok().filter(|_| is_code && !is_test) else {
            continue;
        };
        let makes = ["pattern(", "pattern<", "recipe(", "recipe<"];
        if source.contains("export default") && makes.iter().any(|call| source.contains(call)) {
            found.push((path, source));
        }
    }
    found.sort();
    found
}

/// Deploys a file's charm, and polls it if it can be polled.
async fn deploy(component: &Arc<CharmComponent>, root: &Path, path: &Path, source: &str) -> Result<(), String> {
    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
    let read = |import: Import<'_>| {
        let is_within = !import.path.starts_with("..");
        Ok::<_, ()>(is_within.then(|| std::fs::read_to_string(root.join(import.path)).ok()).flatten())
    };
    let (name, files) = name_from_common_folder(name, gather(name, source, read).unwrap());
    let sources = Sources { file_name: &name, source, files: &files };
    let program = transpile_files(&sources).map_err(|error| error.to_string())?;
    let shown =
        |failure: bg_sandbox::CallFailure| format!("{}\n{}", failure.message, failure.stack.unwrap_or_default());
    let deployed = Charm::of_program(component, &name, program, &json!({}), client(None)).await;
    let mut charm = deployed.map_err(|failure| format!("cannot be set up: {}", shown(failure)))?;
    if charm.shape.streams.iter().any(|stream| stream == "bgUpdater") {
        let polled = charm.trigger("bgUpdater", json!({})).await;
        println!("polled {}: {:?}", path.display(), polled.map_err(shown));
    }
    Ok(())
}

/// An error without what differs from charm to charm.
fn reason(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let message = line.split_once(": ").filter(|(place, _)| place.contains(':')).map_or(line, |(_, message)| message);
    message.split(" here; it has").next().unwrap_or_default().chars().take(100).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints which charms of others deploy"]
async fn charms_of_others_deploy() {
    let Some(folder) = std::env::var_os("BG_CHARMS").map(PathBuf::from) else { return };
    let root = std::env::var_os("BG_ROOT").map_or_else(|| folder.clone(), PathBuf::from);
    let component = component(Duration::from_mins(1)).await;
    let (mut all, mut refused) = (0, BTreeMap::<String, Vec<String>>::new());
    for (path, source) in patterns_in(folder) {
        all += 1;
        match deploy(&component, &root, &path, &source).await {
            Ok(()) => println!("deploys {}", path.display()),
            Err(error) => {
                refused.entry(reason(&error)).or_default().push(format!("{}: {error}", path.display()));
            }
        }
    }
    let mut refused: Vec<_> = refused.into_iter().collect();
    refused.sort_by_key(|(_, charms)| std::cmp::Reverse(charms.len()));
    for (reason, charms) in &refused {
        println!("refused {}: {reason}\n    {}", charms.len(), charms.join("\n    "));
    }
    println!("{} of {all} deploy", all - refused.iter().map(|(_, charms)| charms.len()).sum::<usize>());
}
