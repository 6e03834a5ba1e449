//! How much the database reads for an answer, where there are many rows.

use std::time::Duration;

use bg_charm_api::{Actor, Cursor, RegistrationFilter, RegistrationQuery};
use bg_poller::Outcome;
use bg_store::{Charms as _, Reach, Registrations as _, Tenancy};

use crate::home;
use crate::home::{Home, begin, finished};

/// So many charms that a statement that reads all of a table is noticed.
const MANY: u64 = 20_000;

/// As many charms with registrations, every hundredth of them for another integration.
fn fill(home: &Home, charms: u64) {
    home.psql(&format!(
        "INSERT INTO spaces (did, created_at) SELECT 'did:key:z6Mk' || n, 0 FROM generate_series(1, {charms} / 10) n; \
         INSERT INTO charms (space, id, created_at, updated_at, name, file_name, streams, secrets, digest) SELECT \
         'did:key:z6Mk' || 1 + n % ({charms} / 10), 'fid1:' || n, 0, 0, 'charm ' || n, 'a.tsx', '[\"bgUpdater\"]', '[]', \
         sha256(n::text::bytea) FROM generate_series(1, {charms}) n; INSERT INTO programs SELECT row, 's', '{{}}', 'm', \
         '{{}}' FROM charms c WHERE NOT EXISTS (SELECT 1 FROM programs p WHERE p.charm = c.row); INSERT INTO cells SELECT \
         row, 'n', FALSE, '1' FROM charms ON CONFLICT DO NOTHING; INSERT INTO registrations (charm, space, id, \
         integration, created_at, updated_at, status) SELECT row, space, id, CASE row % 100 WHEN 0 THEN 'rare' ELSE 'mail' \
         END, 0, 0, 'Success' FROM charms ON CONFLICT DO NOTHING; ANALYZE"
    ));
}

/// Rows that statements read so far, of all tables. What a connection has counted is there within a second.
fn read(home: &Home) -> u64 {
    home.psql(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables WHERE relname IN ('charms', \
         'registrations', 'poll_states', 'runs', 'cells', 'holdings', 'logs')",
    )
    .parse()
    .unwrap()
}

/// How many rows are read by something: once all of it is counted.
async fn rows<T>(home: &Home, work: impl Future<Output = T>) -> (T, u64) {
    let settled = async || loop {
        let before = read(home);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        if read(home) == before {
            return before;
        }
    };
    let before = settled().await;
    let value = work.await;
    (value, settled().await - before)
}

#[tokio::test]
async fn a_page_reads_its_own_rows_and_a_poll_those_of_its_charm() {
    let home = home!();
    let polled = home.deploy("polled").await;
    home.register(&polled).await;
    fill(&home, MANY);
    let store = &home.store;
    let integration =
        |name: &str| RegistrationFilter { integration: Some(name.parse().unwrap()), ..RegistrationFilter::default() };
    for filter in [RegistrationFilter::default(), integration("mail"), integration("rare")] {
        let mut query = RegistrationQuery { filter, cursor: None, limit: 20 };
        for _ in 0..2 {
            let (page, rows) = rows(&home, store.overview(&Actor::Operator, &query)).await;
            let page = page.unwrap();
            assert_eq!((page.rows.len(), page.more), (20, true));
            assert!(rows < 500, "{rows} rows for {query:?}");
            query.cursor = page.rows.last().map(|row| Cursor::After(row.registration.charm.clone()));
        }
    }
    // More often than a statement is planned for its parameters.
    let work = async {
        for _ in 0..10 {
            let begun = begin(store, &polled).await;
            assert_eq!(store.keep(vec![finished(&begun, &[("n", "2")])]).await, [Ok(Some(Outcome::success()))]);
        }
    };
    let ((), rows) = rows(&home, work).await;
    assert!(rows < 10 * 100, "{rows} rows for ten polls");
}
