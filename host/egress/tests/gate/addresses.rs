//! Where a granted name may lead.

use std::time::Duration;

use bg_egress::{EgressError, Gate, Part, RequestOptions, Rule, SystemResolver, Wait};
use proptest::prelude::*;

use crate::support::{Server, Setup, budget, get, get_text, request};

fn refused(result: Result<impl std::fmt::Debug, EgressError>) -> (String, &'static str, Option<String>) {
    match result.unwrap_err() {
        EgressError::Address { address, what, option, .. } => (address.to_string(), what, option),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn no_spelling_of_loopback_gets_through() {
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
}

#[tokio::test]
async fn one_private_answer_among_public_ones_spoils_them_all() {
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
}

#[tokio::test]
async fn a_name_is_looked_up_once_so_that_it_cannot_change_between_check_and_dial() {
    let server = Server::ok().await;
    let origin = format!("http://dev.example:{}", server.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    // Nobody listens at what the second and third look-up would find.
    setup.dns.answers("dev.example", &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.3"]]);
    assert_eq!(get_text(&setup.client(), &origin).await.unwrap(), "ok");
    assert_eq!(setup.dns.asked(), ["dev.example"]);
}

#[tokio::test]
async fn a_rebound_name_is_refused_also_where_a_connection_is_open() {
    let server = Server::ok().await;
    let origin = format!("http://dev.example:{}", server.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    let gate = Gate::new(setup.gate.clone());
    let client = setup.client_for(&gate);
    setup.dns.answers("dev.example", &[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1", "127.0.0.9"]]);
    assert_eq!(get_text(&client, &origin).await.unwrap(), "ok");
    assert_eq!(get_text(&client, &origin).await.unwrap(), "ok");
    assert_eq!(server.connections(), 1, "the connection is used again");
    gate.add_listener(format!("127.0.0.9:{}", server.address.port()).parse().unwrap());
    assert!(get(&client, &origin, &[]).await.unwrap_err().is_refusal());
    assert_eq!(setup.dns.asked().len(), 3);
}

#[tokio::test]
async fn names_without_addresses_too_many_or_too_late_are_told_apart() {
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
}

#[tokio::test]
async fn allow_private_is_for_that_very_origin() {
    let (one, other) = (Server::ok().await, Server::ok().await);
    let setup = Setup::to(&[&one]).grant(&other.origin());
    let client = setup.client();
    assert_eq!(get_text(&client, &one.origin()).await.unwrap(), "ok");
    refused(get(&client, &other.origin(), &[]).await);
    // Not a grant.
    let setup = Setup::new().private(&one.origin());
    assert!(matches!(
        get(&setup.client(), &one.origin(), &[]).await,
        Err(EgressError::Denied { rule: Rule::Grant, .. })
    ));
}

#[tokio::test]
async fn the_services_own_ports_are_closed_unless_that_very_origin_is_named() {
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

            // Naming an address names this machine; a name belongs to whoever answers for it.
            let setup = setup.private(&origin);
            let named = get(&setup.client(), &origin, &[]).await;
            if origin.contains("dev") {
                assert!(matches!(named, Err(EgressError::Denied { rule: Rule::OwnPort, option: None, .. })));
            } else {
                assert!(named.is_ok(), "{named:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_port_opened_later_is_closed_too() {
    let own = Server::ok().await;
    let origin = format!("http://dev.example:{}", own.address.port());
    let setup = Setup::new().grant(&origin).private(&origin);
    setup.dns.answers("dev.example", &[&["127.0.0.1"]]);
    let gate = Gate::new(setup.gate.clone());
    let client = setup.client_for(&gate);
    assert!(get(&client, &origin, &[]).await.is_ok());
    gate.add_listener(own.address);
    assert!(get(&client, &origin, &[]).await.is_err());
}

#[tokio::test]
async fn nobody_there_is_a_connection_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let setup = Setup::new().grant(&origin).private(&origin);
    let error = get(&setup.client(), &format!("{origin}/x?secret"), &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(setup.records.one().decision, bg_egress::Decision::Allowed);
}

/// An IPv4 address that is refused, and one of the ways to write it as the host of a URL.
fn refused_spellings() -> impl Strategy<Value = String> {
    let inner = prop_oneof![
        (0x7f00_0000_u32..=0x7fff_ffff),
        (0x0a00_0000_u32..=0x0aff_ffff),
        (0xa9fe_0000_u32..=0xa9fe_ffff),
        (0xc0a8_0000_u32..=0xc0a8_ffff),
        Just(0xa83f_8110_u32),
        (0xe000_0000_u32..=0xffff_ffff),
    ];
    (inner, 0..14, any::<u16>()).prop_map(|(bits, form, salt)| {
        let [a, b, c, d] = bits.to_be_bytes();
        let (high, low) = (bits >> 16, bits & 0xffff);
        match form {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => format!("{bits}"),
            2 => format!("{bits:#x}"),
            3 => format!("0{bits:o}"),
            4 => format!("0x{a:X}.0{b:o}.{c}.{d:#x}"),
            5 => format!("{a}.{}", bits & 0xff_ffff),
            6 => format!("{a}.{b}.{low}"),
            7 => format!("{a}.{b}.{c}.{d}."),
            8 => format!("[::ffff:{a}.{b}.{c}.{d}]"),
            9 => format!("[0:0:0:0:0:FFFF:{high:x}:{low:x}]"),
            10 => format!("[::{high:x}:{low:x}]"),
            11 => format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
            12 => format!("[2002:{high:x}:{low:x}:{salt:x}::1]"),
            _ => format!("[2a00:{salt:x}::5efe:{high:x}:{low:x}]"),
        }
    })
}

proptest! {
    #[test]
    fn no_spelling_of_a_refused_address_passes(host in refused_spellings(), tls: bool, port in 1..=u16::MAX) {
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://{host}:{port}/");
        // Even where that very spelling is granted.
        let refused = Setup::new().grant(&url).client().check(&http::Method::GET, &url);
        prop_assert!(matches!(refused, Err(EgressError::Address { .. })), "{url}: {refused:?}");
    }
}
