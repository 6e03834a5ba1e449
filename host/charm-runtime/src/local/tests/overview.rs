use std::collections::BTreeMap;
use std::time::Duration;

use bg_charm_api::{AccessLevel, Cursor, RegistrationFilter, RegistrationQuery, RegistrationRow, Spaces, Subject};
use bg_identity::space_did;
use bg_poller::{
    CharmRef, CharmRuntime, DisabledBy, Outcome, OutcomeKind, PollState, PollStore, RegistrationState, Run, UnixMillis,
};
use serde_json::json;

use crate::local::LocalHandle;
use crate::local::testing::{Home, did, source};

/// Twelve charms in three spaces, for two integrations, in every state.
async fn scene() -> (Home, LocalHandle) {
    let home = Home::new().await;
    let operator = home.operator();
    let store = home.runtime.poll_store();
    for number in 0..12_u32 {
        let request = source(&format!("charm-{number}.js"), json!({ "seed": number }));
        let space = space_did(&format!("space {}", number % 3));
        let charm = operator.deploy(&space, &request).await.unwrap().charm;
        let integration = if number < 5 { "mail" } else { "news" };
        let registered = operator.register(&charm, &integration.parse().unwrap()).await.unwrap();
        let kind = match number {
            11 => OutcomeKind::Denied,
            number if number % 4 == 0 => OutcomeKind::Success,
            _ => OutcomeKind::NoStream,
        };
        if number > 0 {
            let outcome = if kind == OutcomeKind::Success {
                Outcome::success()
            } else {
                Outcome::failure(kind, format!("Number {number}"))
            };
            let started_at = registered.updated_at + Duration::from_secs(1);
            let duration = Duration::from_millis(number.into());
            operator.record(&[Run { charm: charm.clone(), started_at, duration, outcome }]).await.unwrap();
        }
        match number {
            3 | 5 => {
                let next_due = UnixMillis::now() + Duration::from_mins(4);
                let (disabled_at, updated_at) = (UnixMillis::NEVER, registered.updated_at);
                store
                    .save(&[PollState {
                        charm,
                        next_due,
                        failures: 2,
                        disabled_at,
                        updated_at,
                        owed_since: UnixMillis::NEVER,
                    }])
                    .await
                    .unwrap();
            }
            6 => drop(
                operator
                    .set_disabled(&charm, Some((DisabledBy::Failures, "5 failures in a row: NoStream: x")))
                    .await
                    .unwrap(),
            ),
            7 => drop(
                operator.set_disabled(&charm, Some((DisabledBy::Hand, "5 failures in a rowing boat"))).await.unwrap(),
            ),
            8 => drop(operator.set_disabled(&charm, Some((DisabledBy::Hand, "failures in a row"))).await.unwrap()),
            9 => drop(operator.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap()),
            // Enabled again since its last run, which failed.
            10 => {
                operator.set_disabled(&charm, Some((DisabledBy::Failures, "12 failures in a row"))).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1_100)).await;
                operator.set_disabled(&charm, None).await.unwrap();
            }
            _ => {}
        }
    }
    (home, operator)
}

fn all() -> RegistrationQuery {
    RegistrationQuery { limit: 100, ..RegistrationQuery::default() }
}

fn only(filter: RegistrationFilter) -> RegistrationQuery {
    RegistrationQuery { filter, ..all() }
}

async fn rows(operator: &LocalHandle, query: RegistrationQuery) -> Vec<RegistrationRow> {
    let overview = operator.overview(query).await.unwrap();
    assert!(!overview.more);
    overview.rows
}

fn charms(rows: &[RegistrationRow]) -> Vec<CharmRef> {
    rows.iter().map(|row| row.registration.charm.clone()).collect()
}

#[tokio::test]
async fn a_page_is_found_and_counted_by_the_states_that_registrations_are_in() {
    let (_home, operator) = scene().await;
    let rows_of_all = rows(&operator, all()).await;
    assert_eq!(rows_of_all.len(), 12);
    let mut sorted = charms(&rows_of_all);
    sorted.sort();
    assert_eq!(charms(&rows_of_all), sorted);
    let mut counted: BTreeMap<_, u64> = BTreeMap::new();
    for count in operator.registration_counts().await.unwrap() {
        counted.insert((count.integration, count.state), count.count);
    }
    let mut expected: BTreeMap<_, u64> = BTreeMap::new();
    for row in &rows_of_all {
        *expected.entry((row.registration.integration.clone(), row.state)).or_default() += 1;
    }
    assert_eq!(counted, expected);
    for (state, many) in RegistrationState::ALL.into_iter().zip([3, 2, 2, 1, 3, 1]) {
        let found =
            rows(&operator, only(RegistrationFilter { state: Some(state), ..RegistrationFilter::default() })).await;
        let expected: Vec<_> = rows_of_all.iter().filter(|row| row.state == state).cloned().collect();
        assert_eq!(found, expected, "{state}");
        assert_eq!(found.len(), many, "{state}");
    }
    let put_off = rows_of_all.iter().filter(|row| row.put_off_until.is_some()).map(|row| row.state);
    assert_eq!(put_off.collect::<Vec<_>>(), [RegistrationState::BackingOff; 2]);
}

