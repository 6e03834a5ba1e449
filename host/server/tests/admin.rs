//! Who may see the pages, and who may register charms.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use bg_charm_api::{Actor, Spaces, Subject};
use bg_identity::{Identity, Secret, space_identity, system_space};
use bg_poller::{CharmRuntime, DisabledBy};
use bg_server::{Access, LoginToken, RegistrationPolicy, ServerOptions, endpoints};
use bg_test_support::HttpReply;
use common::{Fixture, borrowed, code, error, my_space};
use http::Method;
use serde_json::json;

const TOKEN: &str = "the-operators-own-token";

fn options() -> ServerOptions {
    let login_token = Some(LoginToken::chosen(Secret::new(TOKEN.to_owned())).unwrap());
    ServerOptions { login_token, ..ServerOptions::default() }
}

fn own(fixture: &Fixture) -> String {
    format!("http://{}", fixture.address)
}

/// Logs in as a browser does, and answers the cookie.
fn log_in(fixture: &Fixture) -> String {
    let reply =
        fixture.send("POST", "/admin/login", &[("Origin", &own(fixture))], format!("token={TOKEN}&next=%2Fadmin"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/admin")), "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// Whether an answer says how many seconds its client is to wait.
fn waits(reply: &HttpReply) -> bool {
    reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() >= 1)
}

/// All pages and actions for the operator alone, filled in for a charm.
async fn operator_requests(fixture: &Fixture) -> Vec<(Method, String)> {
    let charm = fixture.deploy(&my_space()).await;
    fixture.operator().register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    let all = endpoints().into_iter().filter(|endpoint| endpoint.access == Access::Operator);
    let filled = all.map(|endpoint| {
        let path = endpoint.path.replace("{space}", charm.space.as_ref()).replace("{charm}", charm.charm.as_ref());
        (endpoint.method, path.replace("{id}", "gmail"))
    });
    let requests: Vec<_> = filled.collect();
    assert!(requests.len() >= 15, "{requests:?}");
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_operator_is_shown_to_others() {
    let fixture = Fixture::start_with(options()).await;
    let requests = operator_requests(&fixture).await;
    let before = fixture.operator().registrations().await.unwrap();
    let cookie = log_in(&fixture);
    let wrong = [
        vec![],
        vec![("Authorization", "Bearer the-operators-other-token".to_owned())],
        vec![("Authorization", format!("Basic {TOKEN}"))],
        vec![("Cookie", format!("{cookie}x"))],
        vec![("Cookie", cookie.replace("bg-wasm-host-", "bg-wasm-host-1"))],
    ];
    for (method, path) in &requests {
        for headers in &wrong {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let reply = fixture.send(method.as_str(), path, &headers, "");
            assert_eq!(reply.status, 401, "{method} {path} {headers:?}: {}", reply.text());
            assert!(!reply.text().contains("baedrei"), "{}", reply.text());
        }
        // A person is shown where to log in, and comes back from there.
        if *method == Method::GET {
            let reply = fixture.send("GET", path, &[("Accept", "text/html,*/*")], "");
            let location = reply.header("location").unwrap_or_default();
            assert!(reply.status == 303 && location.starts_with("/admin/login"), "{path}: {reply:?}");
        }
    }
    assert_eq!(fixture.operator().registrations().await.unwrap(), before);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_gives_pages_of_other_origins_no_rights() {
    let fixture = Fixture::start_with(options()).await;
    let requests = operator_requests(&fixture).await;
    let before = fixture.operator().registrations().await.unwrap();
    let cookie = log_in(&fixture);
    let port = fixture.address.port();
    // Of another port, too: a browser takes that for the same site, and sends the cookie.
    let foreign = [
        "https://evil.example",
        "null",
        &format!("http://127.0.0.1:{}", port ^ 1),
        &format!("http://localhost:{port}"),
    ]
    .map(str::to_owned);
    for (method, path) in requests.iter().filter(|(method, _)| *method == Method::POST) {
        for origin in &foreign {
            let reply = fixture.send(method.as_str(), path, &[("Cookie", &cookie), ("Origin", origin)], "");
            assert_eq!(reply.status, 403, "{path} from {origin}: {}", reply.text());
            assert!(reply.text().contains("another origin"), "{}", reply.text());
        }
        let reply = fixture.send(method.as_str(), path, &[("Cookie", &cookie)], "");
        assert_eq!(reply.status, 403, "a request that does not say where it comes from: {path}");
    }
    assert_eq!(fixture.operator().registrations().await.unwrap(), before);
    for origin in &foreign {
        let reply = fixture.send("POST", "/admin/login", &[("Origin", origin)], format!("token={TOKEN}"));
        assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{origin}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_everything_in_a_session_and_with_the_token() {
    let fixture = Fixture::start_with(options()).await;
    let mut requests = operator_requests(&fixture).await;
    // Removing the registration comes last, and then deleting the charm.
    let last = |path: &str| ["/remove", "/delete"].iter().position(|end| path.ends_with(end));
    requests.sort_by_key(|(method, path)| (last(path).filter(|_| *method == Method::POST), path.clone()));
    let (cookie, origin) = (log_in(&fixture), own(&fixture));
    let bearer = format!("Bearer {TOKEN}");
    for headers in [vec![("Cookie", cookie.as_str()), ("Origin", &origin)], vec![("Authorization", &bearer)]] {
        for (method, path) in requests.iter().filter(|(_, path)| !path.ends_with("/events")) {
            let reply = fixture.send(method.as_str(), path, &headers, "");
            // These take a body: which provider, and which charm.
            let has_body = ["/sign-in", "/gmail/login", "/gmail/logout"].iter().any(|end| path.ends_with(end));
            let expected = match *method {
                Method::GET => 200,
                // The API answers 404 to a name that is no provider's.
                _ if has_body => reply.status.clamp(400, 404),
                _ => 303,
            };
            assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text());
        }
        assert_eq!(fixture.operator().registrations().await.unwrap(), []);
        let charm = fixture.deploy(&my_space()).await;
        fixture.operator().register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    }
    let reply = fixture.send("POST", "/admin/logout", &[("Cookie", &cookie), ("Origin", &origin)], "");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/admin/login")));
    assert_eq!(fixture.send("GET", "/admin", &[("Cookie", &cookie)], "").status, 401);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_registrations_are_enabled_at_once_after_a_page_that_says_how_many() {
    let fixture = Fixture::start_with(options()).await;
    let charm = fixture.deploy(&my_space()).await;
    let operator = fixture.operator();
    operator.register(&charm, &"gmail".parse().unwrap()).await.unwrap();
    operator.set_disabled(&charm, Some((DisabledBy::Failures, "5 failures in a row"))).await.unwrap();
    let cookie = log_in(&fixture);
    let own = own(&fixture);
    let session = [("Cookie", cookie.as_str()), ("Origin", own.as_str())];
    let list = fixture.send("GET", "/admin?state=disabled-by-failures&integration=gmail", &session, "");
    let address = "/admin/enable?integration=gmail&state=disabled-by-failures";
    let shown = list.text().replace("&#38;", "&").replace("&amp;", "&");
    assert!(shown.contains(address), "{shown}");
    for (address, many) in [(address, 1), ("/admin/enable", 1), ("/admin/enable?state=waiting", 0)] {
        let page = fixture.send("GET", address, &session, "");
        let question = format!("Enable {many} registration");
        assert!(page.status == 200 && page.text().contains(&question), "{address}: {}", page.text());
    }
    let wrong = fixture.send("GET", "/admin/enable?state=asleep", &session, "");
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    // An absent value is not shown as zero.
    for reply in [
        fixture.send("GET", "/admin/enable?integration=gmial", &session, ""),
        fixture.send("POST", "/admin/enable", &session, "integration=gmial"),
    ] {
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().contains("did you mean gmail?"), "{}", reply.text());
    }
    for (form, enabled) in [("state=waiting", false), ("integration=gmail&state=disabled-by-failures", true)] {
        let reply = fixture.send("POST", "/admin/enable", &session, form);
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert!(reply.header("location").unwrap().ends_with("said=all-enabled"), "{:?}", reply.header("location"));
        assert_eq!(operator.registrations().await.unwrap()[0].is_enabled(), enabled, "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_some_wrong_tokens_every_login_waits() {
    let fixture = Fixture::start_with(options()).await;
    let try_token = |token: &str| fixture.send("POST", "/admin/login", &[], format!("token={token}"));
    let mut replies: Vec<HttpReply> = (0..12).map(|number| try_token(&format!("guess-{number}"))).collect();
    assert!(replies[0].text().contains("That is not the login token."), "{}", replies[0].text());
    assert_eq!(replies[0].status, 403);
    let last = replies.pop().unwrap();
    assert_eq!((last.status, waits(&last)), (429, true));
    // The API counts the same tries.
    let reply = fixture.send("GET", "/api/v1/registrations", &[("Authorization", "Bearer guess")], "");
    assert_eq!((reply.status, waits(&reply)), (429, true));
    // Guessing does not lock out a client that knows the token.
    assert_eq!(try_token(TOKEN).status, 303);
    // And nobody is sent to another server from here.
    for next in ["https://evil.example/", "//evil.example", "/api/health"] {
        let reply = fixture.send("POST", "/admin/login", &[], format!("token={TOKEN}&next={next}"));
        assert_eq!(reply.header("location"), Some("/admin"), "{next}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_with_a_wrong_token_sees_an_error_and_returns_to_its_page_after_login() {
    let fixture = Fixture::start_with(options()).await;
    let origin = own(&fixture);
    let browser = [("Accept", "text/html,*/*;q=0.8"), ("Origin", origin.as_str())];
    for (next, expected) in [
        ("%2Fadmin%2Fintegrations", "/admin/login?said=wrong-token&next=%2Fadmin%2Fintegrations"),
        ("%2Fadmin", "/admin/login?said=wrong-token"),
        ("https%3A%2F%2Fevil.example", "/admin/login?said=wrong-token"),
    ] {
        let reply = fixture.send("POST", "/admin/login", &browser, format!("token=a-guess&next={next}"));
        assert_eq!((reply.status, reply.header("location")), (303, Some(expected)), "{}", reply.text());
        assert_eq!(reply.header("set-cookie"), None);
        let page = fixture.send("GET", expected, &browser[..1], "");
        assert_eq!(page.status, 200);
        assert!(page.text().contains("That is not the login token."), "{}", page.text());
        let kept = page.text().contains("name=\"next\" value=\"/admin/integrations\"");
        assert_eq!(kept, expected.contains("next="), "{}", page.text());
    }
    // An address in the query adds no text.
    for said in ["", "?said=", "?said=Send%20it%20to%20evil.example", "?said=wrong", "?next=wrong-token"] {
        let page = fixture.send("GET", &format!("/admin/login{said}"), &browser[..1], "");
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("role=\"alert\"") && !page.text().contains("evil"), "{}", page.text());
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_a_page_for_people_and_a_problem_for_programs() {
    let fixture = Fixture::start_with(options()).await;
    let cookie = log_in(&fixture);
    let logged_in = [("Accept", "text/html,*/*;q=0.8"), ("Cookie", cookie.as_str())];
    let stranger = &logged_in[..1];
    let page = fixture.send("GET", "/nothing", stranger, "");
    let text = page.text();
    assert!(text.contains("<h1>Not found</h1>") && text.contains("<a href=\"/admin\">"), "{text}");
    assert!(!text.contains("Log out") && !text.contains("/admin/integrations"), "{text}");
    for path in ["/nothing", "/admin/nothing", "/admin/integrations/", "/administer", "/api", "/a%3Cb%3E?c=%3Cd%3E"] {
        for headers in [stranger, &logged_in] {
            let reply = fixture.send("GET", path, headers, "");
            // To everybody, of everything, the same.
            assert_eq!((reply.status, reply.text()), (404, text.clone()), "{path} {headers:?}");
            assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
            assert!(
                reply.header("content-security-policy").unwrap().starts_with("default-src 'none'; script-src 'self'")
            );
        }
        for (method, headers) in [("GET", &[][..]), ("GET", &[("Accept", "*/*")]), ("POST", stranger)] {
            let reply = fixture.send(method, path, headers, "");
            assert_eq!((reply.status, code(&reply)), (404, "not-found".into()), "{method} {path} {headers:?}");
        }
    }
    let reply = fixture.send("GET", "/api/v1/nothing", stranger, "");
    assert_eq!((reply.status, code(&reply)), (404, "not-found".into()));
    // A path that names no charm is not found; without a login, it redirects to the login page like any other.
    let reply = fixture.send("GET", "/admin/charms/did:key:z6Mk/x", &logged_in, "");
    assert_eq!((reply.status, reply.text()), (404, text.clone()));
    assert_eq!(fixture.send("GET", "/admin/charms/did:key:z6Mk/x", stranger, "").status, 303);
    for path in ["/", "/admin/"] {
        let reply = fixture.send("GET", path, &[], "");
        assert_eq!((reply.status, reply.header("location")), (303, Some("/admin")), "{path}");
    }
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_load_nothing_from_elsewhere_and_run_no_inline_script() {
    let fixture = Fixture::start_with(options()).await;
    let requests = operator_requests(&fixture).await;
    let bearer = format!("Bearer {TOKEN}");
    let pages = requests.iter().filter(|(method, path)| *method == Method::GET && !path.ends_with("/events"));
    let pages = pages.map(|(_, path)| path.as_str()).filter(|path| path.starts_with("/admin"));
    let mut seen = 0;
    for path in pages.chain(["/admin/login"]) {
        let reply = fixture.send("GET", path, &[("Authorization", &bearer)], "");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let text = reply.text();
        for bad in ["<style", " style=", " onclick", " onload", "javascript:", "http://", "https://", "=\"//"] {
            assert!(!text.contains(bad), "{bad} in {path}: {text}");
        }
        let title = text.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
        assert!(title.ends_with(" · bg-wasm-host") && !title.starts_with(' '), "{path}: {title}");
        for one in ["<!doctype html>", "/admin/style.css", "/admin/icon.svg", "<script src=", "<main id=\"main\""] {
            assert_eq!(text.matches(one).count(), 1, "{one} in {path}: {text}");
        }
        seen += 1;
    }
    assert!(seen >= 5);
    let reply = fixture.send("GET", "/api/health", &[], "");
    assert_eq!(reply.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_token_stands_for_a_signature_in_the_api() {
    let fixture = Fixture::start_with(options()).await;
    let bearer = format!("Bearer {TOKEN}");
    let reply = fixture.send("GET", "/api/v1/registrations", &[("Authorization", &bearer)], "");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = fixture.send("GET", "/api/v1/registrations", &[("Authorization", "Bearer wrong")], "");
    assert_eq!((reply.status, code(&reply)), (401, "signature".into()));
    // A session is a browser's, and the API is not for pages.
    let cookie = log_in(&fixture);
    let reply = fixture.send("GET", "/api/v1/registrations", &[("Cookie", &cookie), ("Origin", &own(&fixture))], "");
    assert_eq!(reply.status, 401);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_reveal_nothing_about_single_charms() {
    let fixture = Fixture::start_with(options()).await;
    operator_requests(&fixture).await;
    let reply = fixture.send("GET", "/metrics", &[("Authorization", &format!("Bearer {TOKEN}"))], "");
    let text = reply.text();
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(text.contains("bg_wasm_host_registrations{state=\"running\"} 1\n"), "{text}");
    assert!(!text.contains("did:key:") && !text.contains("baedrei"), "{text}");
    fixture.stop().await;
}

/// Registers a charm in each possible way. Returns the statuses, or 0 for success.
async fn try_to_register(fixture: &Fixture, integration: &str, by: &Identity) -> [u16; 3] {
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": integration }).to_string();
    let done = |reply: HttpReply| if reply.status == 200 { 0 } else { reply.status };
    [
        done(fixture.send("POST", "/api/integrations/bg", &[], &body)),
        done(fixture.send_signed(by, "POST", "/api/integrations/bg", &body)),
        done(fixture.send_signed(by, "POST", "/api/v1/registrations", &body)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_callers_whom_the_operator_allows_may_register() {
    let (owner, stranger, operator) =
        (space_identity("my-space"), Identity::from_passphrase("stranger"), Identity::from_passphrase("operator"));
    for (policy, integrations, integration, expected) in [
        (RegistrationPolicy::Open, vec![], "mail", [[0, 0, 0]; 3]),
        (RegistrationPolicy::Open, vec!["mail"], "mail", [[0, 0, 0]; 3]),
        (RegistrationPolicy::Open, vec!["mail"], "news", [[403, 403, 403], [403, 403, 403], [403, 0, 0]]),
        (RegistrationPolicy::Signed, vec![], "mail", [[403, 403, 403], [403, 0, 0], [403, 0, 0]]),
        (RegistrationPolicy::Closed, vec![], "mail", [[403, 403, 403], [403, 403, 403], [403, 0, 0]]),
    ] {
        let integrations: Vec<_> = integrations.into_iter().map(|name| name.parse().unwrap()).collect();
        let fixture = Fixture::start_with(ServerOptions { registration: policy, integrations, ..options() }).await;
        let level = Some(bg_charm_api::AccessLevel::Write);
        let subject = Subject::Did(operator.did());
        fixture.operator().set_acl(&system_space(), &subject, level).await.unwrap();
        for (by, expected) in [&stranger, &owner, &operator].into_iter().zip(expected) {
            let found = try_to_register(&fixture, integration, by).await;
            assert_eq!(found, expected, "{policy:?}, {integration}, {}", by.did());
        }
        fixture.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_says_why_and_nothing_is_registered() {
    let fixture = Fixture::start_with(ServerOptions { registration: RegistrationPolicy::Closed, ..options() }).await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "mail" }).to_string();
    let reply = fixture.send("POST", "/api/integrations/bg", &[], &body);
    assert!(error(&reply).contains("--registration closed") && error(&reply).contains("bg-wasm-host register"));
    assert_eq!(fixture.operator().registrations().await.unwrap(), []);
    // The operator's own page may, with its session; another page with that session may not.
    let cookie = log_in(&fixture);
    let from =
        |origin: &str| fixture.send("POST", "/api/integrations/bg", &[("Cookie", &cookie), ("Origin", origin)], &body);
    assert_eq!(from("http://localhost:1").status, 403);
    assert_eq!(fixture.operator().registrations().await.unwrap(), []);
    assert_eq!(from(&own(&fixture)).status, 200);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_registers_endlessly_gets_retry_after() {
    let fixture = Fixture::start_with(options()).await;
    let charm = fixture.deploy(&my_space()).await;
    let body = json!({ "charmId": charm.charm, "space": charm.space, "integration": "mail" }).to_string();
    let replies: Vec<HttpReply> = (0..200).map(|_| fixture.send("POST", "/api/integrations/bg", &[], &body)).collect();
    assert_eq!(replies[0].status, 200);
    let refused = replies.iter().find(|reply| reply.status != 200).unwrap();
    assert_eq!((refused.status, waits(refused)), (429, true));
    assert!(error(refused).contains("try again in"), "{}", error(refused));
    // The signed ones of services are not counted.
    let owner = space_identity("my-space");
    let headers = fixture.sign(&owner, "POST", "/api/integrations/bg", &body);
    assert_eq!(fixture.send("POST", "/api/integrations/bg", &borrowed(&headers), &body).status, 200);
    assert_eq!(*fixture.operator().actor(), Actor::Operator);
    fixture.stop().await;
}
