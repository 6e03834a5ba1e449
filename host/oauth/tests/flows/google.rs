//! Against the loopback Google.

use std::time::Duration;

use bg_oauth::{Callback, Class, Client, OAuthClient, OAuthError, Providers, Scopes};
use bg_test_support::{FakeGoogle, follow_redirects};

use crate::{REDIRECT, answered, http, seconds, sign_in};

const MAIL: &str = "https://www.googleapis.com/auth/gmail.readonly";
const CALENDAR: &str = "https://www.googleapis.com/auth/calendar.readonly";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn desktop(google: &FakeGoogle, more: &str) -> OAuthClient {
    let providers = Providers::built_in().extended_by(&format!("{}{more}", google.provider())).unwrap();
    let (client, _) = Client::from_google(&google.client_file()).unwrap();
    OAuthClient::new(http(&[&google.base_url()]), providers.get("google").unwrap().clone(), client).await.unwrap()
}

fn visit(url: &str) -> String {
    follow_redirects(url, REDIRECT).unwrap()
}

#[tokio::test]
async fn mail_is_read_with_the_token_and_after_an_hour_with_the_next_one() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    let tokens = sign_in(&client, MAIL, visit).await.unwrap();
    assert_eq!(tokens.person.as_ref().unwrap().label(), google.user());
    assert_eq!(tokens.expires_in, seconds(3599));
    let refresh = tokens.refresh.unwrap();
    let profile = |token: &str| {
        let address = google.base_url().strip_prefix("http://").unwrap().parse().unwrap();
        let token = format!("Bearer {token}");
        let profile = "/gmail/v1/users/me/profile";
        bg_test_support::request(address, "GET", profile, &[("Authorization", &token)], b"").unwrap().status
    };
    assert_eq!(profile(tokens.access.expose()), 200);
    google.advance(Duration::from_secs(3600));
    assert_eq!(profile(tokens.access.expose()), 401);
    let renewed = client.refresh(&refresh).await.unwrap();
    assert_eq!(profile(renewed.access.expose()), 200);
    // Google does not replace it.
    assert!(renewed.refresh.is_none());
}

#[tokio::test]
async fn what_a_person_ticks_off_is_named() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    google.withhold_scopes(&[CALENDAR]);
    let (kept, url) = answered(&client, &format!("{MAIL} {CALENDAR} profile"), visit);
    let tokens = client.finish(&kept, &Callback::pasted(&url, &kept.redirect).unwrap()).await.unwrap();
    let missing = client.provider().missing(&kept.asked, tokens.granted.as_ref().unwrap());
    assert_eq!(missing.to_string(), CALENDAR);
    google.deny_sign_in(true);
    let error = sign_in(&client, MAIL, visit).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Refused, Some("access_denied")));
}

#[tokio::test]
async fn a_grant_ends_after_a_week_of_testing_with_the_password_or_by_the_person() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    let ended = |error: OAuthError| assert_eq!((error.class(), error.code()), (Class::Ended, Some("invalid_grant")));
    google.be_in_testing(true);
    let refresh = sign_in(&client, MAIL, visit).await.unwrap().refresh.unwrap();
    google.advance(6 * DAY);
    assert!(client.refresh(&refresh).await.is_ok());
    google.advance(DAY);
    ended(client.refresh(&refresh).await.unwrap_err());
    google.be_in_testing(false);
    let mail = sign_in(&client, MAIL, visit).await.unwrap().refresh.unwrap();
    let calendar = sign_in(&client, CALENDAR, visit).await.unwrap().refresh.unwrap();
    google.advance(30 * DAY);
    google.change_password(google.user());
    ended(client.refresh(&mail).await.unwrap_err());
    assert!(client.refresh(&calendar).await.is_ok());
    google.end_grants(google.user());
    ended(client.refresh(&calendar).await.unwrap_err());
}

#[tokio::test]
async fn two_accounts_are_told_apart_and_each_has_its_own_grant() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    let one = sign_in(&client, MAIL, visit).await.unwrap();
    google.sign_in_as("other@example.com");
    let other = sign_in(&client, MAIL, visit).await.unwrap();
    let (first, second) = (one.person.unwrap(), other.person.unwrap());
    assert_ne!(first.subject, second.subject);
    assert_eq!(second.label(), "other@example.com");
    assert!(client.revoke(None, other.refresh.as_ref()).await.unwrap());
    assert_eq!(client.refresh(&other.refresh.unwrap()).await.unwrap_err().class(), Class::Ended);
    assert!(client.refresh(&one.refresh.unwrap()).await.is_ok());
    // Ended already: no error.
    assert!(client.revoke(None, Some(&"1//never".to_owned().into())).await.unwrap());
}

#[tokio::test]
async fn an_outage_ends_nothing() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    let refresh = sign_in(&client, MAIL, visit).await.unwrap().refresh.unwrap();
    google.make_token_endpoint_fail(1);
    assert_eq!(client.refresh(&refresh).await.unwrap_err().class(), Class::Temporary);
    assert!(client.refresh(&refresh).await.is_ok());
    let gone = google.base_url();
    drop(google);
    let error = client.refresh(&refresh).await.unwrap_err();
    assert_eq!(error.class(), Class::Temporary);
    assert!(error.to_string().contains(&gone), "{error}");
}

#[tokio::test]
async fn a_second_sign_in_has_a_refresh_token_only_if_it_asks_for_consent() {
    let google = FakeGoogle::start().unwrap();
    let asks = desktop(&google, "").await;
    let does_not = desktop(&google, "auth-params = { access_type = \"offline\" }").await;
    for (client, gets) in [(&does_not, true), (&does_not, false), (&asks, true)] {
        assert_eq!(sign_in(client, MAIL, visit).await.unwrap().refresh.is_some(), gets);
    }
}

#[tokio::test]
async fn googles_device_flow_is_not_tried_for_mail() {
    let google = FakeGoogle::start().unwrap();
    let client = desktop(&google, "").await;
    let error = client.begin_device(&Scopes::parse(MAIL).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("sign in with a browser"), "{error}");
}
