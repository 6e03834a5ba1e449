use bg_charm_api::Spaces;
use bg_poller::{CharmRuntime, Lookup, RuntimeError};
use serde_json::{Value, json};

use crate::local::testing::{Home, source, space};
use crate::{LocalOptions, LocalRuntime, OpenError};

fn inputs() -> Value {
    json!({"token": "tok-SECRET-1", "refreshToken": "ref-SECRET-2", "apiKey": "key-SECRET-3", "user": {"email": "ann@example.com"}})
}

fn keys(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_view_answers_no_secret() {
    let home = Home::new().await;
    let charm = home.deploy(inputs()).await;
    let view = home.operator().open(&charm).await.unwrap();
    let visible = json!({"user": {"email": "ann@example.com"}});
    assert_eq!(view.get(&keys("auth")).await.unwrap(), Lookup::Value(visible));
    for path in ["auth.token", "auth.refreshToken", "auth.apiKey", "auth.token.x"] {
        assert_eq!(view.get(&keys(path)).await.unwrap(), Lookup::Secret, "{path}");
    }
    let masked = "(secret)";
    let expected =
        json!({"token": masked, "refreshToken": masked, "apiKey": masked, "user": {"email": "ann@example.com"}});
    assert_eq!(home.cells(&charm).await["auth"], expected);
    let debugged = format!("{:?}", source("guest.js", inputs()));
    assert!(!debugged.contains("SECRET"), "{debugged}");
}

#[tokio::test]
async fn the_gate_gets_what_is_marked_secret_and_nothing_else() {
    let home = Home::new().await;
    let charm = home.deploy(inputs()).await;
    let secret = home.operator().secret(&charm, &keys("auth.token")).await.unwrap();
    assert_eq!(secret.expose(), "tok-SECRET-1");
    let empty = home.deploy(json!({"token": ""})).await;
    let number = home.deploy(json!({"token": 1})).await;
    let cases = [
        (&charm, "auth.user.email", "is not marked secret"),
        (&charm, "auth", "is not marked secret"),
        (&charm, "log", "is not marked secret"),
        (&empty, "auth.token", "is empty; authorize the charm first"),
        (&empty, "auth.apiKey", "is empty; authorize the charm first"),
        (&number, "auth.token", "is not a text"),
    ];
    for (charm, path, expected) in cases {
        match home.operator().secret(charm, &keys(path)).await {
            Err(RuntimeError::Unfit(text) | RuntimeError::Unmet { message: text, .. }) => {
                assert!(text.contains(expected), "{text}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(home.operator().secret(&charm, &[]).await.is_err());
}

#[tokio::test]
async fn no_secret_is_on_the_disk_in_the_clear() {
    let home = Home::new().await;
    let charm = home.deploy(inputs()).await;
    home.operator().register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    // A handler that quotes its token.
    let attempt = bg_abuse::Attempt::begin("secrets", "a handler's error text, in its outcome and on the disk");
    let outcome = home.trigger(&charm, "fail", json!("401 for tok-SECRET-1")).await.unwrap();
    assert_eq!(outcome.message.as_deref(), Some("\"401 for (secret)\""));
    home.trigger(&charm, "append", json!({})).await.unwrap();

    let mut seen = false;
    for file in std::fs::read_dir(home.dir()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!holds(b"SECRET"), "{}", path.display());
        seen |= holds(b"guest.js");
    }
    assert!(seen, "what is not secret is found by the same search");
    attempt.ended("no byte of it");
}

#[tokio::test]
async fn secrets_outlive_the_process_and_a_lost_key_is_named() {
    let home = Home::new().await;
    let charm = home.deploy(inputs()).await;
    let other = home.another();
    let secret = other.as_actor(bg_charm_api::Actor::Operator).secret(&charm, &keys("auth.token")).await.unwrap();
    assert_eq!(secret.expose(), "tok-SECRET-1");

    let key = home.dir().join("secrets.key");
    std::fs::rename(&key, home.dir().join("elsewhere")).unwrap();
    let error = LocalRuntime::open(LocalOptions::new(home.database())).unwrap_err();
    assert!(matches!(&error, OpenError::Key(_)) && error.to_string().contains("secrets.key is missing"), "{error}");
    let options =
        LocalOptions { secrets_key: Some(home.dir().join("elsewhere")), ..LocalOptions::new(home.database()) };
    LocalRuntime::open(options).unwrap();
}

#[tokio::test]
async fn no_key_is_made_before_there_is_a_secret() {
    let home = Home::new().await;
    assert!(!home.dir().join("secrets.key").exists());
    home.operator().deploy(&space(), &source("guest.js", json!({}))).await.unwrap();
    assert!(home.dir().join("secrets.key").exists(), "the cell auth is sealed");
}
