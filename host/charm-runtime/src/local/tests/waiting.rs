//! Charms that wait for a change go on when it comes.

use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::{AccessLevel, SetRequest, Spaces, Subject};
use bg_identity::system_space;
use bg_poller::{
    Blame, CharmRef, CharmRuntime, DisabledBy, Outcome, OutcomeKind, PollEvent, Poller, PollerOptions, Registration,
    RegistrationState, Run, UnixMillis,
};
use bg_test_support::{RawAnswer, RawServer};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::LocalHandle;
use crate::local::testing::{Home, did, space};

/// Notes a poll of the charm that ended so.
async fn polled(operator: &LocalHandle, charm: &CharmRef, outcome: Outcome) -> Registration {
    // Later than whatever changed before.
    let started_at = UnixMillis::now() + Duration::from_millis(2);
    let run = Run { charm: charm.clone(), started_at, duration: Duration::ZERO, outcome };
    operator.record(&[run]).await.unwrap();
    of(operator, charm).await
}

async fn of(operator: &LocalHandle, charm: &CharmRef) -> Registration {
    operator.registrations().await.unwrap().into_iter().find(|one| one.charm == *charm).unwrap()
}

async fn set(operator: &LocalHandle, charm: &CharmRef) {
    let request = SetRequest { path: vec!["log".into()], value: json!("x"), create: true };
    operator.set(charm, &request).await.unwrap();
}

async fn grant(operator: &LocalHandle) {
    operator.set_acl(&space(), &Subject::Did(did("ann")), Some(AccessLevel::Write)).await.unwrap();
}

async fn scene() -> (Home, LocalHandle, CharmRef) {
    let home = Home::new().await;
    let (operator, charm) = (home.operator(), home.deploy(json!({})).await);
    operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
    (home, operator, charm)
}

/// What makes a charm go on.
#[derive(Clone, Copy, Debug)]
enum Fix {
    Access,
    Cells,
    Configuration,
}

fn denied(blame: Blame) -> Outcome {
    Outcome::failure(OutcomeKind::Denied, "no").blaming(blame)
}

#[tokio::test]
async fn a_change_of_its_cells_of_access_to_its_space_or_of_the_configuration_makes_a_waiting_charm_begin_again() {
    let (home, operator, charm) = scene().await;
    for blame in [Blame::Credential, Blame::Configuration] {
        for fix in [Fix::Access, Fix::Cells, Fix::Configuration] {
            let waiting = polled(&operator, &charm, denied(blame)).await;
            assert_eq!(waiting.state(0), RegistrationState::Waiting, "{waiting:?}");
            let seen = operator.changed(0).await.unwrap();
            match fix {
                Fix::Access => grant(&operator).await,
                Fix::Cells => set(&operator, &charm).await,
                Fix::Configuration => home.runtime.wake_waiting().await.unwrap(),
            }
            assert_ne!(operator.changed(seen).await.unwrap(), seen, "{blame} {fix:?}");
            let after = of(&operator, &charm).await;
            assert!(after.updated_at > waiting.updated_at, "{after:?}");
        }
    }
}

/// The database knows the rule as well.
#[tokio::test]
async fn a_change_is_news_of_exactly_those_charms_whose_cause_it_may_fix() {
    let (_home, operator, charm) = scene().await;
    for kind in OutcomeKind::ALL {
        for blame in Blame::ALL {
            let outcome = Outcome::failure(kind, blame.as_str()).blaming(blame);
            let awaits = outcome.consequence().awaits_a_fix();
            let before = polled(&operator, &charm, outcome).await;
            set(&operator, &charm).await;
            let after = of(&operator, &charm).await;
            assert_eq!(after.updated_at > before.updated_at, awaits, "{kind} {blame}");
        }
    }
}

#[tokio::test]
async fn access_to_the_system_space_is_a_change_for_all_charms() {
    let (_home, operator, charm) = scene().await;
    let before = polled(&operator, &charm, denied(Blame::Configuration)).await;
    operator.set_acl(&system_space(), &Subject::Did(did("ann")), Some(AccessLevel::Write)).await.unwrap();
    assert!(of(&operator, &charm).await.updated_at > before.updated_at);
}

