//! Against `oidc-provider`.

use std::time::Duration;

use bg_oauth::{Callback, Class, DevicePoll, OAuthClient, Scopes};
use bg_test_support::{OidcOptions, OidcProvider};

use crate::{REDIRECT, answered, client, http, seconds, sign_in};

/// Discovers the provider's endpoints.
async fn desktop(peer: &OidcProvider) -> OAuthClient {
    named(peer, "desktop", "desktop-secret", "").await
}

async fn named(peer: &OidcProvider, id: &str, secret: &str, more: &str) -> OAuthClient {
    let toml = format!(
        "[work]\nissuer = \"{}\"\nscopes = [\"openid\", \"email\", \"offline_access\"]\n\
         auth-params = {{ prompt = \"consent\" }}\n{more}",
        peer.issuer()
    );
    client(&toml, "work", id, secret, http(&[peer.issuer()])).await.unwrap()
}

#[tokio::test]
async fn a_person_signs_in_and_the_token_is_renewed_each_time_with_another_refresh_token() {
    let Some(peer) = OidcProvider::start(&OidcOptions { access_seconds: 600, ..OidcOptions::default() }) else {
        return;
    };
    let client = desktop(&peer).await;
    assert!(client.endpoints().iss && client.endpoints().revocation.is_some());
    let tokens = sign_in(&client, "mail.read", |url| peer.sign_in(url, REDIRECT)).await.unwrap();
    let person = tokens.person.as_ref().unwrap();
    assert_eq!((person.subject.as_str(), person.label()), ("someone", "someone@example.com"));
    assert_eq!(tokens.expires_in, seconds(600));
    assert_eq!(tokens.granted.as_ref().unwrap().to_string(), "openid email offline_access mail.read");
    let first = tokens.refresh.unwrap();
    let second = client.refresh(&first).await.unwrap().refresh.unwrap();
    let third = client.refresh(&second).await.unwrap().refresh.unwrap();
    assert!(first.expose() != second.expose() && second.expose() != third.expose());
    // An old one, used once more, ends them all.
    let error = client.refresh(&first).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Ended, Some("invalid_grant")));
    assert_eq!(client.refresh(&third).await.unwrap_err().class(), Class::Ended);
}

#[tokio::test]
async fn a_secret_with_any_characters_proves_the_client_in_the_header() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let client = named(&peer, "basic", "basic/secret+with:signs", "token-auth = \"basic\"").await;
    let tokens = sign_in(&client, "", |url| peer.sign_in(url, REDIRECT)).await.unwrap();
    assert!(client.refresh(&tokens.refresh.unwrap()).await.is_ok());
}

#[tokio::test]
async fn what_was_not_granted_is_known_and_a_refusal_is_an_error_of_its_own() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let client = desktop(&peer).await;
    peer.withhold(&["calendar.read"]);
    let (kept, url) = answered(&client, "mail.read calendar.read", |url| peer.sign_in(url, REDIRECT));
    let tokens = client.finish(&kept, &Callback::pasted(&url, &kept.redirect).unwrap()).await.unwrap();
    let missing = client.provider().missing(&kept.asked, tokens.granted.as_ref().unwrap());
    assert_eq!(missing.to_string(), "calendar.read");
    peer.deny(true);
    let error = sign_in(&client, "mail.read", |url| peer.sign_in(url, REDIRECT)).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Refused, Some("access_denied")));
    assert!(error.to_string().contains("the person refused"), "{error}");
}

#[tokio::test]
async fn a_wrong_client_is_the_operators_to_fix() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let client = named(&peer, "desktop", "wrong-secret", "").await;
    let error = sign_in(&client, "", |url| peer.sign_in(url, REDIRECT)).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::WrongClient, Some("invalid_client")));
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
}

#[tokio::test]
async fn a_revoked_grant_has_ended_and_can_be_revoked_again() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let client = desktop(&peer).await;
    let tokens = sign_in(&client, "", |url| peer.sign_in(url, REDIRECT)).await.unwrap();
    let refresh = tokens.refresh.unwrap();
    for _ in 0..2 {
        assert!(client.revoke(Some(&tokens.access), Some(&refresh)).await.unwrap());
    }
    assert_eq!(client.refresh(&refresh).await.unwrap_err().class(), Class::Ended);
    assert_eq!(client.person(&tokens.access).await.unwrap_err().class(), Class::Ended);
}

#[tokio::test]
async fn a_person_signs_in_on_another_device() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let client = desktop(&peer).await;
    let mut device = client.begin_device(&Scopes::parse("mail.read").unwrap()).await.unwrap();
    assert!(device.verification.starts_with(peer.issuer()) && device.verification_complete.is_some());
    let pending = client.poll_device(&mut device).await.unwrap();
    assert!(matches!(pending, DevicePoll::Pending(pause) if pause >= Duration::from_secs(1)), "{pending:?}");
    peer.approve(&device.user_code);
    let DevicePoll::Done(tokens) = client.poll_device(&mut device).await.unwrap() else { panic!("it is approved") };
    assert_eq!(tokens.person.as_ref().unwrap().subject, "someone");
    assert!(client.refresh(tokens.refresh.as_ref().unwrap()).await.is_ok());
}
