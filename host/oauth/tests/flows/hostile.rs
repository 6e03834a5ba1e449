//! What hostile people, pages and providers try.

use std::sync::Arc;
use std::time::Duration;

use bg_abuse::Attempt;
use bg_oauth::{Callback, Class, Http, HttpOptions, OAuthClient, OAuthError, SignIn, Verifier};
use bg_test_support::{FakeGoogle, OidcOptions, OidcProvider, RawAnswer, RawRequest, RawServer, follow_redirects};

use crate::{Names, REDIRECT, answered, client, http};

const MAIL: &str = "https://www.googleapis.com/auth/gmail.readonly";

async fn at_google(google: &FakeGoogle) -> OAuthClient {
    let file: serde_json::Value = serde_json::from_str(&google.client_file()).unwrap();
    let text = |name: &str| file["installed"][name].as_str().unwrap().to_owned();
    let http = http(&[&google.base_url()]);
    client(&google.provider(), "google", &text("client_id"), &text("client_secret"), http).await.unwrap()
}

fn visit(url: &str) -> String {
    follow_redirects(url, REDIRECT).unwrap()
}

async fn finish(client: &OAuthClient, sign_in: &SignIn, url: &str) -> Result<bg_oauth::Tokens, OAuthError> {
    client.finish(sign_in, &Callback::pasted(url, &sign_in.redirect)?).await
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_stray_and_its_code_is_never_sent() {
    let attempt = Attempt::begin("login", "answers with another's, a guessed, an old and no state");
    let google = FakeGoogle::start().unwrap();
    let client = at_google(&google).await;
    // The attacker's own sign-in, whose answer is to be finished by the victim.
    let (_, attackers) = answered(&client, MAIL, visit);
    let (victims, good) = answered(&client, MAIL, visit);
    let guessed = format!("{REDIRECT}?state=AAAA&code=4/0Ab");
    for url in [&attackers, &guessed] {
        let callback = Callback::pasted(url, &victims.redirect).unwrap();
        assert!(!victims.is_answered_by(&callback));
        assert!(matches!(client.finish(&victims, &callback).await, Err(OAuthError::Stray)), "{url}");
    }
    assert!(Callback::pasted(&format!("{REDIRECT}?code=4/0Ab"), &victims.redirect).is_err());
    assert_eq!(google.take_exchanges(), [""; 0]);
    // None of that has ended the sign-in.
    assert!(finish(&client, &victims, &good).await.is_ok());
    attempt.ended("stray; no code sent; the right answer still counts");
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_without_the_verifier_and_a_used_one_ends_its_grant() {
    let attempt = Attempt::begin("codes", "a stolen code with another verifier; a code once more");
    let google = FakeGoogle::start().unwrap();
    let client = at_google(&google).await;
    let (kept, url) = answered(&client, MAIL, visit);
    let thief = SignIn { verifier: Some(Verifier::new().unwrap()), ..kept.clone() };
    let error = finish(&client, &thief, &url).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (Class::Refused, Some("invalid_grant")));
    let (kept, url) = answered(&client, MAIL, visit);
    let tokens = finish(&client, &kept, &url).await.unwrap();
    assert_eq!(finish(&client, &kept, &url).await.unwrap_err().class(), Class::Refused);
    assert_eq!(client.refresh(&tokens.refresh.unwrap()).await.unwrap_err().class(), Class::Ended);
    attempt.ended("refused by PKCE; the grant of the code used twice has ended");
}

#[tokio::test]
async fn a_code_of_one_provider_is_never_sent_to_another() {
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    let attempt =
        Attempt::begin("mix-up", "another provider's answer, issuer or sign-in; no issuer where one is promised");
    let google = FakeGoogle::start().unwrap();
    let at_google = at_google(&google).await;
    let toml = format!("[work]\nissuer = \"{}\"\nscopes = [\"openid\"]", peer.issuer());
    let work = client(&toml, "work", "desktop", "desktop-secret", http(&[peer.issuer()])).await.unwrap();
    let (kept, url) = answered(&work, "", |url| peer.sign_in(url, REDIRECT));
    // The kept state of one provider at the other's client.
    assert!(matches!(finish(&at_google, &kept, &url).await, Err(OAuthError::Stray)));
    let issuer: String = url::form_urlencoded::byte_serialize(peer.issuer().as_bytes()).collect();
    for changed in [url.replace(&issuer, "https%3A%2F%2Fevil.example"), url.replace("iss=", "was=")] {
        assert_ne!(changed, url);
        assert!(matches!(finish(&work, &kept, &changed).await, Err(OAuthError::OtherIssuer { .. })), "{changed}");
    }
    assert_eq!(peer.requests().get("POST /token"), None);
    assert_eq!(google.take_exchanges(), [""; 0]);
    assert!(finish(&work, &kept, &url).await.is_ok());
    attempt.ended("refused before the code is sent");
}

/// A provider whose token endpoint is this server.
async fn at(server: &RawServer) -> OAuthClient {
    let base = format!("http://{}", server.address());
    let toml = format!("[work]\nauthorization = \"{base}/authorize\"\ntoken = \"{base}/token\"");
    client(&toml, "work", "me", "client-secret", http(&[&base])).await.unwrap()
}

#[tokio::test]
async fn no_answer_of_a_token_endpoint_takes_memory_time_or_the_secret() {
    let attempt =
        Attempt::begin("answers", "endless, huge, nested, broken and redirecting answers of a token endpoint");
    let elsewhere = FakeGoogle::start().unwrap();
    let json = "Content-Type: application/json\r\n";
    let to = format!("Location: {}/token\r\n", elsewhere.base_url());
    let endless = RawAnswer::Endless {
        start: format!("HTTP/1.1 200 OK\r\n{json}\r\n{{\"access_token\":\"").into_bytes(),
        again: vec![b'a'; 16 * 1024],
        every: Duration::ZERO,
    };
    let nested = format!("{{\"access_token\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let huge = format!("{{\"access_token\":\"{}\"}}", "a".repeat(100_000));
    let header = "{\"access_token\":\"a\\r\\nX-Injected: 1\"}";
    let echoed = "{\"error\":\"invalid_request\",\"error_description\":\"1//refresh client-secret\"}";
    let cases: Vec<(RawAnswer, Class)> = vec![
        (endless, Class::Odd),
        (RawAnswer::new("200 OK", json, huge), Class::Odd),
        (RawAnswer::new("200 OK", json, nested), Class::Odd),
        (RawAnswer::new("200 OK", json, header), Class::Odd),
        (RawAnswer::new("200 OK", json, "\u{feff}null"), Class::Odd),
        (RawAnswer::new("200 OK", "Content-Type: text/html\r\n", "<script>"), Class::Odd),
        (RawAnswer::new("307 Temporary Redirect", &to, ""), Class::Odd),
        (RawAnswer::new("302 Found", &to, ""), Class::Odd),
        (RawAnswer::new("400 Bad Request", json, echoed), Class::WrongClient),
        (RawAnswer::Close, Class::Temporary),
        (RawAnswer::Whole(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()), Class::Temporary),
    ];
    for (answer, class) in cases {
        let shown = format!("{answer:?}").chars().take(120).collect::<String>();
        let server = RawServer::start(move |_: &RawRequest| answer.clone()).unwrap();
        let client = at(&server).await;
        let error = client.refresh(&"1//refresh".to_owned().into()).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(error.class(), class, "{shown}: {message}");
        assert!(!message.contains("1//refresh") && !message.contains("client-secret"), "{message}");
        assert!(!message.contains('\r') && message.len() < 1_000, "{message}");
        // What is not read is not waited for, either.
        assert!(server.sent() < 16 * 1024 * 1024);
    }
    assert_eq!(elsewhere.take_exchanges(), [""; 0], "a redirect was followed");
    attempt.ended("refused after 64 KiB; no redirect followed; no secret in a message");
}

#[tokio::test]
async fn a_token_endpoint_that_never_answers_is_given_up() {
    let server = RawServer::start(|_: &RawRequest| RawAnswer::Silence).unwrap();
    let base = format!("http://{}", server.address());
    let toml = format!("[work]\nauthorization = \"{base}/a\"\ntoken = \"{base}/token\"");
    let allow_private = vec![base.parse().unwrap()];
    let time = Duration::from_millis(200);
    let http = Http::new(HttpOptions { allow_private, time, ..HttpOptions::default() });
    let client = client(&toml, "work", "me", "", http).await.unwrap();
    let error = client.refresh(&"r".to_owned().into()).await.unwrap_err();
    assert_eq!(error.class(), Class::Temporary, "{error}");
}

#[tokio::test]
async fn no_discovery_document_leads_to_an_address_inside() {
    let attempt = Attempt::begin(
        "discovery",
        "issuers and endpoints at private, loopback and metadata addresses, by name and by number; another's issuer",
    );
    let names = Names::new(&[
        ("private.example", &["10.0.0.7"]),
        ("both.example", &["8.8.8.8", "127.0.0.1"]),
        ("metadata.example", &["169.254.169.254"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
    ]);
    let inside = |allowed: &[&str]| {
        let allow_private = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        Http::new(HttpOptions { resolver: Arc::<Names>::clone(&names), allow_private, ..HttpOptions::default() })
    };
    for issuer in [
        "https://private.example",
        "https://both.example",
        "https://metadata.example",
        "https://mapped.example",
        "https://127.0.0.1",
        "https://[::1]",
        "https://10.0.0.7",
        "https://localhost",
        "https://169.254.169.254",
    ] {
        let toml = format!("[work]\nissuer = \"{issuer}\"");
        let error = client(&toml, "work", "me", "", inside(&[])).await.unwrap_err();
        assert!(matches!(error, OAuthError::Address { .. }), "{issuer}: {error}");
    }
    // Not even the operator permits a cloud's credentials.
    let toml = "[work]\nissuer = \"https://metadata.example\"";
    let error = client(toml, "work", "me", "", inside(&["https://metadata.example"])).await.unwrap_err();
    assert!(matches!(error, OAuthError::Address { option: None, .. }), "{error}");
    // Without TLS only a server that the operator names, on this machine.
    let plain = "[work]\nissuer = \"http://127.0.0.1:9\"";
    assert!(matches!(client(plain, "work", "me", "", inside(&[])).await.unwrap_err(), OAuthError::Plain { .. }));

    // A document that is honest about its issuer, and names endpoints inside.
    let server = RawServer::start(|request: &RawRequest| {
        let head = String::from_utf8_lossy(&request.bytes);
        let host = head.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned)).unwrap();
        let other = if request.target.starts_with("/other") { "https://accounts.google.com" } else { "" };
        let issuer = if other.is_empty() { format!("http://{host}") } else { other.to_owned() };
        let document = serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": "https://private.example/authorize",
            "token_endpoint": "https://private.example/token",
            "revocation_endpoint": "https://metadata.example/revoke",
            "userinfo_endpoint": "https://127.0.0.1/userinfo",
            "device_authorization_endpoint": "https://both.example/device",
        });
        RawAnswer::new("200 OK", "Content-Type: application/json\r\n", document.to_string())
    })
    .unwrap();
    let base = format!("http://{}", server.address());
    let found = client(&format!("[work]\nissuer = \"{base}\""), "work", "me", "", inside(&[&base])).await.unwrap();
    let token = "t".to_owned().into();
    let errors = [
        found.refresh(&token).await.unwrap_err(),
        found.revoke(None, Some(&token)).await.unwrap_err(),
        found.person(&token).await.unwrap_err(),
        found.begin_device(&bg_oauth::Scopes::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, OAuthError::Address { .. }), "{error}");
    }
    let other = format!("[work]\nissuer = \"{base}/other\"");
    let error = client(&other, "work", "me", "", inside(&[&base])).await.unwrap_err();
    assert!(error.to_string().contains("another issuer"), "{error}");
    attempt.ended("nothing dialled; the error names the address");
}

#[tokio::test]
async fn the_redirect_url_is_only_the_one_of_the_sign_in() {
    let attempt = Attempt::begin("redirect-urls", "pasted URLs of other hosts, ports, paths and schemes");
    let google = FakeGoogle::start().unwrap();
    let client = at_google(&google).await;
    let (kept, good) = answered(&client, MAIL, visit);
    for other in [
        good.replace("127.0.0.1:51234", "127.0.0.1:51235"),
        good.replace("127.0.0.1", "evil.example"),
        good.replace("127.0.0.1:51234", "127.0.0.1:51234@evil.example"),
        good.replace("/callback", "/callback/../x"),
        good.replace("http://", "https://"),
        good.replace("http://", "javascript://"),
    ] {
        assert!(matches!(finish(&client, &kept, &other).await, Err(OAuthError::Pasted(_))), "{other}");
    }
    assert_eq!(google.take_exchanges(), [""; 0]);
    attempt.ended("refused");
}
