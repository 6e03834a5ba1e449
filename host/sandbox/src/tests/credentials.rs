//! The tokens that the gate attaches, and when they are renewed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bg_egress::{CredentialError, CredentialSource, Owner, RequestCharm};
use bg_identity::Secret;
use bg_poller::{Cause, RuntimeError, UnixMillis};
use tokio::task::JoinSet;

use crate::credentials::of_runtime;
use crate::testing::{MemoryRuntime, capture_log, charm, runtime_with};
use crate::{CharmCredentials, Registrations};

fn gmail() -> Owner {
    Owner::Integration("gmail".parse().unwrap())
}

/// One charm `a` of gmail, whose token ends in this many seconds, if known.
fn signed_in(ends_in: Option<i64>) -> (Arc<CharmCredentials>, Arc<MemoryRuntime>) {
    let runtime = runtime_with(&[(charm("a"), "gmail", true)]);
    *runtime.oauth.expires_at.lock().unwrap() = ends_in.map(in_seconds);
    *runtime.oauth.then.lock().unwrap() = Some(in_seconds(3_600));
    (Arc::new(CharmCredentials::new(Registrations::new("gmail".parse().unwrap(), runtime.clone()))), runtime)
}

fn in_seconds(seconds: i64) -> UnixMillis {
    UnixMillis(UnixMillis::now().0.saturating_add_signed(seconds * 1_000))
}

fn known(name: &str) -> RequestCharm {
    RequestCharm::Known(Arc::new(charm(name)))
}

async fn bearer(credentials: &CharmCredentials) -> String {
    let path = "charm.auth.token".parse().unwrap();
    credentials.bearer(&gmail(), &known("a"), &path).await.unwrap().expose().to_owned()
}

async fn renewed(credentials: &CharmCredentials, refused: &str) -> Result<Option<String>, CredentialError> {
    let (path, refused) = ("charm.auth.token".parse().unwrap(), Secret::new(refused.to_owned()));
    let renewed = credentials.renewed(&gmail(), &known("a"), &path, &refused).await?;
    Ok(renewed.map(|token| token.expose().to_owned()))
}

fn renewals(runtime: &MemoryRuntime) -> usize {
    runtime.oauth.renewals.load(Ordering::Relaxed)
}

#[tokio::test]
async fn credentials_are_those_of_its_own_enabled_charms() {
    let runtime =
        runtime_with(&[(charm("a"), "gmail", true), (charm("b"), "gmail", false), (charm("c"), "gcal", true)]);
    let credentials = CharmCredentials::new(Registrations::new("gmail".parse().unwrap(), runtime.clone()));
    let owner = Owner::Integration("gmail".parse().unwrap());
    let path = "charm.auth.token".parse().unwrap();
    let secret = credentials.bearer(&owner, &known("a"), &path).await.unwrap();
    assert_eq!(secret.expose(), "ya29");
    let named = RequestCharm::Named(charm("a").to_string());
    assert_eq!(credentials.bearer(&owner, &named, &path).await.unwrap().expose(), "ya29");
    for name in ["b", "c", "x"] {
        let error = credentials.bearer(&owner, &known(name), &path).await.unwrap_err();
        assert!(matches!(error, CredentialError::NotItsCharm { .. }), "{name}: {error}");
    }
    for name in [charm("b").to_string(), charm("c").to_string(), charm("x").to_string(), "../a".into(), String::new()] {
        let error = credentials.bearer(&owner, &RequestCharm::Named(name.clone()), &path).await.unwrap_err();
        assert!(matches!(error, CredentialError::NotItsCharm { .. }), "{name}: {error}");
    }
    let others = Owner::Integration("gcal".parse().unwrap());
    assert!(credentials.bearer(&others, &known("a"), &path).await.is_err());
    let missing = credentials.bearer(&owner, &known("a"), &"charm.other".parse().unwrap()).await.unwrap_err();
    assert!(of_runtime(&missing).is_some_and(|error| !error.is_unavailable()), "{missing}");
    assert_eq!(runtime.listed.load(Ordering::Relaxed), 1, "many requests of a call fetch once");
}

