//! Where a granted name may lead.

use std::time::Duration;

use bg_abuse::Attempt;
use bg_egress::{EgressError, Gate, Part, RequestOptions, Rule, SystemResolver, Wait};

use crate::support::{Server, Setup, budget, get, get_text, request};

fn refused(result: Result<impl std::fmt::Debug, EgressError>) -> (String, &'static str, Option<String>) {
    match result.unwrap_err() {
        EgressError::Address { address, what, option, .. } => (address.to_string(), what, option),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn no_spelling_of_loopback_gets_through() {
    let attempt = Attempt::begin("spellings", "loopback in bases, IPv6 forms and as a name");
    let server = Server::ok().await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "0.0.0.0",
    ] {
        let origin = format!("http://{host}:{port}");
        let setup = Setup::new().grant(&origin);
        refused(get(&setup.client(), &origin, &[]).await);
    }
    let mut setup = Setup::new().grant(&format!("http://localhost:{port}"));
    setup.gate.resolver = std::sync::Arc::new(SystemResolver::default());
    let (_, what, option) = refused(get(&setup.client(), &format!("http://localhost:{port}/"), &[]).await);
    assert_eq!((what, option), ("loopback", Some(format!("--allow-private http://localhost:{port}"))));
    assert_eq!(server.connections(), 0);
    attempt.ended("Address");
}

#[tokio::test]
async fn one_private_address_among_public_ones_refuses_them_all() {
    let attempt = Attempt::begin("dns", "one private address among public ones, in IPv4 and IPv6");
    let setup = Setup::new().grant("https://mixed.example/");
    for answer in [["192.0.0.1", "10.1.2.3"], ["8.8.8.8", "10.1.2.3"], ["2001:4860:4860::8888", "::ffff:8.8.8.8"]] {
        setup.dns.answers("mixed.example", &[&answer]);
        refused(get(&setup.client(), "https://mixed.example/", &[]).await);
    }
    let record = &setup.records.all()[1];
    assert_eq!(
        (record.rule.as_str(), record.option.as_deref()),
        ("private", Some("--allow-private https://mixed.example"))
    );
    attempt.ended("Address");
}

#[tokio::test]
async fn a_name_is_looked_up_once_so_that_it_cannot_change_between_check_and_dial() {
    let attempt = Attempt::begin("dns", "another answer to each lookup");
    let server = Server::ok().await;
    let origin = format!("http://dev.example:{}", server.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    // Nothing listens at the addresses that the second and third lookup would return.
    setup.dns.answers("dev.example", &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.3"]]);
    assert_eq!(get_text(&setup.client(), &origin).await.unwrap(), "ok");
    assert_eq!(setup.dns.asked(), ["dev.example"]);
    attempt.ended("looked up once; the checked address is dialled");
}

#[tokio::test]
async fn a_rebound_name_is_refused_even_while_a_connection_is_open() {
    let attempt = Attempt::begin("dns", "rebound while a connection is open");
    let server = Server::ok().await;
    let origin = format!("http://dev.example:{}", server.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    let gate = Gate::new(setup.gate.clone());
    let client = setup.client_for(&gate);
    setup.dns.answers("dev.example", &[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1", "127.0.0.9"]]);
    assert_eq!(get_text(&client, &origin).await.unwrap(), "ok");
    assert_eq!(get_text(&client, &origin).await.unwrap(), "ok");
    assert_eq!(server.connections(), 1, "the connection is reused");
    gate.add_listener(format!("127.0.0.9:{}", server.address.port()).parse().unwrap());
    assert!(get(&client, &origin, &[]).await.unwrap_err().is_refusal());
    assert_eq!(setup.dns.asked().len(), 3);
    attempt.ended("refused");
}

#[tokio::test]
async fn each_failed_lookup_has_its_own_error() {
    let attempt = Attempt::begin("dns", "no such name, no address, 65 addresses, no answer in time");
    let setup = Setup::new().grant("https://*.example.com/");
    let client = setup.client();
    let none = get(&client, "https://unknown.example.com/", &[]).await.unwrap_err();
    assert_eq!(none.to_string(), "cannot find unknown.example.com: no such name");

    setup.dns.answers("empty.example.com", &[&[]]);
    let empty = get(&client, "https://empty.example.com/", &[]).await.unwrap_err();
    assert_eq!(empty.to_string(), "cannot find empty.example.com: it has no addresses");

    setup.dns.answers("huge.example.com", &[&["8.8.8.8"; 65]]);
    let huge = get(&client, "https://huge.example.com/", &[]).await.unwrap_err();
    assert!(matches!(huge, EgressError::TooLarge { what: Part::Addresses, limit: 64 }), "{huge}");

    setup.dns.slow(Duration::from_secs(30));
    let options = RequestOptions { connect: Some(Duration::from_millis(20)), ..RequestOptions::default() };
    let slow = client.send(request("GET", "https://a.example.com/", &[]), &budget(&client), options).await.unwrap_err();
    assert!(matches!(slow, EgressError::Timeout { what: Wait::Lookup, .. }), "{slow}");
    attempt.ended("Dns, Dns, TooLarge, Timeout");
}

#[tokio::test]
async fn allow_private_covers_that_very_origin_only() {
    let (one, other) = (Server::ok().await, Server::ok().await);
    let setup = Setup::to(&[&one]).grant(&other.origin());
    let client = setup.client();
    assert_eq!(get_text(&client, &one.origin()).await.unwrap(), "ok");
    refused(get(&client, &other.origin(), &[]).await);
    // This does not grant anything.
    let setup = Setup::new().private(&one.origin());
    assert!(matches!(
        get(&setup.client(), &one.origin(), &[]).await,
        Err(EgressError::Denied { rule: Rule::Grant, .. })
    ));
}

#[tokio::test]
async fn the_services_own_ports_are_closed_unless_that_very_origin_is_allowed() {
    let attempt = Attempt::begin("own-ports", "by address, by 0.0.0.0, by a name that leads here");
    let own = Server::ok().await;
    let port = own.address.port();
    let any = format!("0.0.0.0:{port}").parse().unwrap();
    for listener in [own.address, any, format!("[::]:{port}").parse().unwrap()] {
        for origin in [own.origin(), format!("http://dev.example:{port}"), format!("http://0.0.0.0:{port}")] {
            let mut setup = Setup::new().grant(&origin);
            setup.gate.listeners.push(listener);
            setup.dns.answers("dev.example", &[&["127.0.0.1"]]);
            let error = get(&setup.client(), &origin, &[]).await.unwrap_err();
            assert!(matches!(error, EgressError::Denied { rule: Rule::OwnPort, .. }), "{origin}: {error}");

            // An address names this machine; a name leads wherever its owner points it.
            let setup = setup.private(&origin);
            let named = get(&setup.client(), &origin, &[]).await;
            if origin.contains("dev") {
                assert!(matches!(named, Err(EgressError::Denied { rule: Rule::OwnPort, option: None, .. })));
            } else {
                assert!(named.is_ok(), "{named:?}");
            }
        }
    }
    attempt.ended("own-port, unless that very origin is allowed");
}

#[tokio::test]
async fn a_port_opened_later_is_closed_too() {
    let attempt = Attempt::begin("own-ports", "a port that is opened later");
    let own = Server::ok().await;
    let origin = format!("http://dev.example:{}", own.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    setup.dns.answers("dev.example", &[&["127.0.0.1"]]);
    let gate = Gate::new(setup.gate.clone());
    let client = setup.client_for(&gate);
    assert!(get(&client, &origin, &[]).await.is_ok());
    gate.add_listener(own.address);
    assert!(get(&client, &origin, &[]).await.is_err());
    attempt.ended("own-port");
}

#[tokio::test]
async fn a_refused_connection_is_a_connection_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let setup = Setup::new().grant(&origin).private(&origin);
    let error = get(&setup.client(), &format!("{origin}/x?secret"), &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(setup.records.one().decision, bg_egress::Decision::Allowed);
}
