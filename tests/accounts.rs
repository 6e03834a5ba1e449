//! Accounts: signing in on the command line, mail in a charm, and that it stays so.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bg_test_support::{
    FakeGoogle, Finished, OidcOptions, OidcProvider, Random, Running, TestHost, follow_redirects, request,
};
use serde_json::{Value, json};

use crate::common::{SOON, cell, component, deploy, fixture, host, register, wait_for_success};
use crate::gmail::not_on_disk;

const MAIL: &str = "https://www.googleapis.com/auth/gmail.readonly";

/// A charm that has a token, and says whether.
const SIGNED_IN: &str = r#"/// <cts-enable />
import { Cell, handler, pattern } from "commontools";
interface Auth { accessToken: string; refreshToken: string; expiresAt: number }
const poll = handler<unknown, { auth: Cell<Auth>; polls: Cell<number> }>((_, { auth, polls }) => {
  if (!auth.get().accessToken) throw new Error("no token");
  polls.set(polls.get() + 1);
});
export default pattern<{ auth: Auth; polls: number }>(({ auth, polls }) => ({ auth, polls, bgUpdater: poll({ auth, polls }) }));
"#;

/// The providers of a host: a Google of the test's own.
fn set_up_google(host: &TestHost, google: &FakeGoogle) {
    let providers = format!("allow-private = [\"{}\"]\n{}", google.base_url(), google.provider());
    std::fs::write(host.data_dir().join("providers.toml"), providers).unwrap();
    let file = host.write("client.json", google.client_file()).unwrap();
    let set = ["oauth", "client", "set", "google", "--file", file.to_str().unwrap()];
    host.command(set).unwrap().success().unwrap();
    std::fs::remove_file(file).unwrap();
}

/// The same with a certified provider, called `peer`.
fn set_up_peer(host: &TestHost, peer: &OidcProvider) {
    let providers = format!(
        "allow-private = [\"{0}\"]\n[peer]\nissuer = \"{0}\"\nredirect = \"loopback-any-port\"\nscopes = [\"openid\", \
         \"email\", \"offline_access\"]\nauth-params = {{ prompt = \"consent\" }}\nrotates = true\n",
        peer.issuer()
    );
    std::fs::write(host.data_dir().join("providers.toml"), providers).unwrap();
    let set = ["oauth", "client", "set", "peer", "--id", "desktop"];
    host.command_with_input(set, "desktop-secret").unwrap().success().unwrap();
}

/// The URL that `oauth login` prints, and where it ends.
fn begun(login: &mut Running) -> (String, String) {
    let url = login.wait_for_line(|line| line.starts_with("http"), SOON).unwrap();
    let parsed: url::Url = url.parse().unwrap();
    let redirect = parsed.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    (url, redirect)
}

/// Signs in as a person whose browser is on another machine.
fn paste(host: &TestHost, args: &[&str]) -> Finished {
    let mut login = host.spawn_reading([&["oauth", "login"], args, &["--no-browser"]].concat()).unwrap();
    let (url, redirect) = begun(&mut login);
    let answer = follow_redirects(&url, &redirect).unwrap();
    login.type_text(&format!("{answer}\n")).unwrap();
    login.wait_for_exit(SOON).unwrap()
}

fn get(url: &str) -> bg_test_support::HttpReply {
    let url: url::Url = url.parse().unwrap();
    let address: SocketAddr = format!("127.0.0.1:{}", url.port().unwrap()).parse().unwrap();
    let host = format!("127.0.0.1:{}", url.port().unwrap());
    request(address, "GET", &url[url::Position::BeforePath..url::Position::AfterQuery], &[("host", &host)], b"")
        .unwrap()
}

fn accounts(host: &TestHost) -> Value {
    let listed = host.command(["oauth", "accounts", "--json"]).unwrap().success().unwrap();
    serde_json::from_str(&listed.stdout).unwrap()
}

