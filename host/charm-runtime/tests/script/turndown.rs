//! The package `turndown`, against the real one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bg_test_support::available;
use serde_json::{Value, json};

use crate::support::{Charm, client, component, workspace};

/// How many mails are compared.
const MAILS: usize = 400;

/// Mails, and what the package makes of them, which npm installs in `folder`.
fn mails(folder: &Path, seed: u32) -> Result<Vec<Value>, String> {
    let run = |command: &mut Command| {
        let output = command.current_dir(folder).output().map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--prefix", ".", "turndown@7.2.5"]))?;
    let script = workspace("host/script/src/tests/turndown/mails.mjs");
    let lines = run(Command::new("node").arg(script).args([seed.to_string(), MAILS.to_string()]))?;
    let lines = String::from_utf8(lines).map_err(|error| error.to_string())?;
    lines.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_become_what_the_package_itself_makes_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let Some(mails) = available(tokio::task::spawn_blocking(move || mails(&path, 2026)).await.unwrap()) else { return };
    assert_eq!(mails.len(), MAILS);
    let component = component(Duration::from_mins(1)).await;
    let source = "import TurndownService from 'turndown';\n\
        import { Cell, handler, pattern } from 'commontools';\n\
        const run = handler(({ mails }, { out }) => {\n\
            out.set(mails.map(({ html, options }) => new TurndownService(options).turndown(html)));\n\
        });\n\
        export default pattern(() => { const out = Cell.of([]); return { out, run: run({ out }) }; });";
    let mut charm = Charm::deploy(&component, "mails.js", source, &json!({}), client(None)).await.unwrap();
    for some in mails.chunks(50) {
        charm.trigger("run", json!({ "mails": some })).await.unwrap();
        for (mail, markdown) in some.iter().zip(charm.cell("out").as_array().unwrap()) {
            assert_eq!(markdown, &mail["markdown"], "{} {}", mail["options"], mail["html"]);
        }
    }
}
