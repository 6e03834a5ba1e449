//! Where a request goes, and which grant covers it: `bg_manifest::parse_target`, grants, and `GateClient::check`.
//!
//! Input: lines. The first is a URL, the second a grant, the third a method (default GET), the fourth another grant.

#![no_main]

#[path = "common/reading.rs"]
mod reading;
#[path = "common/shell.rs"]
mod shell;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use bg_egress::{ClientOptions, Decision, EgressError, Gate, GateClient, GateOptions, Mode, Owner, special};
use bg_manifest::{EffectiveGrant, HostPattern, HttpGrant, MAX_URL_BYTES, find_grant, parse_target};
use http::{Method, Uri};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

/// The grants of the clients below.
const GRANTED: [&str; 6] = [
    "https://a.example/",
    "GET https://a.example/v1/",
    "GET,POST https://*.b.example:8443/v1",
    "http://127.0.0.1:8080/",
    "http://169.254.169.254/",
    "http://[::ffff:10.0.0.1]/x/",
];

static GRANTS: LazyLock<Vec<EffectiveGrant>> =
    LazyLock::new(|| GRANTED.iter().map(|text| text.parse::<HttpGrant>().expect("it is a grant").into()).collect());
static ENFORCING: LazyLock<GateClient> = LazyLock::new(|| client(Mode::Enforce));
static REPORTING: LazyLock<GateClient> = LazyLock::new(|| client(Mode::Report));

fn client(mode: Mode) -> GateClient {
    let mut options = ClientOptions::new(Owner::Charms);
    options.grants.clone_from(&GRANTS);
    Gate::new(GateOptions { mode, ..GateOptions::default() }).client(options).expect("there is nothing in its way")
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let url = lines.next().unwrap_or_default();
    let grant = lines.next().and_then(parse_grant);
    let method = lines.next().and_then(|line| Method::from_bytes(line.as_bytes()).ok()).unwrap_or(Method::GET);
    let other = lines.next().and_then(parse_grant);

    gate_check(url, &method);
    let Ok(parsed) = parse_target(url) else { return };
    parsed_as_it_seems(url, &parsed);
    if let Some(grant) = &grant {
        matched_within(grant, &method, &parsed);
    }
    if let (Some(grant), Some(other)) = (&grant, &other) {
        intersected(grant, other, &method, &parsed);
    }
});

/// A grant, which survives printing and parsing.
fn parse_grant(text: &str) -> Option<HttpGrant> {
    let grant: HttpGrant = text.parse().ok()?;
    assert_eq!(grant.to_string().parse::<HttpGrant>().as_ref(), Ok(&grant), "printed as {grant}");
    assert!(grant.covers(&grant), "{grant}");
    if let HostPattern::Exact(host) = grant.host() {
        assert!(is_sound_host(&host.to_string()), "{grant}");
    }
    Some(grant)
}

/// The URL has one meaning, which is the apparent one.
fn parsed_as_it_seems(text: &str, url: &Url) {
    assert_eq!(parse_target(url.as_str()).as_ref(), Ok(url), "{url} is not in normal form");
    assert!(url.as_str().len() <= MAX_URL_BYTES, "{} bytes", url.as_str().len());
    assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None), "{url}");
    assert_eq!(&Url::parse(text).expect("the same parser read it"), url);

    let seen = reading::authority(text).expect("there is one, since it was read");
    let default = if url.scheme() == "https" { 443 } else { 80 };
    assert_eq!(url.port_or_known_default(), Some(seen.port.unwrap_or(default)), "{text:?} became {url}");
    let host = url.host_str().expect("it was checked");
    assert!(is_sound_host(host), "{url}");
    // A name in ASCII letters appears as written; other characters are mapped by IDNA.
    if seen.host.is_ascii() && matches!(url.host(), Some(Host::Domain(_))) && !seen.host.to_lowercase().contains("xn--")
    {
        assert_eq!(host, seen.host.to_ascii_lowercase(), "{text:?} became {url}");
    }
}

/// Contains nothing that a shell, a wildcard or a log could misinterpret.
fn is_sound_host(host: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    }
}

