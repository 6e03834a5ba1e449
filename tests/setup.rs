//! `setup gmail`: on a terminal, from nothing to the first mail.

use std::path::Path;
use std::process::Command;

use bg_abuse::Attempt;
use bg_test_support::{FakeGoogle, Finished, TestHost, available};
use serde_json::Value;

use crate::common::host;
use crate::gmail::not_on_disk;

const MAIL: &str = "https://www.googleapis.com/auth/gmail.readonly";

/// Runs a program in a new terminal, as a person does: answers its questions, in order, and opens the URL that it prints
/// for the browser. Prints what the terminal shows, and ends with the program's status.
const PERSON: &str = r#"
import os, pty, re, sys, threading, urllib.request
at = sys.argv.index("--")
answers, command = sys.argv[1:at], sys.argv[at + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)

def browse(url):
    try:
        urllib.request.urlopen(url, timeout=60).read()
    except Exception as error:
        sys.stderr.write(f"the browser fails: {error}\n")

shown, visited, seen = b"", False, 0
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
    if answers and shown[seen:].endswith(b": ") and not shown[seen:].endswith(b"\n"):
        seen = len(shown)
        os.write(terminal, answers.pop(0).encode() + b"\n")
    found = re.search(rb"(http://127\.0\.0\.1:\d+/o/oauth2/\S+)\r\n", shown)
    if found and not visited:
        visited = True
        threading.Thread(target=browse, args=(found.group(1).decode(),), daemon=True).start()
