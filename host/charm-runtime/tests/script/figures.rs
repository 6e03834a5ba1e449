//! What a warm poll takes. Not a test: `cargo test --test script -- --ignored --nocapture figures` prints it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_charm_api::{Actor, DeployRequest, Spaces as _};
use bg_charm_runtime::{Handlers, LocalOptions, LocalRuntime};
use bg_identity::space_did;
use bg_poller::{CharmRuntime, TokenLife, UnixMillis};
use bg_test_support::processor_time;
use serde_json::{Map, json};

use crate::support::{client, component, workspace};

const WARM_UP: u32 = 100;
const POLLS: u32 = 2_000;

/// Processor time, all threads, of what the loop does for a poll of a charm without integration. The counter has no
/// secrets; the mailbox has a cell that is sealed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn figures_of_a_warm_poll() {
    for file in ["examples/charms/counter.tsx", "tests/fixtures/mailbox.tsx"] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let handlers =
            Handlers { component: component(Duration::from_secs(20)).await, http: client(None), api_url: None };
        let database = folder.path().join("runtime.db");
        let options = LocalOptions { handlers: Some(handlers), ..LocalOptions::new(database) };
        let runtime = Arc::new(LocalRuntime::open(options).unwrap()).as_actor(Actor::Operator);
        let source = std::fs::read_to_string(workspace(file)).unwrap();
        let request = DeployRequest {
            file_name: Path::new(file).file_name().unwrap().to_str().unwrap().to_owned(),
            source,
            files: [].into(),
            inputs: Map::new(),
            charm: None,
        };
        let charm = runtime.deploy(&space_did("figures"), &request).await.unwrap().charm;
        runtime.register(&charm, &"my-test".parse().unwrap()).await.unwrap();
        let poll = async || {
            let opened = runtime.open(&charm).await.unwrap();
            TokenLife::of(&*opened, UnixMillis::now()).await.unwrap();
            assert!(opened.has_stream("bgUpdater").await.unwrap());
            runtime.trigger(&charm, "bgUpdater", &json!({})).await.unwrap()
        };
        for _ in 0..WARM_UP {
            poll().await;
        }
        let own = || processor_time(std::process::id()).unwrap();
        let (began, before) = (Instant::now(), own());
        for _ in 0..POLLS {
            poll().await;
        }
        let (elapsed, busy) = (began.elapsed() / POLLS, own().saturating_sub(before) / POLLS);
        println!("a warm poll of {file}: {busy:?} of processor time, {elapsed:?} in all");
    }
}
