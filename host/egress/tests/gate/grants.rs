//! Who may go where.

use bg_abuse::Attempt;
use bg_egress::{Decision, EgressError, Mode, Owner, RequestOptions, Rule};
use bg_manifest::AskedHttp;

use crate::support::{Server, Setup, budget, get, get_text, request};

fn denied(result: Result<impl std::fmt::Debug, EgressError>) -> (Rule, String, Option<String>) {
    match result.unwrap_err() {
        EgressError::Denied { rule, message, option } => (rule, message, option),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn everything_is_denied_by_default_and_the_option_that_would_allow_it_is_named() {
    let server = Server::ok().await;
    let setup = Setup::new().private(&server.origin());
    let url = format!("{}/v1/users/me?token=hush", server.origin());
    let (rule, message, option) = denied(get(&setup.client(), &url, &[]).await);
    assert_eq!(rule, Rule::Grant);
    assert_eq!(
        message,
        format!("integration gmail may not send GET {}/v1/users/me: no HTTP is granted", server.origin())
    );
    assert_eq!(option, Some(format!("--allow-http gmail={}/v1/users/", server.origin())));

    let record = setup.records.one();
    assert_eq!((record.decision, record.rule.as_str()), (Decision::Denied, "no-grant"));
    assert_eq!((record.origin, record.path.as_str()), (server.origin(), "/v1/users/me"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_denial_to_a_charm_names_the_option_for_charms() {
    let setup = Setup { owner: Owner::Charms, ..Setup::new() };
    let (_, _, option) = denied(get(&setup.client(), "https://example.com/x", &[]).await);
    assert_eq!(option.as_deref(), Some("--allow-charm-http https://example.com/"));
}

#[tokio::test]
async fn the_suggested_option_allows_the_request() {
    for (url, named) in [
        ("https://example.com/a/b/c?d", "https://example.com/a/b/"),
        ("https://example.com/a/b%2fc", "https://example.com/"),
        ("https://example.com/a/%2e%2e;/b", "https://example.com/"),
        ("https://example.com/a//b", "https://example.com/"),
    ] {
        let error = get(&Setup { owner: Owner::Charms, ..Setup::new() }.client(), url, &[]).await.unwrap_err();
        assert_eq!(error.option(), Some(&*format!("--allow-charm-http {named}")), "{url}");
        let allowed = Setup::new().grant(named).client().check(&http::Method::GET, url);
        assert_eq!(allowed.unwrap().decision, Decision::Allowed, "{url}");
    }
}

#[tokio::test]
async fn no_option_is_suggested_for_an_address_that_no_option_allows() {
    for host in ["169.254.169.254", "0xa9fea9fe", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]"] {
        for mode in [Mode::Enforce, Mode::Report] {
            let mut setup = Setup { owner: Owner::Charms, ..Setup::new() };
            setup.gate.mode = mode;
            let url = format!("http://{host}/latest/meta-data/");
            let error = get(&setup.client(), &url, &[]).await.unwrap_err();
            assert_eq!(error.option(), None, "{url}: {error}");
            assert!(!error.to_string().contains("would allow it;"), "{error}");
            assert_eq!(setup.records.one().option, None, "{url}");
            if mode == Mode::Enforce {
                let (_, message, _) = denied(Err::<(), _>(error));
                assert!(message.contains("; no option allows it: http://"), "{message}");
                assert!(
                    message.ends_with("which is cloud metadata") || message.contains("metadata (AWS)"),
                    "{message}"
                );
            }
        }
    }
}

#[tokio::test]
async fn both_options_are_suggested_if_the_address_needs_one_besides_the_grant() {
    for (url, grant, origin) in [
        ("http://10.0.0.1/a/b", "http://10.0.0.1/a/", "http://10.0.0.1"),
        ("https://[::1]:8443/", "https://[::1]:8443/", "https://[::1]:8443"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:7f00:1]"),
        ("http://[64:ff9b::10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://[64:ff9b::a00:1]"),
        ("http://localhost:9/", "http://localhost:9/", "http://localhost:9"),
    ] {
        let setup = Setup { owner: Owner::Charms, ..Setup::new() };
        let (_, _, option) = denied(get(&setup.client(), url, &[]).await);
        let quoted = |value: &str| if value.contains('[') { format!("'{value}'") } else { value.to_owned() };
        let named = format!("--allow-charm-http {} --allow-private {}", quoted(grant), quoted(origin));
        assert_eq!(option.as_ref(), Some(&named), "{url}");
        assert_eq!(setup.records.one().option, Some(named), "{url}");
        let allowed = Setup::new().grant(grant).private(origin).client().check(&http::Method::GET, url);
        assert_eq!(allowed.unwrap().decision, Decision::Allowed, "{url}");
        // What is allowed already is not suggested again.
        let setup = Setup { owner: Owner::Charms, ..Setup::new() }.private(origin);
        let (_, _, option) = denied(get(&setup.client(), url, &[]).await);
        assert_eq!(option, Some(format!("--allow-charm-http {}", quoted(grant))), "{url}");
    }
}

#[tokio::test]
async fn no_option_is_suggested_for_what_the_manifest_does_not_ask_for() {
    let setup = Setup::new();
    let grant = "GET https://example.com/v1/".parse().unwrap();
    let asked = vec![AskedHttp { grant, credential: None, reason: "to try".into() }];
    let gate = bg_egress::Gate::new(setup.gate.clone());
    let options = bg_egress::ClientOptions { asked: Some(asked), ..bg_egress::ClientOptions::new(setup.owner.clone()) };
    let client = gate.client(options).unwrap();

    let (_, _, option) = denied(get(&client, "https://example.com/v1/a/b", &[]).await);
    assert_eq!(option.as_deref(), Some("--allow-http gmail=https://example.com/v1/"));
    let (_, message, option) = denied(get(&client, "https://example.com/v2/", &[]).await);
    assert_eq!(option, None);
    assert!(message.ends_with("its manifest does not ask for it"), "{message}");
}

#[tokio::test]
async fn a_suggested_option_never_contains_what_a_shell_would_run() {
    let setup = Setup::new();
    let (_, _, option) = denied(get(&setup.client(), "https://example.com/$(reboot)/'a/b", &[]).await);
    assert_eq!(option.as_deref(), Some("--allow-http 'gmail=https://example.com/$(reboot)/'\\''a/'"));
}

#[tokio::test]
async fn granted_requests_arrive() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    assert_eq!(get_text(&setup.client(), &format!("{}/a?b=c", server.origin())).await.unwrap(), "ok");
    assert!(server.seen()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"), "{:?}", server.seen());

    let record = setup.records.one();
    assert_eq!((record.decision, record.rule), (Decision::Allowed, format!("{}/", server.origin())));
    assert_eq!((record.path.as_str(), record.bytes, record.error), ("/a", 2, None));
    assert_eq!(record.status.unwrap().as_u16(), 200);
    assert_eq!(record.address, Some(server.address));
}

#[tokio::test]
async fn names_outside_the_grants_are_never_looked_up() {
    let attempt = Attempt::begin("dns-channel", "names, ports, paths and schemes outside the grants");
    let setup = Setup::new().grant("https://*.example.com/v1/");
    let client = setup.client();
    for url in [
        "https://other.example/v1/",
        "https://example.com/v1/",
        "https://evilexample.com/v1/",
        "https://a.example.com.evil.example/v1/",
        "https://a.example.com/v2/",
        "https://a.example.com/v1/%2e%2e%2fadmin",
        "https://a.example.com:444/v1/",
        "http://a.example.com/v1/",
    ] {
        let error = get(&client, url, &[]).await.unwrap_err();
        assert!(error.is_refusal(), "{url}: {error}");
    }
    assert_eq!(setup.dns.asked(), Vec::<String>::new());
    assert_eq!(setup.records.all().len(), 8);
    // Granted, so it is looked up.
    assert!(matches!(get(&client, "https://a.example.com/v1/", &[]).await, Err(EgressError::Dns { .. })));
    assert_eq!(setup.dns.asked(), ["a.example.com"]);
    attempt.ended("refused; no name is looked up");
}

#[tokio::test]
async fn no_grant_allows_a_tunnel_or_trace() {
    let attempt = Attempt::begin("schemes", "CONNECT, TRACE and TRACK");
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    let client = setup.client();
    for method in ["TRACE", "TRACK", "CONNECT"] {
        let request = request(method, &server.origin(), &[]);
        let sent = client.send(request, &budget(&client), RequestOptions::default()).await;
        assert_eq!(denied(sent).0, Rule::Method);
    }
    assert_eq!(server.connections(), 0);
    attempt.ended("Denied");
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let attempt = Attempt::begin("redirects", "to another granted server");
    let target = Server::ok().await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", target.origin());
    let server = Server::answering(answer).await;
    let setup = Setup::to(&[&server, &target]);
    let response = get(&setup.client(), &server.origin(), &[]).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], format!("{}/x", target.origin()));
    assert_eq!(target.connections(), 0);
    attempt.ended("the guest gets the 302");
}

#[tokio::test]
async fn in_report_mode_a_request_without_a_grant_is_logged_and_sent() {
    let server = Server::ok().await;
    let mut setup = Setup::new().private(&server.origin());
    setup.gate.mode = Mode::Report;
    let client = setup.client();
    assert_eq!(get_text(&client, &format!("{}/a/b", server.origin())).await.unwrap(), "ok");
    let record = setup.records.one();
    assert_eq!((record.decision, record.rule.as_str()), (Decision::WouldDeny, "no HTTP is granted"));
    assert_eq!(record.option, Some(format!("--allow-http gmail={}/a/", server.origin())));
    assert_eq!(record.status.unwrap().as_u16(), 200);
}

#[tokio::test]
async fn report_mode_skips_only_the_grants() {
    let mut setup = Setup::new().private("http://127.0.0.1:9");
    setup.gate.mode = Mode::Report;
    setup.dns.answers("inner.example", &[&["10.0.0.1"]]);
    let client = setup.client();
    for (url, headers) in [
        ("https://inner.example/", [("accept", "*/*")]),
        ("https://127.0.0.1/", [("accept", "*/*")]),
        ("http://127.0.0.1:9/", [("host", "example.com")]),
        ("http://127.0.0.1:9/", [("bg-charm", "no charm")]),
        ("https://user@example.com/", [("accept", "*/*")]),
    ] {
        let error = get(&client, url, &headers).await.unwrap_err();
        assert!(error.is_refusal(), "{url}: {error}");
    }
    assert!(setup.records.all().iter().all(|record| record.decision == Decision::Denied));
}

#[tokio::test]
async fn a_check_neither_sends_nor_looks_up_anything() {
    let setup = Setup::new().grant("https://example.com/v1/").grant("http://127.0.0.1:9/");
    let client = setup.client();
    let verdict = client.check(&http::Method::GET, "https://example.com/v1/a").unwrap();
    assert_eq!((verdict.decision, verdict.rule.as_str()), (Decision::Allowed, "https://example.com/v1/"));
    assert_eq!(denied(client.check(&http::Method::GET, "https://example.com/")).0, Rule::Grant);
    let private = client.check(&http::Method::GET, "http://127.0.0.1:9/").unwrap_err();
    assert_eq!(private.option(), Some("--allow-private http://127.0.0.1:9"));
    assert_eq!(setup.dns.asked(), Vec::<String>::new());
    assert!(setup.records.all().is_empty());
}

/// The test runs itself again with proxies in its environment, since changing a process's own environment is not safe.
#[tokio::test]
async fn proxies_in_the_environment_are_ignored() {
    const CHILD: &str = "BG_EGRESS_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let server = Server::ok().await;
        let setup = Setup::to(&[&server]);
        assert_eq!(get_text(&setup.client(), &server.origin()).await.unwrap(), "ok");
        return;
    }
    let attempt = Attempt::begin("proxies", "in six variables");
    let proxy = Server::ok().await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "grants::proxies_in_the_environment_are_ignored"]).env(CHILD, "1");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, proxy.origin());
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(proxy.connections(), 0);
    attempt.ended("never asked");
}
