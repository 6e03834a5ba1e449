//! `cargo demo`: mail arrives in a charm, through a sandboxed integration, on this machine only.
//!
//! Builds the guests and the service, starts a loopback Gmail with a growing mailbox, deploys a charm with a token for
//! it and one that tries to reach what it may not, and runs the real `bg-wasm-host` with exactly the grant that
//! `gmail.wasm` asks for. It summarizes the service's log.

mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use bg_test_support::{FakeGoogle, TestHost, charm_source};
use clap::Parser;
use serde_json::json;

use story::Story;

/// Shows mail arriving in a charm, through a sandboxed integration, on this machine only.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Args {
    /// End after that many polls of the mail charm [default: run until Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    polls: Option<u64>,
}

/// How often charms are polled, in seconds.
const INTERVAL: &str = "2";

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            story::say(format_args!("\nThe demo failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    story::say("1  Building the WebAssembly guests");
    let guests = bg_build::ensure_guests()?;
    let gmail = guests.path("gmail")?;
    story::say("2  Building the service");
    let binary = build_service()?;

    let google = FakeGoogle::start()?;
    for subject in ["Welcome", "Your invoice", "Lunch on Friday?"] {
        google.deliver(subject, "friend@example.com");
    }
    story::say(format_args!(
        "3  A make-believe Gmail at {} with {} messages",
        google.base_url(),
        google.message_count()
    ));

    // Components compile in seconds; a second demo finds them compiled.
    let cache = guests.dir().with_file_name("target").join("demo-cache");
    let host = TestHost::new(binary)?.env("BG_WASM_HOST_CACHE", cache);
    let base = google.base_url();
    let inputs = json!({
        "auth": {"token": google.issue_token(), "refreshToken": google.issue_refresh_token()},
        "apiBaseUrl": base,
    });
    let mail = deploy(&host, "gmail.tsx", "mail", &inputs)?;
    host.command(["register", &mail, "--integration", "gmail"])?.success()?;
    story::say(format_args!("4  A charm with a token for it: {mail}"));
    let nosy = deploy(&host, "nosy.tsx", "elsewhere", &json!({}))?;
    host.command(["register", &nosy, "--integration", "nosy"])?.success()?;
    story::say(format_args!("   and one that tries to go where it may not: {nosy}"));

    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    ctrlc::set_handler(move || stopping.store(true, Ordering::Relaxed)).context("cannot wait for Ctrl-C")?;

    let gmail = gmail.to_str().context("the path of gmail.wasm is not UTF-8")?;
    let set = format!("gmail.api-base-url={base}");
    let service = [
        "run",
        "--component",
        gmail,
        "--grant",
        "requested",
        "--set",
        &set,
        "--allow-private",
        &base,
        "--allow-charm-http",
        &base,
        "--interval",
        INTERVAL,
        "--log-format",
        "json",
    ];
    story::say(format_args!("5  bg-wasm-host {}\n", service.join(" ")));
    let mut story = Story::new(&host, &google, &mail, &nosy);
    let ended = story.follow(host.spawn(service)?, args.polls, &stop)?;
    ensure!(ended.status.success(), "the service ended with {}:\n{}", ended.status, ended.stderr);
    story.close();
    Ok(())
}

/// Builds `bg-wasm-host` as `cargo build` would, so that the demo and the tests share one build.
fn build_service() -> anyhow::Result<PathBuf> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut build = bg_build::same_cargo();
    build.args(["build", "--bin", "bg-wasm-host"]).current_dir(root);
    ensure!(build.status().context("cannot start cargo")?.success(), "the service does not build");
    let this = std::env::current_exe().context("cannot find this program")?;
    Ok(this.with_file_name("bg-wasm-host"))
}

/// Deploys a charm of the examples or of the tests, and returns its name.
fn deploy(host: &TestHost, source: &str, space: &str, inputs: &serde_json::Value) -> anyhow::Result<String> {
    let source = charm_source(source);
    let source = source.to_str().context("the path of the charm is not UTF-8")?;
    let file = host.write("inputs.json", inputs.to_string())?;
    let inputs = format!("@{}", file.display());
    let deployed = host.command(["charm", "deploy", source, "--space", space, "--inputs", &inputs])?.success()?;
    std::fs::remove_file(file)?;
    let space = host.command(["space-did", space])?.success()?;
    Ok(format!("{}/{}", space.stdout.trim(), deployed.stdout.trim()))
}