#[tokio::test]
async fn pages_follow_each_other_forwards_and_backwards() {
    let (_home, operator) = scene().await;
    let expected = charms(&rows(&operator, all()).await);
    let (mut forwards, mut cursor) = (Vec::new(), None);
    loop {
        let page = operator.overview(RegistrationQuery { limit: 5, cursor, ..all() }).await.unwrap();
        forwards.extend(charms(&page.rows));
        cursor = forwards.last().cloned().map(Cursor::After);
        if !page.more {
            break;
        }
        assert_eq!(page.rows.len(), 5);
    }
    assert_eq!(forwards, expected);
    let (mut backwards, mut cursor) = (Vec::new(), Some(Cursor::Before(expected[11].clone())));
    loop {
        let page = operator.overview(RegistrationQuery { limit: 5, cursor, ..all() }).await.unwrap();
        backwards.splice(0..0, charms(&page.rows));
        cursor = backwards.first().cloned().map(Cursor::Before);
        if !page.more {
            break;
        }
    }
    assert_eq!(backwards, expected[..11]);
}

#[tokio::test]
async fn registrations_are_found_by_space_integration_and_text() {
    let (_home, operator) = scene().await;
    let every = rows(&operator, all()).await;
    let space = space_did("space 1");
    let found =
        rows(&operator, only(RegistrationFilter { space: Some(space.clone()), ..RegistrationFilter::default() })).await;
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|row| row.registration.charm.space == space));
    let found = rows(
        &operator,
        only(RegistrationFilter { integration: Some("mail".parse().unwrap()), ..RegistrationFilter::default() }),
    )
    .await;
    assert_eq!(found.len(), 5);
    let id = every[3].registration.charm.charm.to_string();
    // "Number 10" is no status any more, since that one was enabled again.
    let searches = [(id.as_str(), 1), ("number 1", 2), ("NUMBER 3", 1), ("news", 7), ("%", 0), ("' OR 1 --", 0)];
    for (text, many) in searches {
        let found = rows(
            &operator,
            only(RegistrationFilter { search: Some(text.to_owned()), ..RegistrationFilter::default() }),
        )
        .await;
        assert_eq!(found.len(), many, "{text}");
    }
    let one = operator.overview_of(&every[3].registration.charm).await.unwrap();
    assert_eq!(one.as_ref(), Some(&every[3]));
    operator.remove(&every[3].registration.charm).await.unwrap();
    assert_eq!(operator.overview_of(&every[3].registration.charm).await.unwrap(), None);
}

#[tokio::test]
async fn many_are_enabled_at_once_those_that_a_filter_lets_through_and_no_others() {
    let none = RegistrationFilter::default;
    let by = |state| RegistrationFilter { state: Some(state), ..none() };
    let mail = || RegistrationFilter { integration: Some("mail".parse().unwrap()), ..none() };
    let space = || RegistrationFilter { space: Some(space_did("space 0")), ..none() };
    let waiting_of_mail = RegistrationFilter { state: Some(RegistrationState::Waiting), ..mail() };
    for (filter, many) in [
        (none(), 6),
        (by(RegistrationState::DisabledByFailures), 1),
        (by(RegistrationState::DisabledByHand), 3),
        (by(RegistrationState::Waiting), 1),
        (by(RegistrationState::Running), 3),
        (mail(), 3),
        (space(), 2),
        (RegistrationFilter { search: Some("nothing like it".into()), ..none() }, 0),
        (waiting_of_mail, 0),
    ] {
        let (_home, operator) = scene().await;
        let before = rows(&operator, all()).await;
        let chosen = rows(&operator, only(filter.clone())).await;
        let chosen: Vec<CharmRef> = chosen
            .into_iter()
            .filter(|row| {
                let is_as_it_should =
                    [RegistrationState::Running, RegistrationState::DisabledByHand].contains(&row.state);
                filter.state.is_some() || !is_as_it_should
            })
            .map(|row| row.registration.charm)
            .collect();
        let seen = operator.revision().await.unwrap();
        assert_eq!(operator.count_to_enable(filter.clone()).await.unwrap(), many, "{filter:?}");
        assert_eq!(operator.enable_all(&filter).await.unwrap(), many, "{filter:?}");
        assert_eq!(chosen.len() as u64, many, "{filter:?}");
        assert_eq!(operator.revision().await.unwrap() != seen, many > 0);
        for (before, after) in before.into_iter().zip(rows(&operator, all()).await) {
            if chosen.contains(&before.registration.charm) {
                assert!(
                    after.registration.is_enabled() && after.registration.updated_at > before.registration.updated_at
                );
                assert_eq!(after.registration.disabled_by, None);
            } else {
                assert_eq!(before, after);
            }
        }
    }
}

#[tokio::test]
async fn only_who_may_write_to_the_system_space_enables_many() {
    let (home, operator) = scene().await;
    let reader = Subject::Did(did("reader"));
    operator.set_acl(&bg_identity::system_space(), &reader, Some(AccessLevel::Read)).await.unwrap();
    for name in ["stranger", "reader"] {
        assert!(home.signed(name).enable_all(&RegistrationFilter::default()).await.is_err(), "{name}");
    }
}
