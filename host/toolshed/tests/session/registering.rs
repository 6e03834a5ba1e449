//! The list of registrations.

use bg_identity::{CharmId, IntegrationId, SpaceDid};
use bg_toolshed::{Commit, Entry, Error, Link, Patch, Registrations, Session, Value, Why, path};

use crate::fake::Nature;
use crate::peers::{did, servers, space};
use crate::{document, id};

fn charm(number: u8) -> CharmId {
    format!("fid1:{}{number}", "A".repeat(42)).parse().unwrap()
}

fn gmail() -> IntegrationId {
    "gmail".parse().unwrap()
}

/// Reads the registrations from the watched documents, once they are as they should be.
async fn registrations(session: &Session, is_so: impl Fn(&Registrations) -> bool) -> Registrations {
    let wait = async {
        loop {
            let version = session.changes(u64::MAX).version;
            let found = Registrations::read(|id| session.document(id));
            if is_so(&found) {
                return found;
            }
            session.changed(version).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("it is {:#?}", Registrations::read(|id| session.document(id))))
}

/// A registration as the original writes it.
fn original(space: &str, charm: &str, disabled: Value) -> Value {
    document(Value::object([
        ("space", space.into()),
        ("pieceId", charm.into()),
        ("integration", "gmail".into()),
        ("createdAt", 1_700_000_000_000.0.into()),
        ("updatedAt", 1_700_000_000_000.0.into()),
        ("disabledAt", disabled),
        ("lastRun", 0.into()),
        ("status", "Initializing".into()),
    ]))
}

#[test]
fn the_list_has_the_name_that_the_original_gives_it() {
    assert_eq!(Registrations::list().as_str(), "of:fid1:uO-Q8pusI0rBQE_7BP9AKjG-ZcpCnLM9g2nTmjBDa8k");
    assert_eq!(bg_identity::system_space().as_str(), "did:key:z6Mkfuw7h6jDwqVb6wimYGys14JFcyTem4Kqvdj9DjpFhY88");
}

#[tokio::test]
async fn a_charm_is_registered_once_polled_disabled_and_enabled_and_each_change_is_watched() {
    for server in servers(Nature::default()).await {
        let system = space();
        let (session, other) = (server.open(&system).await, server.open(&system).await);
        session.watch("registrations", [Registrations::root()]).await.unwrap();
        let charms = did(&space());
        for number in 0..3 {
            other.commit(Entry::register(&charms, &charm(number), &gmail(), 1000)).await.unwrap();
        }
        let again = other.commit(Entry::register(&charms, &charm(1), &gmail(), 2000)).await;
        assert!(matches!(again, Err(Error::Precondition { .. })), "{}: {again:?}", server.name());
        let found = registrations(&session, |found| found.entries.len() == 3).await;
        assert_eq!(found.skipped, [], "{}", server.name());
        let first = &found.entries[0];
        assert_eq!((&first.space, &first.charm, first.created_at), (&charms, &charm(0), 1000));

        other.commit(first.record(5000, "Success")).await.unwrap();
        let found = registrations(&session, |found| found.entries[0].last_run == 5000).await;
        assert_eq!(found.entries[0].status, "Success");
        // Of the document as it was before, since only the identity of the charm matters.
        other.commit(first.set_disabled(Some(6000), "Disabled: test", 6000)).await.unwrap();
        registrations(&session, |found| found.entries[0].disabled_at == Some(6000)).await;
        other.commit(first.set_disabled(None, "Re-initializing", 7000)).await.unwrap();
        let found = registrations(&session, |found| found.entries[0].disabled_at.is_none()).await;
        assert_eq!((found.entries[0].last_run, found.entries.len()), (5000, 3), "{}", server.name());
    }
}

#[tokio::test]
async fn registrations_of_the_original_are_read_and_what_is_none_is_left_out_and_named() {
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let charms = did(&space());
        let names = ["good", "undefined", "text", "piece", "field", "gone", "again"].map(id);
        let [good, undefined, bad_space, bad_piece, field, gone, again] = &names;
        let long = format!("x{}", "y".repeat(200));
        let link = |id: &bg_toolshed::EntityId| Link::to(id.clone()).to_value();
        let list = vec![
            link(good),
            link(undefined),
            link(bad_space),
            "not a link".into(),
            link(bad_piece),
            link(field),
            link(gone),
            link(good),
            link(again),
            Value::Null,
        ];
        let mut later = original(charms.as_str(), charm(2).as_str(), 0.into());
        if let Value::Object(entries) = &mut later {
            let value = entries.get_mut("value").unwrap();
            let Value::Object(fields) = value else { unreachable!() };
            fields.insert("updatedAt".to_owned(), 1_800_000_000_000.0.into());
        }
        let commit = Commit::new()
            .set(good, original(charms.as_str(), charm(1).as_str(), 0.into()))
            .set(undefined, original(charms.as_str(), charm(2).as_str(), Value::Undefined))
            .set(bad_space, original("r1", charm(3).as_str(), 0.into()))
            .set(bad_piece, original(charms.as_str(), &long, 0.into()))
            .set(field, document(Value::object([("space", 1.into())])))
            .set(again, later)
            .set(&Registrations::list(), document(list));
        session.commit(commit).await.unwrap();
        session.watch("registrations", [Registrations::root()]).await.unwrap();
        let found = Registrations::read(|id| session.document(id));
        let read: Vec<_> = found.entries.iter().map(|entry| entry.charm.clone()).collect();
        assert_eq!(read, [charm(1), charm(2)], "{}: {:#?}", server.name(), found.skipped);
        assert!(found.entries.iter().all(|entry| entry.disabled_at.is_none()));
        assert_eq!(&found.entries[1].document, again, "the newer one");
        let why = |id: Option<&bg_toolshed::EntityId>| {
            let of = found.skipped.iter().filter(|skipped| skipped.document.as_ref() == id);
            of.map(|skipped| skipped.why.clone()).collect::<Vec<_>>()
        };
        assert!(
            matches!(&why(Some(bad_space))[..], [Why::Field { field: "space", problem }] if problem.contains("r1"))
        );
        assert!(matches!(&why(Some(bad_piece))[..], [Why::Field { field: "pieceId", problem }] if problem.len() < 300));
        assert!(matches!(why(Some(field))[..], [Why::Field { field: "space", .. }]));
        assert_eq!(why(Some(gone)), [Why::NoDocument]);
        assert_eq!(why(Some(good)), [Why::Overwritten]);
        assert_eq!(why(Some(undefined)), [Why::Again]);
        assert_eq!(why(None), [Why::NoLink, Why::NoLink]);
    }
}

