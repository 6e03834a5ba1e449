use std::sync::Arc;

use bg_test_support::Postgres;

use super::*;

/// A second change, with both parts.
const SECOND: Change = Change {
    expand: "CREATE TABLE later (number BIGINT); ALTER TABLE spaces ADD COLUMN later BIGINT NOT NULL DEFAULT 0",
    contract: Some("DROP TABLE integration_lists"),
};
const BOTH: &[Change] = &[CHANGES[0], SECOND];

struct Home {
    target: Target,
    database: Arc<Database>,
}

impl Home {
    async fn new() -> Option<Self> {
        let target = Target::parse(&Postgres::shared()?.database()).unwrap();
        let database = Database::connect(&target, 4).await.unwrap();
        Some(Self { target, database })
    }

    async fn migrate(&self, changes: &[Change], may: May) -> Result<Format, OpenError> {
        migrate(&self.database, &self.target, changes, may).await
    }

    async fn found(&self) -> Found {
        inspect(&self.database.session().await.unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn hosts_are_upgraded_one_after_another_and_the_last_step_is_for_when_all_are() {
    let Some(home) = Home::new().await else { return };
    let first = Format { expanded: 1, contracted: 1, needed: 1 };
    assert_eq!(home.migrate(CHANGES, May::Create).await.unwrap(), first);
    // The first host of the new version.
    let expanded = Format { expanded: 2, contracted: 1, needed: 1 };
    assert_eq!(home.migrate(BOTH, May::Expand).await.unwrap(), expanded);
    // One of the old version starts again: nothing is changed, and it works.
    assert_eq!(home.migrate(CHANGES, May::Expand).await.unwrap(), expanded);
    let session = home.database.session().await.unwrap();
    session.execute("INSERT INTO spaces (did, created_at) VALUES ('a', 1)", &[]).await.unwrap();
    // Once all are of the new version.
    let contracted = Format { expanded: 2, contracted: 2, needed: 2 };
    assert_eq!(home.migrate(BOTH, May::Contract).await.unwrap(), contracted);
    let error = home.migrate(CHANGES, May::Expand).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { needed: 2, known: 1, .. }), "{error}");
    assert_eq!(home.migrate(BOTH, May::Contract).await.unwrap(), contracted, "once");
    assert_eq!(home.found().await, Found::Ours(contracted));
}

#[tokio::test]
async fn a_change_that_fails_leaves_the_database_as_it_was() {
    let Some(home) = Home::new().await else { return };
    let broken = [CHANGES[0], Change { expand: "CREATE TABLE half (); CREATE TABLE spaces ()", contract: None }];
    let error = home.migrate(&broken, May::Create).await.unwrap_err();
    assert!(error.to_string().contains("\"spaces\" already exists"), "{error}");
    assert_eq!(home.found().await, Found::Empty);
    let first = home.migrate(CHANGES, May::Create).await.unwrap();
    home.migrate(&broken, May::Expand).await.unwrap_err();
    assert_eq!(home.found().await, Found::Ours(first));
}

#[tokio::test]
async fn of_many_hosts_that_start_at_once_one_changes_the_database() {
    let Some(home) = Home::new().await else { return };
    let home = Arc::new(home);
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let home = Arc::clone(&home);
            tokio::spawn(async move { home.migrate(BOTH, May::Create).await })
        })
        .collect();
    for one in starting {
        assert_eq!(one.await.unwrap().unwrap().expanded, 2);
    }
}
