//! How long a session takes for each thing it does, and how much memory sessions take.
//!
//! Against a server in this process, and, where `LABS` names a checkout of it, the original's.

#[path = "../tests/session/fake.rs"]
#[allow(dead_code, reason = "made for tests")]
mod fake;
#[path = "../tests/session/peers.rs"]
#[allow(dead_code, reason = "made for tests")]
mod peers;

use std::time::{Duration, Instant};

use bg_toolshed::{Changes, Commit, Document, EntityId, Patch, Root, Session, Value, path};
use fake::Nature;
use peers::{Server, servers, space};

/// How often each is done.
const TIMES: u32 = 200;
/// How many sessions there are at once when their memory is measured.
const SESSIONS: usize = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs nothing");
    runtime.block_on(async {
        for server in servers(Nature::default()).await {
            measure(&server).await;
        }
    });
}

async fn measure(server: &Server) {
    let name = server.name();
    let space = space();
    let (session, other) = (server.open(&space).await, server.open(&space).await);
    let id = EntityId::for_cause("measured".into());
    let document = |number: u32| Value::object([("value", Value::object([("count", number.into())]))]);
    session.commit(Commit::new().set(&id, document(0))).await.expect("nobody else writes");

    let (mut connect, mut query, mut set, mut patch, mut watch) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for number in 0..TIMES {
        if number % 4 == 0 {
            connect.push(timed(server.open(&space)).await);
        }
        query.push(timed(async { session.query([Root::only(id.clone())]).await.expect("it is there") }).await);
        let commit = Commit::new().set(&id, document(number));
        set.push(timed(async { session.commit(commit).await.expect("nobody else writes") }).await);
        let commit = Commit::new().patch(&id, [Patch::Replace(path(["value", "count"]), number.into())]);
        patch.push(timed(async { session.commit(commit).await.expect("nobody else writes") }).await);
    }
    other.watch("measured", [Root::only(id.clone())]).await.expect("it is there");
    for number in 1_000..1_000 + TIMES {
        let start = Instant::now();
        session.commit(Commit::new().set(&id, document(number))).await.expect("nobody else writes");
        until(&other, |found| found.value().and_then(|value| value.get("count")) == Some(&number.into())).await;
        watch.push(start.elapsed());
    }
    for (what, mut times) in [
        ("connect and open a session", connect),
        ("query of one document", query),
        ("commit of a whole document", set),
        ("commit of a patch", patch),
        ("commit until another session sees it", watch),
    ] {
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
        println!("{name}: {what}: median {:.2} ms, 95 % below {:.2} ms, {} times", at(50), at(95), times.len());
    }
    if let Server::Original(_) = server {
        let before = resident();
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let session = server.open(&space).await;
            session.watch("measured", [Root::only(id.clone())]).await.expect("it is there");
            sessions.push(session);
        }
        println!("{name}: {SESSIONS} sessions, each with a watch: {} KiB each", (resident() - before) / SESSIONS);
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

async fn until(session: &Session, is_so: impl Fn(&Document) -> bool) {
    let mut version = 0;
    loop {
        let Changes { version: now, documents } = session.changes(version);
        if documents.iter().any(&is_so) {
            return;
        }
        version = now;
        session.changed(version).await.expect("the session goes on");
    }
}

/// The memory of this process in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