/// Deploys a charm for a certified provider.
fn deploy_signed_in(host: &TestHost, space: &str) -> String {
    let source = host.write("signed-in.tsx", SIGNED_IN).unwrap();
    let empty = json!({"auth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}, "polls": 0});
    let charm = deploy(host, source.to_str().unwrap(), space, &empty);
    register(host, &charm, "signed-in");
    charm
}

#[test]
fn a_person_signs_in_and_mail_comes_and_after_the_grant_has_ended_it_comes_with_the_next_sign_in() {
    let (host, google) = (host(), FakeGoogle::start().unwrap());
    set_up_google(&host, &google);
    let base = google.base_url();
    let charm = deploy(&host, &fixture("gmail.tsx"), "mail", &json!({"apiBaseUrl": base}));
    register(&host, &charm, "gmail");
    google.deliver("Hello", "someone@example.com");
    let (set, component) = (format!("gmail.api-base-url={base}"), component("gmail"));
    let run = || {
        let args =
            ["run", "--once", "--log", "trace", "--component", &component, "--set", &set, "--grant", "requested"];
        let args = [&args[..], &["--allow-private", &base, "--allow-charm-http", &base]].concat();
        host.command(args).unwrap()
    };

    let signed_in = paste(&host, &["google", "--charm", &charm, "--scope", MAIL]).success().unwrap();
    assert!(signed_in.stdout.contains("signed in: google-1"), "{signed_in}");
    let auth = cell(&host, &charm, "auth");
    assert_eq!((&auth["tokenType"], &auth["token"]), (&json!("Bearer"), &json!("(secret)")), "{auth}");
    assert!(
        auth["expiresAt"].as_u64().unwrap() > 1_000_000_000_000 && auth["scope"].to_string().contains(MAIL),
        "{auth}"
    );
    let polled = run();
    assert!(polled.stderr.contains(&format!("Successfully executed charm {charm}")), "{polled}");
    assert_eq!(cell(&host, &charm, "emails")[0]["subject"], "Hello");

    // An hour later Google refuses the token, and it is renewed in the middle of the poll.
    google.advance(Duration::from_hours(2));
    google.take_exchanges();
    google.deliver("Second", "someone@example.com");
    let polled = run();
    assert_eq!(google.take_exchanges(), ["refresh_token 200"], "{polled}");
    let polled_again = run();
    assert_eq!(cell(&host, &charm, "emails").as_array().unwrap().len(), 2, "{polled} {polled_again}");

    // It ends: the charm waits, and says for whom, and what to do.
    google.end_grants(google.user());
    google.advance(Duration::from_hours(2));
    google.deliver("Third", "someone@example.com");
    // The charm notices, and the next poll would renew.
    run();
    let ended = run();
    let shown = host.command(["show", &charm]).unwrap().success().unwrap().stdout;
    assert!(shown.contains("oauth login google --account google-1"), "{ended} {shown}");
    assert_eq!(accounts(&host)[0]["state"], "ended", "{ended}");
    assert!(!shown.contains("Disabled"), "{shown}");
    let again = paste(&host, &["google", "--account", "google-1"]).success().unwrap();
    assert!(again.stdout.contains("signed in: google-1"), "{again}");
    let polled = run();
    // What it waited for is there, also after the days that a failure would have disabled it for.
    let (polled_again, count) = (run(), cell(&host, &charm, "emails").as_array().unwrap().len());
    assert_eq!(count, 3, "{polled} {polled_again}");
    assert_eq!(accounts(&host)[0]["state"], "active");

    // Nothing of that is shown.
    let attempt = bg_abuse::Attempt::begin("secrets", "of sign-ins: in the database, in logs at trace level, in lists");
    let secrets = google.oauth_secrets();
    assert!(secrets.len() >= 6, "{}", secrets.len());
    let listed = host.command(["oauth", "accounts"]).unwrap().success().unwrap();
    for output in [&signed_in, &polled, &ended, &again, &polled_again, &listed] {
        for secret in &secrets {
            assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{output}");
        }
    }
    for secret in &secrets {
        not_on_disk(&host, secret);
    }
    attempt.ended("no byte of them");

    let out = host.command(["oauth", "logout", "google-1"]).unwrap().success().unwrap();
    assert!(out.stderr.contains("has ended the authorization"), "{out}");
    assert_eq!((accounts(&host), cell(&host, &charm, "auth")["expiresAt"].clone()), (json!([]), json!(0)));
}

#[test]
fn what_was_asked_and_not_allowed_is_named_with_the_command_that_asks_again() {
    let (host, google) = (host(), FakeGoogle::start().unwrap());
    set_up_google(&host, &google);
    google.withhold_scopes(&[MAIL]);
    let fewer = paste(&host, &["google", "--scope", MAIL]).success().unwrap();
    assert!(fewer.stderr.contains(&format!("NOT allowed: {MAIL}")), "{fewer}");
    assert!(fewer.stderr.contains(&format!("oauth login google --account google-1 --scope {MAIL}")), "{fewer}");
    google.withhold_scopes(&[]);
    let all = paste(&host, &["google", "--account", "google-1", "--scope", MAIL]).success().unwrap();
    assert!(!all.stderr.contains("NOT allowed"), "{all}");
    google.deny_sign_in(true);
    let denied = paste(&host, &["google"]).failure().unwrap();
    assert!(denied.stderr.contains("the sign-in was refused: access_denied"), "{denied}");
}

#[test]
fn another_person_than_the_one_that_was_to_sign_in_changes_nothing() {
    let attempt = bg_abuse::Attempt::begin("accounts", "another account written over, by somebody else's sign-in");
    let (host, google) = (host(), FakeGoogle::start().unwrap());
    set_up_google(&host, &google);
    google.sign_in_as("ann@example.com");
    paste(&host, &["google"]).success().unwrap();
    let before = accounts(&host);
    google.sign_in_as("bob@example.com");
    let refused = paste(&host, &["google", "--account", "google-1"]).failure().unwrap();
    assert!(refused.stderr.contains("bob@example.com has signed in, and not the account google-1"), "{refused}");
    assert_eq!(accounts(&host), before);
    paste(&host, &["google"]).success().unwrap();
    let both = accounts(&host);
    assert_eq!([&both[0]["label"], &both[1]["label"]], ["ann@example.com", "bob@example.com"]);
    attempt.ended("each has an account of its own");
}

#[test]
fn a_browser_brings_the_answer_and_keeps_no_code_and_a_stray_tab_ends_nothing() {
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    set_up_peer(&host, &peer);
    let charm = deploy_signed_in(&host, "a-space");
    let mut login = host.spawn(["oauth", "login", "peer", "--charm", &charm]).unwrap();
    let (url, redirect) = begun(&mut login);
    let attempt =
        bg_abuse::Attempt::begin("login", "a stray tab, a forged answer, another host name, at the loopback page");
    for (query, status) in [("", 400), ("?code=x&state=guessed", 400), ("/../other?code=x", 404)] {
        assert_eq!(get(&format!("{redirect}{query}")).status, status, "{query}");
    }
    let forged = [("host", "evil.example")];
    let address = redirect.parse::<url::Url>().unwrap().socket_addrs(|| None).unwrap()[0];
    assert!(request(address, "GET", "/callback?code=x&state=y", &forged, b"").is_err());
    attempt.ended("refused, and the sign-in goes on");
    let answer = peer.sign_in(&url, &redirect);
    let attempt = bg_abuse::Attempt::begin("secrets", "a code in the browser's history or referrer");
    let reply = get(&answer);
    assert_eq!((reply.status, reply.header("location")), (303, Some("/done")));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    let done = get(&redirect.replace("/callback", "/done"));
    assert!(done.status == 200 && done.text().contains("is signed in"), "{}", done.text());
    attempt.ended("the last page has none in its URL");
    let signed_in = login.wait_for_exit(SOON).unwrap().success().unwrap();
    assert!(signed_in.stdout.contains("signed in: peer-1 (someone@example.com)"), "{signed_in}");

    let mut service = host.spawn(["run", "--interval", "1"]).unwrap();
    wait_for_success(&mut service, &charm);
    service.terminate().unwrap();
}

#[test]
fn two_charms_share_an_account_that_rotates_and_its_end_wakes_nobody_but_a_sign_in_does() {
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions { access_seconds: 5, ..OidcOptions::default() }) else { return };
    set_up_peer(&host, &peer);
    let charms = ["one", "two"].map(|space| deploy_signed_in(&host, space));
    paste(&host, &["peer", "--charm", &charms[0]]).success().unwrap();
    host.command(["oauth", "attach", "peer-1", &charms[1]]).unwrap().success().unwrap();
    assert_eq!(accounts(&host)[0]["charms"].as_array().unwrap().len(), 2);
    let mut service = host.spawn(["run", "--interval", "1", "--listen", "127.0.0.1:0"]).unwrap();
    let renewals = |peer: &OidcProvider| peer.requests().get("POST /token").copied().unwrap_or_default();
    let before = renewals(&peer);
    for _ in 0..3 {
        for charm in &charms {
            wait_for_success(&mut service, charm);
        }
    }
    // A command beside the service renews it, too; the charms get what came of that.
    for _ in 0..3 {
        host.command(["oauth", "renew", "peer-1"]).unwrap().success().unwrap();
        for charm in &charms {
            wait_for_success(&mut service, charm);
        }
    }
    assert!(renewals(&peer) >= before + 3);
    assert_eq!(accounts(&host)[0]["state"], "active");
    service.terminate().unwrap().success().unwrap();
}

/// Each renewal replaces the refresh token, and an old one that is used ends all of them.
#[test]
fn a_thousand_renewals_by_three_processes_one_of_which_is_killed_at_random_lose_no_token() {
    let attempt = bg_abuse::Attempt::begin("rotation", "three processes that renew one account, and kill -9");
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    set_up_peer(&host, &peer);
    paste(&host, &["peer"]).success().unwrap();
    let renewals = || {
        let requests = peer.requests();
        requests.get("POST /token").copied().unwrap_or_default()
    };
    let (mut random, most) = (Random::new(7), std::env::var("BG_RENEWALS").map_or(1_000, |text| text.parse().unwrap()));
    let (before, begun) = (renewals(), Instant::now());
    let start = || host.spawn(["oauth", "renew", "peer-1", "--times", "1000000"]).unwrap();
    let mut workers: Vec<Running> = (0..3).map(|_| start()).collect();
    let mut killed = 0;
    while renewals() < before + most {
        std::thread::sleep(Duration::from_millis(random.below(400) as u64));
        let at = random.below(3);
        let ended = std::mem::replace(&mut workers[at], start());
        let ended = ended.kill().unwrap();
        assert!(!ended.stderr.contains("error"), "{ended}");
        killed += 1;
        assert!(begun.elapsed() < Duration::from_mins(15), "{killed} killed, {} renewals", renewals() - before);
    }
    for worker in workers {
        let ended = worker.kill().unwrap();
        assert!(!ended.stderr.contains("error"), "{ended}");
    }
    // What is under way ends by itself.
    host.command(["oauth", "renew", "peer-1"]).unwrap().success().unwrap();
    let account = accounts(&host)[0].clone();
    assert_eq!((&account["state"], &account["problem"]), (&json!("active"), &Value::Null));
    println!("{} renewals, {killed} processes killed, {:?}", renewals() - before, begun.elapsed());
    attempt.ended("none lost, and none revoked");
}

#[test]
fn a_token_that_somebody_made_is_kept_without_a_client_and_given_to_a_charm() {
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    set_up_peer(&host, &peer);
    let charm = deploy_signed_in(&host, "a-space");
    let login = ["oauth", "login", "peer", "--token-stdin", "--charm", &charm];
    let nameless = host.command_with_input(login, "made-by-hand-1\n").unwrap().failure().unwrap();
    assert!(nameless.stderr.contains("--name NAME"), "{nameless}");
    let named = [&login[..], &["--name", "my token"]].concat();
    let kept = host.command_with_input(&named, "made-by-hand-1\n").unwrap().success().unwrap();
    assert!(kept.stdout.contains("(my token)"), "{kept}");
    assert_eq!(cell(&host, &charm, "auth")["accessToken"], "(secret)");
    not_on_disk(&host, "made-by-hand-1");
    let renewed = host.command(["oauth", "renew", "my token"]).unwrap().failure().unwrap();
    assert!(renewed.stderr.contains("it cannot be renewed"), "{renewed}");
    host.command(["oauth", "detach", &charm]).unwrap().success().unwrap();
    assert_eq!(cell(&host, &charm, "auth")["tokenType"], "");
}

#[test]
fn a_code_on_another_device_signs_in() {
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    set_up_peer(&host, &peer);
    let mut login = host.spawn(["oauth", "login", "peer", "--device"]).unwrap();
    let line = login.wait_for_line(|line| line.contains("enter the code"), SOON).unwrap();
    peer.approve(line.rsplit(' ').next().unwrap());
    let signed_in = login.wait_for_exit(SOON).unwrap().success().unwrap();
    assert!(signed_in.stdout.contains("signed in: peer-1 (someone@example.com)"), "{signed_in}");
}

#[test]
fn what_cannot_be_done_says_what_to_do_next() {
    let host = host();
    let charm = deploy_signed_in(&host, "a-space");
    let refused = |args: &[&str]| host.command([&["oauth"], args].concat()).unwrap().failure().unwrap().stderr;
    for (args, expected) in [
        (&["login", "nowhere"][..], "there is no provider nowhere; known are "),
        (&["login", "google"], "bg-wasm-host oauth client set google"),
        (&["attach", "google-7", &charm], "there is no account google-7; `bg-wasm-host oauth accounts` lists all"),
        (&["logout", "ann@example.com"], "there is no account ann@example.com"),
        (&["detach", &charm], "has no account"),
        (&["client", "set", "google", "--file", "missing.json"], "cannot read missing.json"),
        (&["login", "google", "--account", "google-1"], "there is no account google-1"),
    ] {
        let error = refused(args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    std::fs::write(host.data_dir().join("providers.toml"), "[mine]\nodd = 1\n").unwrap();
    assert!(refused(&["accounts"]).contains("providers.toml"));
}

#[test]
fn the_same_commands_work_while_a_server_has_the_data_directory() {
    let host = host();
    let Some(peer) = OidcProvider::start(&OidcOptions::default()) else { return };
    set_up_peer(&host, &peer);
    let charm = deploy_signed_in(&host, "a-space");
    let (server, _) = crate::common::serve(&host, "127.0.0.1:0", &[]);
    let signed_in = paste(&host, &["peer", "--charm", &charm]).success().unwrap();
    assert!(signed_in.stdout.contains("signed in: peer-1"), "{signed_in}");
    host.command(["oauth", "renew", "someone@example.com"]).unwrap().success().unwrap();
    let clients = host.command(["oauth", "client", "list"]).unwrap().success().unwrap();
    assert!(clients.stdout.contains("desktop") && !clients.stdout.contains("desktop-secret"), "{clients}");
    let out = host.command(["oauth", "logout", "peer-1", "--json"]).unwrap().success().unwrap();
    let out: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!((&out["revoked"], accounts(&host)), (&json!(true), json!([])));
    server.terminate().unwrap().success().unwrap();
}

/// The parts of an HTML form's answer, or of an API's, that a browser keeps: its cookie.
fn cookie_of(reply: &bg_test_support::HttpReply) -> String {
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// The original's button, and the admin page, sign in by way of the server.
#[test]
fn a_server_takes_the_answer_of_a_sign_in_once_in_the_browser_that_began_it() {
    const TOKEN: &str = "a-login-token-of-some-length-1234567890";
    let host = host().env("BG_WASM_HOST_LOGIN_TOKEN", TOKEN);
    let redirects = |address: SocketAddr| Some(vec![format!("http://{address}/api/integrations/peer-oauth/callback")]);
    // The port is chosen by the system, and must be registered with the provider before the server starts.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = OidcOptions { redirects: redirects(free), ..OidcOptions::default() };
    let Some(peer) = OidcProvider::start(&options) else { return };
    set_up_peer(&host, &peer);
    let charm = deploy_signed_in(&host, "a-space");
    let bearer = format!("Bearer {TOKEN}");
    let token = ("authorization", bearer.as_str());
    let (server, address) = crate::common::serve(&host, &free.to_string(), &[]);
    let name = address.to_string();
    let own = ("host", name.as_str());
    let (space, id) = charm.split_once('/').unwrap();
    let link = json!({"id": "of:a-cell", "space": space, "path": ["auth"]}).to_string();
    let body = json!({"authCellId": link, "integrationPieceId": id, "scopes": ["mail.read"]}).to_string();
    let login = "/api/integrations/peer-oauth/login";

    let attempt =
        bg_abuse::Attempt::begin("login", "a sign-in into a charm by anybody, and an answer in another browser");
    assert_eq!(request(address, "POST", login, &[own], body.as_bytes()).unwrap().status, 401);
    let begun = request(address, "POST", login, &[own, token], body.as_bytes()).unwrap();
    assert_eq!(begun.status, 200, "{}", begun.text());
    let url = begun.json().unwrap()["url"].as_str().unwrap().to_owned();
    let callback = format!("http://{address}/api/integrations/peer-oauth/callback");
    let answer: url::Url = peer.sign_in(&url, &callback).parse().unwrap();
    let target = &answer[url::Position::BeforePath..];
    let said = |headers: &[(&str, &str)]| {
        let reply = request(address, "GET", target, headers, b"").unwrap();
        assert_eq!(reply.status, 303);
        reply.header("location").unwrap().rsplit('=').next().unwrap().to_owned()
    };
    assert_eq!(said(&[own]), "stray");
    assert_eq!(accounts(&host), json!([]));
    let cookie = cookie_of(&begun);
    assert_eq!(said(&[own, ("cookie", &cookie)]), "signed-in");
    assert_eq!(said(&[own, ("cookie", &cookie)]), "failed", "once");
    attempt.ended("refused, and nothing is written");
    let auth = cell(&host, &charm, "auth");
    assert!(auth["scope"].to_string().contains("mail.read"), "{auth}");
    let done = "/api/integrations/peer-oauth/done?said=signed-in";
    let done = request(address, "GET", done, &[own], b"").unwrap();
    assert_eq!(done.header("cross-origin-opener-policy"), Some("unsafe-none"));
    assert!(done.text().contains("You are signed in"), "{}", done.text());

    let attempt = bg_abuse::Attempt::begin("accounts", "a relay of refresh tokens by the host's client");
    for refresh in [json!({"refreshToken": "1//stolen"}), json!({"refreshToken": "bg-handle-guessed"}), json!({})] {
        let refresh = refresh.to_string();
        let reply =
            request(address, "POST", "/api/integrations/peer-oauth/refresh", &[own], refresh.as_bytes()).unwrap();
        assert!(reply.status == 400 && reply.json().unwrap()["error"].is_string(), "{}", reply.text());
    }
    assert_eq!(peer.requests().get("POST /token"), Some(&1), "the sign-in alone has reached the provider");
    attempt.ended("400, and the provider is not asked");

    let page = request(address, "GET", "/admin/accounts", &[own, token], b"").unwrap().text();
    assert!(page.contains("someone@example.com") && page.contains("Sign in again"), "{page}");
    let form = "provider=peer&account=peer-1";
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let again = request(address, "POST", "/admin/accounts/sign-in", &[own, token, kind], form.as_bytes()).unwrap();
    let cookie = cookie_of(&again);
    let text = again.text();
    let url = text.split("href=\"").find(|part| part.starts_with("http")).unwrap().split('"').next().unwrap();
    let answer: url::Url = peer.sign_in(&url.replace("&#38;", "&").replace("&amp;", "&"), &callback).parse().unwrap();
    let reply =
        request(address, "GET", &answer[url::Position::BeforePath..], &[own, ("cookie", &cookie)], b"").unwrap();
    assert!(reply.header("location").unwrap().ends_with("said=signed-in"));
    let out = request(address, "POST", "/api/integrations/peer-oauth/logout", &[own, token], body.as_bytes()).unwrap();
    assert_eq!((out.status, accounts(&host)), (200, json!([])), "{}", out.text());
    server.terminate().unwrap().success().unwrap();
}
