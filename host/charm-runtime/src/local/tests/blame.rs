//! Whose trouble it is that a token cannot be renewed, or that something is damaged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bg_charm_api::{SetRequest, Spaces};
use bg_identity::space_did;
use bg_poller::{
    Blame, Cause, CharmRef, CharmRuntime, Limit, OutcomeKind, PollStore, Poller, PollerOptions, Registration,
    RegistrationState, RuntimeError, Scope, UnixMillis,
};
use bg_test_support::{RawAnswer, RawServer};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::LocalHandle;
use crate::local::testing::{Home, source};

/// A token service that answers this to everything, and counts.
struct Service {
    asked: Arc<AtomicUsize>,
    server: RawServer,
}

impl Service {
    fn start(status: &'static str, body: &str) -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let (count, answer) = (asked.clone(), RawAnswer::new(status, "Content-Type: application/json\r\n", body));
        let server = RawServer::start(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answer.clone()
        });
        Self { asked, server: server.unwrap() }
    }

    async fn home(&self) -> Home {
        let url = format!("http://{}/refresh", self.server.address());
        Home::with(|options| options.oauth_refresh_url = Some(url.parse().unwrap())).await
    }
}

/// A token that has ended long ago.
fn ended() -> Value {
    json!({"token": "old-token", "refreshToken": "good-refresh", "expiresAt": 1000})
}