sys.stdout.write(shown.decode().replace("\r\n", "\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// A host whose Google is this one. `None` if there is no Python for the terminal.
fn at_google(google: &FakeGoogle) -> Option<TestHost> {
    available(Command::new("python3").arg("--version").output().map_err(|error| error.to_string()))?;
    let host = host();
    let base = google.base_url();
    let providers = format!("allow-private = [\"{base}\"]\n{}", google.provider());
    std::fs::write(host.data_dir().join("providers.toml"), providers).unwrap();
    host.write("client_secret.json", google.client_file()).unwrap();
    Some(host)
}

/// The command in a terminal, with these answers.
fn setup(host: TestHost, google: &FakeGoogle, answers: &[&str]) -> (TestHost, Finished) {
    let words = ["python3", "-c", PERSON].iter().chain(answers).chain(&["--"]).map(|word| (*word).into());
    let host = host.prefix(words);
    let shown = host.command(["setup", "gmail", "--api-base-url", &google.base_url()]).unwrap();
    (host.prefix(Vec::new()), shown)
}

fn charm_in(shown: &str) -> String {
    let at = shown.find("did:key:").expect("the charm is printed");
    shown[at..].split_whitespace().next().unwrap().to_owned()
}

/// The session without what differs from run to run.
fn session(shown: &str, google: &FakeGoogle, host: &TestHost) -> String {
    let charm = charm_in(shown);
    let folder = host.dir().to_str().unwrap();
    let mut text = String::new();
    for line in shown.lines() {
        let line = match line.find("/o/oauth2/v2/auth?") {
            Some(_) => {
                "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=4711-desktop…".to_owned()
            }
            None => line
                .replace(&charm, "did:key:z6Mk…/baedrei…")
                .replace(folder, ".")
                .replace(&google.base_url(), "https://gmail.googleapis.com"),
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn setup_leads_from_nothing_to_the_first_mail_and_the_guide_shows_it() {
    let google = FakeGoogle::start().unwrap();
    google.deliver("Welcome to your inbox", "The Gmail Team <mail-noreply@google.com>");
    google.deliver("Lunch tomorrow?", "Ada <ada@example.com>");
    let Some(host) = at_google(&google) else { return };
    let (host, shown) = setup(host, &google, &["client_secret.json", "mail", "bg-wasm-host.toml"]);
    let shown = shown.success().unwrap().stdout;
    assert!(shown.contains("2 messages; the newest is \"Lunch tomorrow?\", from Ada <ada@example.com>"), "{shown}");

    // The service goes on with that file, after the token has ended, too.
    let charm = charm_in(&shown);
    google.advance(std::time::Duration::from_secs(2 * 60 * 60));
    google.deliver("Two hours later", "Ada <ada@example.com>");
    host.command(["run", "--once", "--config", "bg-wasm-host.toml"]).unwrap().success().unwrap();
    let cells: Value = serde_json::from_str(&host.command(["charm", "show", &charm]).unwrap().stdout).unwrap();
    assert_eq!(cells["cells"]["emails"][0]["subject"], "Two hours later", "{cells}");

    for secret in google.oauth_secrets() {
        not_on_disk(&host, &secret);
        assert!(!shown.contains(&secret), "{shown}");
    }

    // Once more changes nothing, and asks for no second sign-in.
    google.take_exchanges();
    let (host, again) = setup(host, &google, &["mail", "bg-wasm-host.toml"]);
    let again = again.success().unwrap().stdout;
    assert!(again.contains("is signed in") && again.contains("is there already"), "{again}");
    assert_eq!(charm_in(&again), charm);
    assert!(google.take_exchanges().iter().all(|one| one == "refresh_token 200"), "{again}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("docs/signing-in.md"));
    let path = path.into_iter().find(|path| path.is_file()).expect("the guide is in the source tree");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once("<!-- session: made by a test -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of session -->").unwrap();
    let session = format!("\n```console\n$ bg-wasm-host setup gmail\n{}```\n\n", session(&shown, &google, &host));
    let made = format!("{before}<!-- session: made by a test -->\n{session}<!-- end of session -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    } else {
        assert_eq!(guide, made, "update it: UPDATE_DOCS=1 cargo test --test end_to_end setup_leads");
    }
}

#[test]
fn a_person_who_does_not_allow_mail_or_refuses_learns_what_to_do() {
    let google = FakeGoogle::start().unwrap();
    let Some(host) = at_google(&google) else { return };
    google.withhold_scopes(&[MAIL]);
    let (host, shown) = setup(host, &google, &["client_secret.json", "mail", "a.toml"]);
    let shown = shown.failure().unwrap().stdout;
    assert!(shown.contains("the box for Gmail was not checked"), "{shown}");
    google.withhold_scopes(&[]);
    google.deny_sign_in(true);
    let (host, shown) = setup(host, &google, &["mail", "a.toml"]);
    let shown = shown.failure().unwrap().stdout;
    assert!(shown.contains("access_denied"), "{shown}");
    google.deny_sign_in(false);
    google.deliver("Hello", "a@example.com");
    let (_, shown) = setup(host, &google, &["mail", "a.toml"]);
    assert!(shown.success().unwrap().stdout.contains("the newest is \"Hello\""));
}

#[test]
fn what_is_missing_is_named_before_anything_is_done() {
    let attempt = Attempt::begin("login", "setup without a terminal, with files that are missing or wrong");
    let google = FakeGoogle::start().unwrap();
    let Some(host) = at_google(&google) else { return };
    host.write("web.json", "{\"type\": \"service_account\"}").unwrap();
    for (args, expected) in [
        (vec!["setup", "gmail"], "give the answer with --client FILE"),
        (
            vec!["setup", "gmail", "--client", "none.json", "--space", "mail", "--config", "a.toml"],
            "there is no file none.json",
        ),
        (vec!["setup", "gmail", "--client", "web.json", "--space", "mail", "--config", "a.toml"], "service account"),
        (vec!["setup", "gmail", "--component", "none.wasm"], "name it with --component FILE"),
    ] {
        let failed = host.command(&args).unwrap().failure().unwrap();
        assert!(failed.stderr.contains(expected), "{args:?}: {failed}");
        assert!(!host.dir().join("a.toml").exists());
    }
    attempt.ended("an error that names the option");
}
