use bg_charm_api::{AccessLevel, Actor, SetRequest, Spaces, Subject};
use bg_poller::{CharmRef, CharmRuntime, RuntimeError};
use serde_json::{Value, json};

use crate::LocalHandle;
use crate::local::testing::{Home, source, space};

async fn set(handle: &LocalHandle, charm: &CharmRef, path: &str, value: Value) -> Result<(), RuntimeError> {
    let path = path.split('.').map(str::to_owned).collect();
    handle.set(charm, &SetRequest { path, value, create: false }).await
}

#[tokio::test]
async fn a_value_is_set_as_a_handler_would_and_what_is_secret_is_sealed() {
    let home = Home::new().await;
    let charm = home.deploy(json!({"user": {"email": "ann@example.com"}})).await;
    let operator = home.operator();
    set(&operator, &charm, "auth.user.name", json!("Ann")).await.unwrap();
    set(&operator, &charm, "auth.apiKey", json!("key-SECRET-1")).await.unwrap();
    set(&operator, &charm, "log", json!("b")).await.unwrap();
    let expected =
        json!({"auth": {"apiKey": "(secret)", "user": {"email": "ann@example.com", "name": "Ann"}}, "log": "b"});
    assert_eq!(home.cells(&charm).await, expected);
    let secret = operator.secret(&charm, &["auth", "apiKey"].map(str::to_owned)).await.unwrap();
    assert_eq!(secret.expose(), "key-SECRET-1");
    for file in std::fs::read_dir(home.dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"SECRET"));
    }
    assert!(home.trigger(&charm, "append", json!({})).await.unwrap().is_success());
    assert_eq!(home.cells(&charm).await["log"], "ba");
    assert_eq!(operator.runs(&charm, 10).await.unwrap().len(), 1, "it is no run");
    let debugged = format!("{:?}", SetRequest { path: vec!["a".into()], value: json!("SECRET"), create: false });
    assert!(!debugged.contains("SECRET"), "{debugged}");
}

#[tokio::test]
async fn what_cannot_be_set_is_an_error_that_says_why_and_changes_nothing() {
    let home = Home::new().await;
    let charm = home.deploy(json!({"token": "tok-SECRET"})).await;
    let before = home.cells(&charm).await;
    let deep = (0..100).fold(json!(1), |value, _| json!([value]));
    let cases = [
        ("bgUpdater", json!(1), "bgUpdater of did:key:"),
        ("nothing", json!(1), "has no cell \"nothing\"; its cells: auth, log; --create makes a new one"),
        ("log.x", json!(1), "log is a text, and neither an object nor an array"),
        ("auth.token.x", json!(1), "auth.token is a text"),
        ("auth.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.1.2.3", deep, "nested deeper than 128 levels"),
        ("log", json!("x".repeat(64 << 20)), "and may take 67108864"),
    ];
    for (path, value, expected) in cases {
        let error = set(&home.operator(), &charm, path, value).await.unwrap_err();
        assert!(matches!(&error, RuntimeError::Unfit(text) if text.contains(expected)), "{path}: {error}");
        assert!(error.to_string().contains(charm.charm.as_str()) && !error.to_string().contains("SECRET"), "{error}");
    }
    for path in [vec![], vec!["x".repeat(257)], vec!["log".to_owned(); 65], vec![String::new()]] {
        let request = SetRequest { path, value: json!(1), create: true };
        let error = home.operator().set(&charm, &request).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Invalid(_)), "{error}");
    }
    assert_eq!(home.cells(&charm).await, before);
    let request = SetRequest { path: ["new", "a", "0"].map(str::to_owned).to_vec(), value: json!(1), create: true };
    home.operator().set(&charm, &request).await.unwrap();
    assert_eq!(home.cells(&charm).await["new"], json!({"a": {"0": 1}}));
}

#[tokio::test]
async fn to_set_a_value_takes_write_access() {
    let home = Home::new().await;
    let charm = home.signed("ann").deploy(&space(), &source("guest.js", json!({}))).await.unwrap().charm;
    set(&home.signed("ben"), &charm, "log", json!("")).await.unwrap();
    home.signed("ann").set_acl(&space(), &Subject::Anyone, Some(AccessLevel::Read)).await.unwrap();
    let error = set(&home.signed("ben"), &charm, "log", json!("x")).await.unwrap_err();
    assert!(error.to_string().contains("has READ access and needs WRITE"), "{error}");
    let error = set(&home.runtime.as_actor(Actor::Anonymous), &charm, "log", json!("x")).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Authorization { .. }), "{error}");
    assert_eq!(home.cells(&charm).await["log"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn values_that_are_set_and_handlers_of_several_processes_lose_nothing_of_each_other() {
    let home = Home::new().await;
    let charm = home.deploy(json!({})).await;
    let triggering = [home.runtime.clone(), home.another()].map(|runtime| {
        let charm = charm.clone();
        tokio::spawn(async move {
            let handle = runtime.as_actor(Actor::Operator);
            let mut kept = 0;
            for _ in 0..15 {
                match handle.trigger(&charm, "append", &json!({})).await {
                    Ok(outcome) => kept += usize::from(outcome.is_success()),
                    Err(error) => assert!(error.to_string().contains("nothing was kept"), "{error}"),
                }
            }
            kept
        })
    });
    let setting = {
        let (handle, charm) = (home.another().as_actor(Actor::Operator), charm.clone());
        tokio::spawn(async move {
            for number in 0..15 {
                set(&handle, &charm, &format!("auth.n{number}"), json!(number)).await.unwrap();
            }
        })
    };
    let mut kept = 0;
    for one in triggering {
        kept += one.await.unwrap();
    }
    setting.await.unwrap();
    let cells = home.cells(&charm).await;
    assert_eq!(cells["log"], "a".repeat(kept));
    assert_eq!(cells["auth"].as_object().unwrap().len(), 15, "{cells}");
    assert!(kept > 0);
}