/// Polls the charm until `is_enough` of how many polls have ended and how it stands then; as often as ten milliseconds
/// allow.
async fn poll_until(home: &Home, charm: &CharmRef, is_enough: impl Fn(u64, &Registration) -> bool) -> Registration {
    let operator = home.operator();
    operator.register(charm, &"mail".parse().unwrap()).await.unwrap();
    let polls = Arc::<AtomicUsize>::default();
    let counted = polls.clone();
    let options = PollerOptions {
        interval: Duration::from_millis(10),
        on_poll: Some(Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        })),
        ..PollerOptions::default()
    };
    let shutdown = CancellationToken::new();
    let poller = Poller::new(Arc::new(operator.clone()), Arc::new(home.runtime.poll_store()), vec![], options);
    let polling = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { poller.run(shutdown).await }
    });
    loop {
        let [registration] = operator.registrations().await.unwrap().try_into().unwrap();
        if is_enough(polls.load(Ordering::SeqCst) as u64, &registration) {
            shutdown.cancel();
            polling.await.unwrap().unwrap();
            let [registration] = operator.registrations().await.unwrap().try_into().unwrap();
            return registration;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn whatever_a_token_service_answers_the_charm_is_not_disabled_and_the_operator_sees_why() {
    use Blame::Upstream;
    use Cause::{SignInEnded, TokenServiceBusy, TokenServiceFails, TokenServiceSilent, WrongClient};
    let cases = [
        ("429 Too Many Requests", r#"{"error": "slow down"}"#, TokenServiceBusy, "says 429 Too Many Requests"),
        ("429 Too Many Requests", r#"{"error": "invalid_grant"}"#, TokenServiceBusy, "says 429 Too Many Requests"),
        ("408 Request Timeout", "", TokenServiceBusy, "says 408 Request Timeout"),
        ("425 Too Early", "", TokenServiceBusy, "says 425 Too Early"),
        ("500 Internal Server Error", "oops", TokenServiceFails, "says 500 Internal Server Error"),
        ("503 Service Unavailable", r#"{"error": "temporarily_unavailable"}"#, TokenServiceFails, "says 503"),
        (
            "400 Bad Request",
            r#"{"error": "Failed to refresh token"}"#,
            TokenServiceSilent,
            "without a reason; if that lasts, authorize",
        ),
        ("400 Bad Request", r#"{"error": {"code": 400}}"#, TokenServiceSilent, "without a reason"),
        ("400 Bad Request", r#"{"error": "strange_error"}"#, TokenServiceFails, "(strange_error)"),
        ("404 Not Found", "<h1>No</h1>", TokenServiceFails, "says 404 Not Found, as one that renews no tokens does"),
        ("302 Found", "", TokenServiceFails, "says 302 Found"),
        ("401 Unauthorized", r#"{"error": "Who are you?"}"#, TokenServiceFails, "check --oauth-refresh-url"),
        ("403 Forbidden", "{}", TokenServiceFails, "says 403 Forbidden"),
        ("405 Method Not Allowed", "", TokenServiceFails, "says 405 Method Not Allowed"),
        ("200 OK", "[]", TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", "[[]]", TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", "7", TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", "", TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", r#"{"tokenInfo": []}"#, TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", r#"{"tokenInfo": {"token": ""}}"#, TokenServiceFails, "answers without a tokenInfo.token"),
        ("200 OK", r#"{"tokenInfo": {"token": null}}"#, TokenServiceFails, "answers without a tokenInfo.token"),
        (
            "400 Bad Request",
            r#"{"error": "invalid_grant"}"#,
            SignInEnded,
            "(invalid_grant): the authorization has ended; authorize",
        ),
        ("401 Unauthorized", r#"{"error": "invalid_grant"}"#, SignInEnded, "authorize the charm again"),
        ("200 OK", r#"{"error": "bad_refresh_token"}"#, SignInEnded, "authorize the charm again"),
        (
            "401 Unauthorized",
            r#"{"error": "invalid_client"}"#,
            WrongClient,
            "(invalid_client): it does not accept the OAuth client",
        ),
        ("400 Bad Request", r#"{"error": "unauthorized_client"}"#, WrongClient, "does not accept the OAuth client"),
    ];
    for (status, body, cause, reason) in cases {
        let blame = cause.blame();
        let service = Service::start(status, body);
        let home = service.home().await;
        let charm = home.deploy(ended()).await;
        // More of them than disable a charm; of one that waits there is one.
        let enough = if blame == Upstream { 6 } else { 1 };
        let noted = poll_until(&home, &charm, |polls, noted| polls >= enough && noted.last_outcome.is_some()).await;
        let case = format!("{status} {body}: {noted:?}");
        assert!(noted.is_enabled() && noted.status.contains(reason), "{case}");
        assert_eq!((noted.last_blame, noted.last_cause), (Some(blame), Some(cause)), "{case}");
        let (kind, state) = match blame {
            Upstream => (OutcomeKind::Unavailable, RegistrationState::Failing),
            _ => (OutcomeKind::Denied, RegistrationState::Waiting),
        };
        assert_eq!((noted.last_outcome, noted.state(0)), (Some(kind), state), "{case}");
        let runs = home.operator().runs(&charm, 100).await.unwrap();
        assert!(runs.iter().all(|run| run.outcome.cause == Some(cause)), "{case}");
        assert!(!format!("{noted:?}").contains("good-refresh"), "{case}");
    }
}

#[tokio::test]
async fn one_renewal_that_succeeds_has_all_polled_again_that_waited_for_the_client_or_the_service() {
    for (status, body) in [("401 Unauthorized", r#"{"error": "invalid_client"}"#), ("503 Service Unavailable", "")] {
        let works = Arc::<std::sync::atomic::AtomicBool>::default();
        let (now, failing) = (works.clone(), RawAnswer::new(status, "Content-Type: application/json\r\n", body));
        let good = r#"{"tokenInfo": {"token": "new-token", "expiresAt": 4000000000000}}"#;
        let good = RawAnswer::new("200 OK", "Content-Type: application/json\r\n", good);
        let server =
            RawServer::start(move |_| if now.load(Ordering::SeqCst) { good.clone() } else { failing.clone() }).unwrap();
        let url = format!("http://{}/refresh", server.address());
        let home = Home::with(|options| options.oauth_refresh_url = Some(url.parse().unwrap())).await;
        let operator = home.operator();
        let mut charms = Vec::new();
        for number in 0..3 {
            let request = source(&format!("{number}.js"), ended());
            charms.push(operator.deploy(&space_did("mine"), &request).await.unwrap().charm);
        }
        let loops = operator.clone().polling(true);
        for charm in &charms {
            operator.register(charm, &"mail".parse().unwrap()).await.unwrap();
            let error = loops.refresh_auth(charm).await.unwrap_err();
            let (kind, cause) = match error {
                RuntimeError::Unmet { cause, .. } => (OutcomeKind::Denied, cause),
                _ => (OutcomeKind::Unavailable, Cause::TokenServiceFails),
            };
            let outcome = bg_poller::Outcome::failure(kind, error.to_string()).caused_by(cause);
            let (started_at, duration) = (UnixMillis::now(), Duration::ZERO);
            operator.record(&[bg_poller::Run { charm: charm.clone(), started_at, duration, outcome }]).await.unwrap();
        }
        let woken = || async {
            let all = operator.registrations().await.unwrap();
            all.iter().filter(|one| one.woken_at > one.last_run).count()
        };
        assert_eq!(woken().await, 0, "{status}");
        // The operator fixes it elsewhere. The next poll of any of them asks again.
        works.store(true, Ordering::SeqCst);
        let seen = operator.revision().await.unwrap();
        while loops.refresh_auth(&charms[1]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_ne!(operator.revision().await.unwrap(), seen);
        assert_eq!(woken().await, 2, "{status}: the others");
        for charm in &charms {
            operator.refresh_auth(charm).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_renewal_that_names_no_refresh_token_leaves_the_one_that_is_there() {
    for unnamed in ["", r#", "refreshToken": null"#, r#", "refreshToken": """#, r#", "refreshToken": 7"#] {
        let body = format!(r#"{{"tokenInfo": {{"token": "new-token", "expiresAt": 1000{unnamed}}}}}"#);
        let service = Service::start("200 OK", &body);
        let home = service.home().await;
        let charm = home.deploy(ended()).await;
        poll_until(&home, &charm, |polls, _| polls >= 2).await;
        let read = |name: &str| {
            let path = ["auth".to_owned(), name.to_owned()];
            let (operator, charm) = (home.operator(), charm.clone());
            async move { operator.secret(&charm, &path).await.unwrap().expose().to_owned() }
        };
        assert_eq!(
            (read("token").await, read("refreshToken").await),
            ("new-token".into(), "good-refresh".into()),
            "{unnamed}"
        );
    }
}

#[tokio::test]
async fn a_renewal_with_a_time_to_live_is_kept_with_the_time_when_it_ends() {
    for (life, lasts) in [
        (r#""expiresIn": 3599"#, Some(3599)),
        (r#""expiresIn": "3599""#, Some(3599)),
        (r#""expiresIn": 3599, "expiresAt": null"#, Some(3599)),
        // Without one, the end of the token before says nothing of this one.
        (r#""scope": null"#, None),
    ] {
        let service = Service::start("200 OK", &format!(r#"{{"tokenInfo": {{"token": "new-token", {life}}}}}"#));
        let home = service.home().await;
        let charm = home.deploy(ended()).await;
        let before = UnixMillis::now();
        poll_until(&home, &charm, |polls, _| polls >= 3).await;
        let auth = home.cells(&charm).await["auth"].clone();
        let ends = UnixMillis(auth["expiresAt"].as_u64().unwrap());
        match lasts {
            Some(seconds) => {
                let from = before + Duration::from_secs(seconds);
                assert!(ends >= from && ends <= UnixMillis::now() + Duration::from_secs(seconds), "{life}: {auth}");
            }
            None => assert!(ends.is_never(), "{life}: {auth}"),
        }
        assert!(auth.get("scope").is_none(), "{auth}");
        assert_eq!(service.asked.load(Ordering::SeqCst), 1, "{life}");
    }
}

/// A charm whose turn another call has, in a loop that has no patience.
#[tokio::test]
async fn a_poll_without_any_answer_counts_against_nobody() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let operator = home.operator();
    operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
    let _turn = home.runtime.turns.take(&charm).await.unwrap();
    let options =
        PollerOptions { poll_timeout: Duration::from_millis(50), limit: Limit::Once, ..PollerOptions::default() };
    let poller = Poller::new(Arc::new(operator.clone()), Arc::new(home.runtime.poll_store()), vec![], options);
    poller.run(CancellationToken::new()).await.unwrap();
    let [noted] = operator.registrations().await.unwrap().try_into().unwrap();
    assert_eq!((noted.last_outcome, noted.last_blame), (Some(OutcomeKind::Timeout), Some(Blame::Service)), "{noted:?}");
    assert_eq!(noted.state(0), RegistrationState::Failing);
    assert!(noted.status.contains("the poll did not end within"), "{noted:?}");
    // Nothing is written of failures.
    assert!(home.runtime.poll_store().load().await.unwrap().iter().all(|state| state.failures == 0));
}

/// Two charms in two spaces, both registered.
async fn two(home: &Home) -> [(LocalHandle, CharmRef); 2] {
    let mut both = Vec::new();
    for name in ["one", "two"] {
        let operator = home.operator();
        let charm = operator.deploy(&space_did(name), &source("guest.js", json!({"log": name}))).await.unwrap().charm;
        operator.register(&charm, &"mail".parse().unwrap()).await.unwrap();
        both.push((operator, charm));
    }
    both.try_into().unwrap()
}

fn write(home: &Home, statement: &str, of: &CharmRef) {
    let database = Connection::open(home.database()).unwrap();
    assert_eq!(database.execute(statement, [of.space.as_str()]).unwrap(), 1, "{statement}");
}

#[tokio::test]
async fn what_is_damaged_of_one_charm_is_no_trouble_of_others() {
    let home = Home::new().await;
    let [(operator, damaged), (_, sound)] = two(&home).await;
    write(
        &home,
        "UPDATE cells SET sealed = 0, document = x'ff' WHERE name = 'log' AND charm = (SELECT row FROM charms WHERE space = ?1)",
        &damaged,
    );
    let error = operator.trigger(&damaged, "append", &json!({})).await.unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Unmet { cause: Cause::Damaged, message: text } if text.contains("the cell log of") && text.contains("runtime.db")),
        "{error:?}"
    );
    assert!(operator.trigger(&sound, "append", &json!({})).await.unwrap().is_success());
    // Which can be fixed as the error says.
    let whole = SetRequest { path: vec!["log".into()], value: json!(""), create: false };
    operator.set(&damaged, &whole).await.unwrap();
    assert!(operator.trigger(&damaged, "append", &json!({})).await.unwrap().is_success());
    // Its registration.
    write(
        &home,
        "UPDATE registrations SET integration = '\n' WHERE charm = (SELECT row FROM charms WHERE space = ?1)",
        &damaged,
    );
    let listed: Vec<CharmRef> = operator.registrations().await.unwrap().into_iter().map(|one| one.charm).collect();
    assert_eq!(listed, [sound]);
}

#[tokio::test]
async fn a_damaged_access_list_is_the_trouble_of_its_space() {
    let home = Home::new().await;
    let [(_, damaged), (_, sound)] = two(&home).await;
    let database = Connection::open(home.database()).unwrap();
    database.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let changed =
        database.execute("UPDATE acl SET level = 'all' WHERE space = ?1 AND subject = '*'", [damaged.space.as_str()]);
    assert_eq!(changed.unwrap(), 1);
    let ann = home.signed("ann");
    let error = ann.trigger(&damaged, "append", &json!({})).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unavailable { scope: Scope::Space, .. }), "{error:?}");
    assert!(ann.trigger(&sound, "append", &json!({})).await.unwrap().is_success());
}