/// What a grant covers lies within it, however a server reads the path.
fn matched_within(grant: &HttpGrant, method: &Method, url: &Url) {
    if grant.matches(method, url).is_err() {
        return;
    }
    assert_eq!(grant.scheme().as_str(), url.scheme(), "{grant} for {url}");
    assert_eq!(Some(grant.port()), url.port_or_known_default(), "{grant} for {url}");
    let host = url.host_str().unwrap_or_default();
    match grant.host() {
        HostPattern::Exact(own) => assert_eq!(own.to_string(), host, "{grant} for {url}"),
        HostPattern::Under(base) => {
            assert!(host.ends_with(&format!(".{base}")) && host.len() > base.len() + 1, "{grant} for {url}");
            assert!(matches!(url.host(), Some(Host::Domain(_))), "{grant} for {url}");
        }
    }
    assert!(!matches!(method.as_str(), "CONNECT" | "TRACE" | "TRACK"), "{grant} for {method}");
    let listed = grant.methods().to_string();
    assert!(grant.methods().is_any() || listed.split(',').any(|one| one == method.as_str()), "{grant} for {method}");

    let prefix = grant.path().as_str();
    for reading in reading::paths(url.path()) {
        assert!(reading::is_within(&reading, prefix), "{url} may be read as {reading}, granted {grant}");
    }
}

fn intersected(a: &HttpGrant, b: &HttpGrant, method: &Method, url: &Url) {
    let fits = |grant: &HttpGrant| grant.matches(method, url).is_ok();
    let both = a.intersection(b);
    assert_eq!(both, b.intersection(a), "{a} and {b}");
    assert_eq!(both.as_ref().is_some_and(fits), fits(a) && fits(b), "{a} and {b} for {method} {url}");
    if let Some(both) = &both {
        assert!(a.covers(both) && b.covers(both), "{a} and {b}");
    }
    assert!(!a.covers(b) || !fits(b) || fits(a), "{a} covers {b} for {method} {url}");
}

/// The gate's own verdict, which does not depend on the spelling of the URL.
fn gate_check(text: &str, method: &Method) {
    let parsed = parse_target(text);
    let reported = REPORTING.check(method, text);
    let enforced = ENFORCING.check(method, text);
    let Ok(url) = parsed else {
        assert!(enforced.is_err() && reported.is_err(), "{text:?} is not a target, but passes");
        return;
    };
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        // The gate knows the addresses of these names without a lookup.
        Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => {
            Some(Ipv4Addr::LOCALHOST.into())
        }
        _ => None,
    };
    let granted = find_grant(&GRANTS, method, &url).is_ok();
    if let Ok(verdict) = &enforced {
        assert!(granted && verdict.decision == Decision::Allowed, "{method} {url}: {}", verdict.rule);
        assert!(reported.is_ok(), "{method} {url} passes the stricter gate alone");
    }
    if let Ok(verdict) = &reported {
        // The parser that parses the URL again when it is sent.
        let uri: Uri = url.as_str().parse().expect("it passed");
        assert_eq!((uri.host(), uri.port_u16()), (url.host_str(), url.port()), "{url}");
        assert_eq!(literal.and_then(special), None, "{method} {url}");
        assert_eq!(verdict.decision == Decision::Allowed, granted, "{method} {url}");
        if let Some(option) = &verdict.option {
            option_grants(option, method, &url);
        }
    }
    if let Err(EgressError::Address { address, .. }) = &reported {
        assert_eq!(literal, Some(*address), "{url}");
    }
    for (client, answer) in [(&ENFORCING, &enforced), (&REPORTING, &reported)] {
        let again = client.check(method, url.as_str());
        match (answer, again) {
            (Ok(one), Ok(other)) => assert_eq!((one.decision, &one.rule), (other.decision, &other.rule), "{url}"),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string(), "{url}"),
            (one, other) => panic!("{text:?}: {:?}, but as {url}: {:?}", one.is_ok(), other.is_ok()),
        }
    }
}

/// The suggested option grants the request, and no other host.
fn option_grants(option: &str, method: &Method, url: &Url) {
    let value = shell::value(option, "--allow-charm-http").unwrap_or_else(|| panic!("{option} is not an option"));
    let grant: HttpGrant = value.parse().unwrap_or_else(|error| panic!("{option}: {error}"));
    assert_eq!(grant.matches(method, url), Ok(()), "{option} for {method} {url}");
    assert!(matches!(grant.host(), HostPattern::Exact(_)), "{option} for {url}");
}
