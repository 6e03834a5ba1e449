//! Figures of one poll in each store, in one run: `cargo test --test server -- --ignored --nocapture figures`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bg_charm_api::Actor;
use bg_poller::{CharmRef, Outcome};
use bg_store::{Reach, Store, Tenancy};
use bg_store_postgres::{PostgresOptions, PostgresStore, Target, create};
use bg_store_sqlite::{SqliteOptions, SqliteStore};
use bg_test_support::{Durability, Postgres, machine, processor_time};

use crate::home::{STREAM, deployment, finished, known, space};

const CHARMS: usize = 400;
const ROUNDS: usize = 4;

async fn charms(store: &dyn Store) -> Vec<CharmRef> {
    let mut charms = Vec::new();
    for number in 0..CHARMS {
        let new = deployment(&space(&format!("space {}", number % 100)), &number.to_string(), &[("n", "1")]);
        let charm = store.deploy(&Actor::Operator, new).await.unwrap().charm;
        store.register(&Actor::Operator, &charm, &"mail".parse().unwrap(), &[STREAM]).await.unwrap();
        charms.push(charm);
    }
    charms
}

/// All charms are polled so often, this number of them at a time; each writes two cells of 200 bytes. Answers how long
/// that took.
async fn poll(store: &Arc<dyn Store>, charms: &[CharmRef], at_once: usize) -> Duration {
    let started = Instant::now();
    let turns = Arc::new(tokio::sync::Semaphore::new(at_once));
    for _ in 0..ROUNDS {
        let mut polls = Vec::new();
        for charm in charms {
            let (store, charm, turns) = (Arc::clone(store), charm.clone(), Arc::clone(&turns));
            polls.push(tokio::spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                let begun = store.begin(&Actor::Operator, &charm, STREAM, known()).await.unwrap();
                let text = format!("\"{}\"", "x".repeat(198));
                let call = finished(&Arc::new(begun.charm), &[("one", &text), ("two", &text)]);
                assert_eq!(store.keep(vec![call]).await, [Ok(Some(Outcome::success()))]);
            }));
        }
        for one in polls {
            one.await.unwrap();
        }
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures() {
    let Some(postgres) = Postgres::start(Durability::Full, &[("shared_buffers", "128MB")]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let tenancy = Tenancy { reach: Some(Reach::Loopback), ..Tenancy::default() };
    let url = postgres.database();
    create(&Target::parse(&url).unwrap()).await.unwrap();
    let options = PostgresOptions {
        target: Target::parse(&url).unwrap(),
        secrets_key: dir.path().join("secrets.key"),
        tenancy: tenancy.clone(),
        owner: None,
        connections: 8,
    };
    let shared = PostgresStore::open(options).await.unwrap();
    let database = dir.path().join("a.db");
    let embedded = SqliteStore::open(SqliteOptions { database, secrets_key: None, tenancy, owner: None }).unwrap();
    let stores: [(&str, Arc<dyn Store>); 2] =
        [("PostgreSQL", Arc::new(shared.clone())), ("SQLite", Arc::new(embedded))];
    println!("{}", machine());
    println!("| store | polls at once | polls/s | processor a poll: host, database | statements, round trips a poll |");
    for (_, store) in &stores {
        let charms = charms(&**store).await;
        poll(store, &charms, 64).await;
    }
    let polls = u32::try_from(CHARMS * ROUNDS).unwrap();
    for at_once in [1, 8, 64, 256] {
        for (name, store) in &stores {
            let all: Vec<CharmRef> = (0..CHARMS)
                .map(|number| crate::home::charm(&space(&format!("space {}", number % 100)), &number.to_string()))
                .collect();
            let (host, server) = (processor_time(std::process::id()).unwrap(), postgres.processor_time());
            let traffic = shared.traffic();
            let took = poll(store, &all, at_once).await;
            let host = processor_time(std::process::id()).unwrap().saturating_sub(host) / polls;
            let server = postgres.processor_time().saturating_sub(server) / polls;
            let now = shared.traffic();
            #[expect(clippy::cast_precision_loss, reason = "there are some thousands")]
            let each = |count: u64| count as f64 / f64::from(polls);
            println!(
                "| {name} | {at_once} | {:.0} | {host:.2?}, {server:.2?} | {:.2}, {:.2} |",
                f64::from(polls) / took.as_secs_f64(),
                each(now.statements - traffic.statements),
                each(now.round_trips - traffic.round_trips),
            );
        }
    }
}