#[tokio::test]
async fn a_token_that_ends_soon_or_has_ended_is_renewed_before_it_is_used() {
    for (ends_in, token) in
        [(None, "ya29"), (Some(3_600), "ya29"), (Some(90), "ya29"), (Some(30), "ya29-1"), (Some(-5), "ya29-1")]
    {
        let (credentials, runtime) = signed_in(ends_in);
        for _ in 0..3 {
            assert_eq!(bearer(&credentials).await, token, "{ends_in:?}");
        }
        assert_eq!(renewals(&runtime), usize::from(token != "ya29"), "{ends_in:?}");
    }
}

#[tokio::test]
async fn concurrent_requests_for_a_new_token_get_the_same_one() {
    let (credentials, runtime) = signed_in(Some(-5));
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let credentials = credentials.clone();
        callers.spawn(async move { bearer(&credentials).await });
    }
    assert_eq!(callers.join_all().await, vec!["ya29-1"; 20]);
    assert_eq!(renewals(&runtime), 1);

    let (credentials, runtime) = signed_in(None);
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let credentials = credentials.clone();
        callers.spawn(async move { renewed(&credentials, "ya29").await.unwrap() });
    }
    assert_eq!(callers.join_all().await, vec![Some("ya29-1".to_owned()); 20]);
    assert_eq!(renewals(&runtime), 1);
    // A late request with the old one gets it, too.
    assert_eq!(renewed(&credentials, "ya29").await.unwrap().as_deref(), Some("ya29-1"));
    assert_eq!(renewals(&runtime), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_every_token_causes_one_renewal_a_minute() {
    let (credentials, runtime) = signed_in(None);
    assert_eq!(renewed(&credentials, "ya29").await.unwrap().as_deref(), Some("ya29-1"));
    for _ in 0..50 {
        assert_eq!(renewed(&credentials, "ya29-1").await.unwrap(), None);
    }
    assert_eq!(renewals(&runtime), 1);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(renewed(&credentials, "ya29-1").await.unwrap().as_deref(), Some("ya29-2"));
    // Neither does a token that always ends soon.
    *runtime.oauth.then.lock().unwrap() = Some(in_seconds(5));
    *runtime.oauth.expires_at.lock().unwrap() = Some(in_seconds(5));
    for _ in 0..50 {
        assert_eq!(bearer(&credentials).await, "ya29-2");
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    for _ in 0..50 {
        assert_eq!(bearer(&credentials).await, "ya29-3");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_while_the_server_accepts_it() {
    let (lines, _guard) = capture_log();
    let (credentials, runtime) = signed_in(Some(-5));
    runtime.oauth.is_down.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(bearer(&credentials).await, "ya29");
    }
    let logged = lines.all();
    assert_eq!(logged.len(), 1, "logged once: {logged:?}");
    assert!(logged[0].contains("cannot be renewed: the charm runtime is unavailable"), "{logged:?}");
    // The one attempt of this minute is used up: a further request for a new token gets its error.
    let cause = |error: CredentialError| of_runtime(&error).map(RuntimeError::cause);
    assert_eq!(cause(renewed(&credentials, "ya29").await.unwrap_err()), Some(Cause::RuntimeAway));
    assert_eq!((renewals(&runtime), lines.all().len()), (0, 1));

    let (credentials, runtime) = signed_in(None);
    runtime.oauth.is_down.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(cause(renewed(&credentials, "ya29").await.unwrap_err()), Some(Cause::RuntimeAway));
    }
    assert_eq!(lines.all().len(), 2, "logged once: {:?}", lines.all());
}

#[tokio::test]
async fn only_the_oauth_token_of_an_own_charm_is_renewed() {
    let (credentials, runtime) = signed_in(Some(-5));
    for (name, path, refusal) in [("b", "charm.auth.token", true), ("a", "charm.apiKey", false)] {
        let (name, path) = (charm(name).to_string(), path.parse().unwrap());
        match credentials
            .renewed(&gmail(), &RequestCharm::Named(name.clone()), &path, &Secret::new("ya29".to_owned()))
            .await
        {
            Err(CredentialError::NotItsCharm { .. }) => assert!(refusal, "{name}"),
            renewed => assert!(!refusal && renewed.unwrap().is_none(), "{name}"),
        }
    }
    assert_eq!(renewals(&runtime), 0);
}