/// A charm whose token has ended, with a service that renews it, and its registration.
async fn renewable() -> (Home, RawServer, CharmRef) {
    let server = RawServer::start(|_| {
        RawAnswer::new("200 OK", "Content-Type: application/json\r\n", r#"{"tokenInfo": {"token": "new"}}"#)
    })
    .unwrap();
    let url = format!("http://{}/", server.address());
    let home = Home::with(|options| options.oauth_refresh_url = Some(url.parse().unwrap())).await;
    let charm = home.deploy(json!({"token": "old", "refreshToken": "good", "expiresAt": 1000})).await;
    home.operator().register(&charm, &"mail".parse().unwrap()).await.unwrap();
    (home, server, charm)
}

#[tokio::test]
async fn a_charm_is_not_woken_by_what_its_own_poll_renews_and_is_by_what_others_renew_or_set_at_that_moment() {
    let upstream = || Outcome::failure(OutcomeKind::Unavailable, "no").blaming(Blame::Upstream);
    for by_poll in [true, false] {
        let (home, _server, charm) = renewable().await;
        let operator = home.operator();
        let before = polled(&operator, &charm, upstream()).await;
        operator.clone().polling(by_poll).refresh_auth(&charm).await.unwrap();
        let path = ["auth".to_owned(), "token".to_owned()];
        assert_eq!(operator.secret(&charm, &path).await.unwrap().expose(), "new");
        assert_eq!(of(&operator, &charm).await.updated_at > before.updated_at, !by_poll);
    }
    // Nor by the end of that poll; unless somebody has changed something meanwhile.
    for others in [false, true] {
        let (home, _server, charm) = renewable().await;
        let operator = home.operator();
        let before = polled(&operator, &charm, Outcome::success()).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let started_at = UnixMillis::now();
        if others {
            set(&operator, &charm).await;
        }
        operator.clone().polling(true).refresh_auth(&charm).await.unwrap();
        let run = Run { charm: charm.clone(), started_at, duration: Duration::ZERO, outcome: upstream() };
        operator.record(&[run]).await.unwrap();
        assert_eq!(of(&operator, &charm).await.updated_at > before.updated_at, others);
    }
}

#[tokio::test]
async fn a_charm_is_woken_by_an_event_that_others_send_it_with_success_and_not_by_its_poll() {
    let (_home, operator, charm) = scene().await;
    for by_poll in [true, false] {
        let before = polled(&operator, &charm, denied(Blame::Credential)).await;
        let outcome = operator.clone().polling(by_poll).trigger(&charm, "append", &json!({})).await.unwrap();
        assert!(outcome.is_success(), "{outcome}");
        assert_eq!(of(&operator, &charm).await.updated_at > before.updated_at, !by_poll);
    }
}

#[tokio::test]
async fn a_change_is_no_news_of_a_charm_that_does_not_wait() {
    let (home, operator, charm) = scene().await;
    let failed = Outcome::failure(OutcomeKind::HandlerFailed, "no");
    for outcome in [Outcome::success(), failed, denied(Blame::Charm), denied(Blame::Integration)] {
        let before = polled(&operator, &charm, outcome).await;
        set(&operator, &charm).await;
        grant(&operator).await;
        home.runtime.wake_waiting().await.unwrap();
        assert_eq!(of(&operator, &charm).await.updated_at, before.updated_at, "{before:?}");
    }
    // Nor of one that somebody has disabled.
    polled(&operator, &charm, denied(Blame::Credential)).await;
    let disabled = operator.set_disabled(&charm, Some((DisabledBy::Hand, "by hand"))).await.unwrap();
    set(&operator, &charm).await;
    assert_eq!(of(&operator, &charm).await.updated_at, disabled.updated_at);
}

#[tokio::test]
async fn a_change_that_came_while_the_charm_was_polled_is_not_lost() {
    let (_home, operator, charm) = scene().await;
    let before = of(&operator, &charm).await;
    let started_at = UnixMillis::now();
    set(&operator, &charm).await;
    let outcome = denied(Blame::Credential);
    let run = Run { charm: charm.clone(), started_at, duration: Duration::ZERO, outcome };
    operator.record(&[run]).await.unwrap();
    assert!(of(&operator, &charm).await.updated_at > before.updated_at);
}

/// A poll loop over the runtime, with the intervals that it usually has, and what it reports.
fn polling(home: &Home) -> (mpsc::UnboundedReceiver<PollEvent>, CancellationToken) {
    let (sender, events) = mpsc::unbounded_channel();
    let on_poll = Arc::new(move |event: &PollEvent| drop(sender.send(event.clone())));
    let options = PollerOptions { on_poll: Some(on_poll), ..PollerOptions::default() };
    let poller = Poller::new(Arc::new(home.operator()), Arc::new(home.runtime.poll_store()), vec![], options);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move { poller.run(stop).await });
    (events, shutdown)
}

#[tokio::test]
async fn a_charm_that_waits_for_a_sign_in_is_polled_at_once_after_it() {
    let home = Home::with(|options| options.oauth_refresh_url = Some("http://127.0.0.1:1/".parse().unwrap())).await;
    let charm = home.deploy(json!({"token": "old", "expiresAt": 1000})).await;
    let operator = home.operator();
    operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
    let (mut events, shutdown) = polling(&home);
    let first = events.recv().await.unwrap();
    assert_eq!(first.outcome.blame(), Some(Blame::Credential), "{:?}", first.outcome);
    while of(&operator, &charm).await.state(0) != RegistrationState::Waiting {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let auth = json!({"token": "new", "expiresAt": u64::MAX >> 12});
    let request = SetRequest { path: vec!["auth".into()], value: auth, create: false };
    operator.set(&charm, &request).await.unwrap();
    // It would be an hour otherwise.
    let next = tokio::time::timeout(Duration::from_mins(1), events.recv()).await;
    let next = next.expect("it is polled again").unwrap();
    assert!(next.outcome.is_success(), "{:?}", next.outcome);
    shutdown.cancel();
}