#[tokio::test]
async fn a_document_that_became_another_charms_is_not_written_to() {
    // After a restart, the original gives the name of one registration's document to another's.
    for server in servers(Nature::default()).await {
        let session = server.open(&space()).await;
        let charms: SpaceDid = did(&space());
        let shared = id("the first name after a restart");
        let list = document(vec![Link::to(shared.clone()).to_value()]);
        let first = original(charms.as_str(), charm(1).as_str(), 0.into());
        session.commit(Commit::new().set(&shared, first).set(&Registrations::list(), list)).await.unwrap();
        session.watch("registrations", [Registrations::root()]).await.unwrap();
        let entry = Registrations::read(|id| session.document(id)).entries.remove(0);
        assert_eq!(entry.charm, charm(1));

        let second = original(charms.as_str(), charm(2).as_str(), 0.into());
        let append = Patch::Append(path(["value"]), vec![Link::to(shared.clone()).to_value()]);
        session.commit(Commit::new().set(&shared, second).patch(&Registrations::list(), [append])).await.unwrap();
        let refused = session.commit(entry.record(1, "Success")).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{}: {refused:?}", server.name());
        let found = registrations(&session, |found| found.skipped.len() == 1).await;
        assert_eq!(found.entries[0].charm, charm(2));
        assert_eq!(found.skipped[0].why, Why::Overwritten, "{}", server.name());
    }
}
