//! `backup`: a copy of the database while a service works on it. Together with the key it is all that a restore needs.

use std::path::Path;
use std::sync::Arc;

use bg_charm_api::{Actor, LogQuery, Spaces};
use bg_charm_runtime::{LocalOptions, LocalRuntime};
use bg_poller::{CharmRef, CharmRuntime};
use serde_json::json;

use crate::common::{deploy, host, register, wait_for_success};

/// Two cells that are always equal, and a secret.
const KEEPER: &str = r#"import { Cell, Default, handler, pattern, Secret } from "commontools";
interface State { first: Cell<number>; second: Cell<number> }
const poll = handler<unknown, State>((_event, { first, second }) => {
  first.set(first.get() + 1);
  second.set(second.get() + 1);
  console.log(`${first.get()}`);
});
export default pattern<{ first: Default<number, 0>; second: Default<number, 0>; auth: { token: Secret<string> } }>(
  ({ first, second, auth }) => ({ first, second, auth, bgUpdater: poll({ first, second }) }));
"#;

/// Opens a data directory, and checks that the data of each charm is from one moment.
fn check(data_dir: &Path, charms: &[String]) -> Vec<u64> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = Arc::new(LocalRuntime::open(LocalOptions::new(data_dir.join("runtime.db"))).unwrap());
    let operator = runtime.as_actor(Actor::Operator);
    tokio.block_on(async {
        assert_eq!(operator.registrations().await.unwrap().len(), charms.len());
        let mut counts = Vec::new();
        for charm in charms {
            let charm: CharmRef = charm.parse().unwrap();
            let cells = operator.show(&charm).await.unwrap().cells;
            let count = cells["first"].as_u64().unwrap();
            assert_eq!(cells["second"], json!(count));
            let runs = operator.runs(&charm, 1_000).await.unwrap();
            assert!(runs.iter().all(|run| run.outcome.is_success()));
            assert_eq!(runs.len() as u64, count.min(100), "each write has its run");
            let query = LogQuery { after: None, limit: 1, wait: false };
            let line = operator.logs(&charm, query).await.unwrap().pop();
            assert_eq!(line.map(|entry| entry.line.text), (count > 0).then(|| count.to_string()));
            let token = operator.secret(&charm, &["auth", "token"].map(str::to_owned)).await.unwrap();
            assert_eq!(token.expose(), format!("tok-of-{}", charm.space));
            counts.push(count);
        }
        counts
    })
}

#[test]
fn a_backup_made_while_a_service_polls_is_consistent_and_can_be_restored() {
    let host = host();
    let source = host.write("keeper.tsx", KEEPER).unwrap();
    let charms: Vec<String> = ["one", "two", "three"]
        .map(|name| {
            let space = host.command(["space-did", name]).unwrap().success().unwrap().stdout.trim().to_owned();
            let inputs = json!({"auth": {"token": format!("tok-of-{space}")}});
            let charm = deploy(&host, source.to_str().unwrap(), name, &inputs);
            register(&host, &charm, "my-test");
            charm
        })
        .to_vec();
    let mut service = host.spawn(["run", "--interval", "100ms"]).unwrap();
    let mut before = vec![0; charms.len()];
    for number in 0..3 {
        for charm in &charms {
            wait_for_success(&mut service, charm);
        }
        let name = format!("backup-{number}.db");
        let said = host.command(["backup", &name]).unwrap().success().unwrap();
        let key = host.data_dir().join("secrets.key");
        assert!(said.stdout.contains(key.to_str().unwrap()), "it says what else to keep: {said}");
        let file = host.dir().join(&name);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = host.command(["backup", &name]).unwrap().failure().unwrap();
        assert!(again.stderr.contains("is there already"), "{again}");

        let restored = self::host();
        std::fs::copy(&file, restored.data_dir().join("runtime.db")).unwrap();
        let without_key = restored.command(["list"]).unwrap().failure().unwrap();
        assert!(without_key.stderr.contains("secrets.key"), "{without_key}");
        std::fs::copy(&key, restored.data_dir().join("secrets.key")).unwrap();
        let counts = check(&restored.data_dir(), &charms);
        assert!(counts.iter().zip(&before).all(|(now, before)| now > before), "{counts:?} after {before:?}");
        // Polling continues from there.
        restored.command(["run", "--once"]).unwrap().success().unwrap();
        let later = check(&restored.data_dir(), &charms);
        assert!(later.iter().zip(&counts).all(|(later, count)| *later == count + 1), "{later:?} after {counts:?}");
        before = counts;
    }
    service.terminate().unwrap().success().unwrap();
    let left: Vec<_> = std::fs::read_dir(host.dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    let far = host.env("API_URL", "http://127.0.0.1:9").command(["backup", "far.db"]).unwrap().failure().unwrap();
    assert!(far.stderr.contains("where that runtime runs"), "{far}");
}
