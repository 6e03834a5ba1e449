//! How much the database reads for an answer, where there are many rows.

use std::time::Duration;

use bg_charm_api::{Actor, Cursor, RegistrationFilter, RegistrationQuery};
use bg_identity::CharmId;
use bg_poller::Outcome;
use bg_store::{Charms as _, Reach, Registrations as _, Tenancy};

use crate::a_home;
use crate::home::{Home, begin, finished, space};

/// Enough charms for a statement that reads all of a table to be noticed.
const MANY: usize = 20_000;

/// As many charms with registrations, every hundredth of them for another integration.
pub(crate) async fn fill(home: &Home, charms: usize) {
    let spaces: Vec<String> = (0..charms / 10).map(|number| space(&number.to_string()).to_string()).collect();
    let of: Vec<String> = (0..charms).map(|number| spaces[number % spaces.len()].clone()).collect();
    let ids: Vec<String> =
        (0..charms).map(|number| CharmId::for_content(number.to_string().as_bytes()).to_string()).collect();
    let client = home.connection().await;
    client
        .execute("INSERT INTO spaces (did, created_at) SELECT *, 0 FROM unnest($1::text[])", &[&spaces])
        .await
        .unwrap();
    let insert = "INSERT INTO charms (space, id, created_at, updated_at, name, file_name, streams, secrets, digest) SELECT \
                  *, 0, 0, 'a charm', 'a.tsx', '[\"bgUpdater\"]', '[]', '' FROM unnest($1::text[], $2::text[])";
    client.execute(insert, &[&of, &ids]).await.unwrap();
    home.psql(
        "INSERT INTO programs SELECT row, 's', '{}', 'm', '{}' FROM charms ON CONFLICT DO NOTHING; INSERT INTO cells SELECT \
         row, 'n', FALSE, '1' FROM charms ON CONFLICT DO NOTHING; INSERT INTO registrations (charm, space, id, \
         integration, created_at, updated_at, status) SELECT row, space, id, CASE row % 100 WHEN 0 THEN 'rare' ELSE 'mail' \
         END, 0, 0, 'Success' FROM charms ON CONFLICT DO NOTHING; ANALYZE",
    );
}

/// Rows that statements read so far, of all tables. What a connection has counted is there within a second.
fn read(home: &Home) -> u64 {
    home.psql(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables WHERE relname IN ('charms', \
         'registrations', 'poll_states', 'runs', 'cells', 'holdings', 'logs', 'turns', 'due')",
    )
    .parse()
    .unwrap()
}

/// How many rows are read by something: once all of it is counted.
pub(crate) async fn rows<T>(home: &Home, work: impl Future<Output = T>) -> (T, u64) {
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
    let home = a_home!();
    let polled = home.deploy("polled").await;
    home.register(&polled).await;
    fill(&home, MANY).await;
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
