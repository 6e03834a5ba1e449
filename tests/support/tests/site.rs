//! The loopback web site, as a client sees it.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use bg_test_support::{FakeSite, HttpReply, request};

fn address(site: &FakeSite) -> SocketAddr {
    site.base_url().strip_prefix("http://").unwrap().parse().unwrap()
}

fn get(site: &FakeSite, path: &str, headers: &[(&str, &str)]) -> HttpReply {
    request(address(site), "GET", path, headers, b"").unwrap()
}

#[test]
fn a_document_is_sent_to_clients_without_that_version() {
    let site = FakeSite::start().unwrap();
    site.put("/a", "text/plain", "one");
    let first = get(&site, "/a?q", &[]);
    assert_eq!((first.status, first.text().as_str(), first.header("content-type")), (200, "one", Some("text/plain")));
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for known in [[("If-None-Match", etag)], [("If-Modified-Since", modified)]] {
        let reply = get(&site, "/a", &known);
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{known:?}");
    }
    site.put("/a", "text/plain", "two");
    for known in [[("If-None-Match", etag)], [("If-Modified-Since", modified)]] {
        assert_eq!(get(&site, "/a", &known).text(), "two", "{known:?}");
    }
    let seen = site.take_requests();
    assert_eq!((seen[0].path.as_str(), seen[0].status, seen[1].headers["if-none-match"].as_str()), ("/a?q", 200, etag));
}

#[test]
fn other_paths_fail_redirect_or_do_not_exist() {
    let site = FakeSite::start().unwrap();
    site.set_status("/broken", 503);
    site.redirect("/old", "/new");
    assert_eq!(get(&site, "/broken", &[]).status, 503);
    let moved = get(&site, "/old", &[]);
    assert_eq!((moved.status, moved.header("location")), (301, Some("/new")));
    assert_eq!(get(&site, "/nothing", &[]).status, 404);
}

#[test]
fn a_client_that_gives_up_is_recorded() {
    let site = FakeSite::start().unwrap();
    site.be_silent("/");
    let mut client = TcpStream::connect(address(&site)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    assert!(client.read(&mut [0; 1]).is_err());
    assert!(site.take_requests().is_empty());
    drop(client);
    let seen = loop {
        let seen = site.take_requests();
        if !seen.is_empty() {
            break seen;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!(seen[0].status, 0);
}
