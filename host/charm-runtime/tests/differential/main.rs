//! Charms that nobody wrote: generated patterns and handlers, run by the whole local runtime and by a model of it, side
//! by side.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helper may panic as its test does, and tells its seed and figures"
)]
#![allow(
    clippy::format_collect,
    clippy::many_single_char_names,
    clippy::match_same_arms,
    clippy::range_plus_one,
    reason = "a generator reads as the table of what it makes, one line for each choice"
)]

mod cells;
mod compare;
mod generate;
mod model;
mod program;
mod source;
mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bg_charm_api::{Actor, DeployRequest, Spaces};
use bg_charm_runtime::{Handlers, LocalHandle, LocalOptions, LocalRuntime};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::space_did;
use bg_poller::{CharmRuntime, OutcomeKind, RuntimeError};
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::cells::Cells;
use crate::compare::Names;
use crate::program::Pattern;
use bg_test_support::Random;

/// How many charms are made, and how often each is deployed, with inputs of its own.
const PATTERNS: u64 = 84;
const SEQUENCES: u64 = 6;

/// Where things of the workspace are.
fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

async fn runtime(dir: &Path) -> LocalHandle {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    let cache = Some(workspace("target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    let http = Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms)).unwrap();
    let handlers =
        Handlers { component: Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap()), http, api_url: None };
    let options = LocalOptions { handlers: Some(handlers), ..LocalOptions::new(dir.join("runtime.db")) };
    Arc::new(LocalRuntime::open(options).unwrap()).as_actor(Actor::Operator)
}

/// A charm that puts a cell into itself doubles its size at each call. Above this number of bytes, the sequence ends:
/// the next calls would test the quotas.
const LARGE: usize = 64 * 1024;

/// What was done, for people.
#[derive(Default)]
struct Figures {
    patterns: u64,
    sequences: u64,
    kept: u64,
    failed: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_charms_do_what_a_model_of_them_does() {
    let given = std::env::var("DIFFERENTIAL_SEED").ok();
    let seed = given.map_or(u64::from(std::process::id()), |seed| seed.parse().expect("DIFFERENTIAL_SEED is a number"));
    println!("DIFFERENTIAL_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let (runtime, began) = (runtime(dir.path()).await, Instant::now());
    // Two at once: they have a database in common, and each charm is one's own.
    let halves = [0, 1].map(|half| {
        let runtime = runtime.clone();
        tokio::task::spawn_blocking(move || Handle::current().block_on(half_of(&runtime, seed, half)))
    });
    let mut all = Figures::default();
    for half in halves {
        let figures = half.await.unwrap();
        all.patterns += figures.patterns;
        all.sequences += figures.sequences;
        all.kept += figures.kept;
        all.failed += figures.failed;
    }
    let Figures { patterns, sequences, kept, failed } = all;
    println!(
        "{sequences} sequences over {patterns} patterns: {kept} calls kept, {failed} failed, in {:?}",
        began.elapsed()
    );
    assert!(kept > sequences && failed > sequences / 4, "a fair share of both: {kept} kept, {failed} failed");
}

/// Every other pattern.
async fn half_of(runtime: &LocalHandle, seed: u64, half: u64) -> Figures {
    let mut figures = Figures::default();
    for number in (half..).step_by(2) {
        if figures.patterns == PATTERNS / 2 {
            break;
        }
        let wrong = pattern(runtime, seed, number, &mut figures).await;
        wrong.unwrap_or_else(|wrong| panic!("DIFFERENTIAL_SEED={seed}, pattern {number}: {wrong}"));
    }
    figures
}

/// Generates a charm, and deploys and calls it as often as is due.
async fn pattern(runtime: &LocalHandle, seed: u64, number: u64, figures: &mut Figures) -> Result<(), String> {
    let mut random = Random::new(seed.wrapping_mul(0x1_0000).wrapping_add(number));
    let pattern = Rc::new(generate::pattern(&mut random));
    let source = source::source(&pattern);
    let mut done = 0;
    for sequence in 0..SEQUENCES {
        let trial = Trial { runtime, pattern: &pattern, source: &source, space: format!("{number}-{sequence}") };
        let ran = trial.run(&mut random).await.map_err(|wrong| format!("sequence {sequence}: {wrong}\n{source}"))?;
        if let Some((kept, failed)) = ran {
            (figures.kept, figures.failed) = (figures.kept + kept, figures.failed + failed);
            done += 1;
        }
    }
    figures.sequences += done;
    figures.patterns += u64::from(done > 0);
    Ok(())
}

/// One charm, deployed once.
struct Trial<'t> {
    runtime: &'t LocalHandle,
    pattern: &'t Rc<Pattern>,
    source: &'t str,
    space: String,
}

impl Trial<'_> {
    /// Deploys the charm and calls it a few times: how many calls were kept and how many failed, or what is wrong. None
    /// if the charm is refused, as its model says.
    async fn run(&self, random: &mut Random) -> Result<Option<(u64, u64)>, String> {
        let (runtime, pattern) = (self.runtime, self.pattern);
        let inputs = generate::inputs(random, pattern);
        let request = DeployRequest {
            file_name: "generated.ts".to_owned(),
            source: self.source.to_owned(),
            files: BTreeMap::new(),
            inputs: inputs.clone(),
            charm: None,
        };
        let mut steps = format!("deployed with {}", Value::Object(inputs.clone()));
        let mut cells = Cells::new(pattern, &inputs);
        let deployed = runtime.deploy(&space_did(&self.space), &request).await;
        let mut expected = match (cells.shown(), &deployed) {
            (Ok(shown), Ok(_)) => shown,
            (Err(_), Err(RuntimeError::Unfit(_))) => return Ok(None),
            (shown, _) => return Err(format!("{steps}: {deployed:?}, and the model says {shown:?}")),
        };
        let charm = deployed.map_err(|error| error.to_string())?.charm;
        let (mut names, mut kept, mut failed) = (Names::default(), 0, 0);
        for step in 0..5 + random.below(8) {
            let shown = runtime.show(&charm).await.unwrap().cells;
            if let Some(difference) = names.difference(&expected, &shown) {
                return Err(format!("after step {step}: {difference}\n{steps}\n"));
            }
            if json!(expected).to_string().len() > LARGE {
                break;
            }
            let (handler, event) = (random.below(pattern.handlers.len()), generate::event(random));
            let _ = write!(steps, "\n{}. h{handler} {event}", step + 1);
            let after = model::handle(pattern, &cells, handler, event.clone());
            let outcome = runtime.trigger(&charm, &format!("h{handler}"), &event).await.unwrap();
            let _ = write!(steps, "\n   {outcome}");
            let kind = if after.is_some() { OutcomeKind::Success } else { OutcomeKind::HandlerFailed };
            if outcome.kind != kind {
                return Err(format!("step {}: the model says {kind}\n{steps}\n", step + 1));
            }
            match after {
                Some(after) => {
                    cells = after;
                    expected = cells.shown().expect("it was shown in the call");
                    kept += 1;
                }
                None => failed += 1,
            }
        }
        let shown = runtime.show(&charm).await.unwrap().cells;
        match names.difference(&expected, &shown) {
            Some(difference) => Err(format!("after the last step: {difference}\n{steps}\n")),
            None => Ok(Some((kept, failed))),
        }
    }
}
