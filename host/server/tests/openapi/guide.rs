//! The guide for authors of clients: a shell runs its commands in order, and they print what it says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bg_charm_api::wire::ErrorCode;
use bg_charm_api::{AccessLevel, Spaces, Subject};
use bg_identity::{Identity, Secret, system_space};
use bg_server::{LoginToken, ServerOptions, openapi};
use bg_test_support::available;
use serde_json::Value;

use crate::common::Fixture;

const TOKEN: &str = "a-token-of-the-operator";

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md")
}

/// The fenced blocks of a text: languages and contents.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// What the commands of the guide need beside this project.
fn tools() -> Result<(), String> {
    for tool in ["openssl version", "curl --version"] {
        let found = Command::new("sh").args(["-c", tool]).output().is_ok_and(|output| output.status.success());
        found.then_some(()).ok_or_else(|| format!("`{tool}` does not work"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_print_what_it_says() {
    let Some(()) = available(tools()) else { return };
    let login_token = Some(LoginToken::chosen(Secret::new(TOKEN.to_owned())).unwrap());
    let fixture = Fixture::start_with(ServerOptions { login_token, ..ServerOptions::default() }).await;
    let identity = Identity::from_passphrase("a writer of clients");
    let subject = Subject::Did(identity.did());
    fixture.operator().set_acl(&system_space(), &subject, Some(AccessLevel::Write)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    identity.save_new(&dir.path().join("key.pem")).unwrap();

    let guide = std::fs::read_to_string(guide()).unwrap();
    let blocks = blocks(&guide);
    let mut answers = 0;
    for (place, (language, text)) in blocks.iter().enumerate() {
        if *language != "sh" {
            continue;
        }
        let script = text.replace("localhost:8000", &format!("localhost:{}", fixture.address.port()));
        let output = Command::new("sh")
            .args(["-eu", "-c", &script.replace("curl ", "curl --silent --show-error --noproxy '*' ")])
            .current_dir(dir.path())
            .envs([("BG_WASM_HOST_LOGIN_TOKEN", TOKEN), ("DID", identity.did().as_str())])
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}\n{output:?}");
        let answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        if let Some(("json", expected)) = blocks.get(place + 1) {
            assert_eq!(answer, serde_json::from_str::<Value>(expected).unwrap(), "{script}");
            answers += 1;
        }
    }
    assert!(answers >= 3, "{answers}");
    fixture.stop().await;
}

fn codes() -> String {
    let mut text = "| code | status | title |\n|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let _ = writeln!(text, "| `{}` | {} | {} |", code.as_str(), code.status().as_u16(), code.title());
    }
    text
}

fn endpoints() -> String {
    let document = openapi();
    let mut rows = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let who = match operation["security"].to_string() {
                all if all.contains("{}") => "anybody",
                all if all.contains("messageSignature") => "who signs",
                all if all.contains("loginToken") => "the operator",
                _ => "anybody",
            };
            let (tag, summary) = (operation["tags"][0].as_str().unwrap(), operation["summary"].as_str().unwrap());
            rows.push((tag, format!("| `{} {path}` | {who} | {summary} |", method.to_ascii_uppercase())));
        }
    }
    rows.sort_by_key(|(tag, _)| *tag);
    let rows: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
    format!("| endpoint | for | what it does |\n|---|---|---|\n{}\n", rows.join("\n"))
}

#[test]
fn the_guide_has_the_tables() {
    let text = std::fs::read_to_string(guide()).unwrap();
    let mut whole = text.clone();
    for (name, table) in [("codes", codes()), ("endpoints", endpoints())] {
        let marks = [format!("<!-- {name}: made by a test -->\n"), format!("<!-- end of {name} -->")];
        let (before, rest) = whole.split_once(&marks[0]).expect("a mark");
        let (_, after) = rest.split_once(&marks[1]).expect("an end");
        whole = [before, &marks[0], "\n", &table, "\n", &marks[1], after].concat();
    }
    let is_wanted = std::env::var_os("UPDATE_DOCS").is_some();
    if is_wanted {
        std::fs::write(guide(), &whole).unwrap();
    }
    assert!(
        whole == text || is_wanted,
        "the tables in docs/api.md are not what the test has; UPDATE_DOCS=1 writes them"
    );
}
