//! Properties of the grant matcher that the gate stands on.

use http::Method;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use crate::{
    AskedHttp, EffectiveGrant, HttpGrant, OperatorGrant, effective, find_grant, granted_as_asked, parse_target,
};

/// Parts that parsers and servers are known to read in more than one way, among harmless ones.
const PATH_PARTS: &[&str] = &[
    "/", "/", "/", "//", "\\", "..", ".", "%2e", "%2E", "%2e%2e", "%252e", "%2f", "%2F", "%5c", "%252f", ";", ";x=",
    "%3b", "%00", "%20", "%09", "%c0%ae", "%c0%af", "%ff", "%25", "a", "v1", "V1", "%761", "admin", "?", "é",
];

const HOSTS: &[&str] = &[
    "a.example",
    "A.Example",
    "b.a.example",
    "c.b.a.example",
    "xa.example",
    "a.example.evil.example",
    "a.example.",
    "example",
    "127.0.0.1",
    "127.1",
    "[::1]",
    "a.example@evil.example",
    "evil.example#a.example",
    "a.example:443",
    "a.example:8443",
    "a.example%00.evil.example",
    "a.example\\.evil.example",
    "ａ.example",
    "a。example",
    "a\u{ad}.example",
    "xn--a.example",
];

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PATH_PARTS), 0..10).prop_map(|parts| format!("/{}", parts.concat()))
}

/// Usual paths, so that there are enough that match.
fn plain_path() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&["a", "v1", "admin"][..]), 0..4).prop_flat_map(|parts| {
        let path = format!("/{}", parts.join("/"));
        select(vec![path.clone(), format!("{path}/").replace("//", "/")])
    })
}

fn url() -> impl Strategy<Value = String> {
    let host = prop_oneof![3 => Just("a.example"), 2 => select(HOSTS)];
    let path = prop_oneof![path(), plain_path()];
    (select(&["https", "https", "http"][..]), host, path)
        .prop_map(|(scheme, host, path)| format!("{scheme}://{host}{path}"))
}

fn method() -> impl Strategy<Value = Method> {
    select(&[Method::GET, Method::HEAD, Method::POST, Method::CONNECT][..])
}

fn grant() -> impl Strategy<Value = HttpGrant> {
    let hosts =
        &["a.example", "a.example", "*.a.example", "*.b.a.example", "b.a.example", "127.0.0.1", "a.example:8443"][..];
    let methods = &["", "", "GET ", "GET,POST ", "POST,HEAD "][..];
    (select(methods), select(&["https", "https", "http"][..]), select(hosts), plain_path())
        .prop_map(|(methods, scheme, host, path)| format!("{methods}{scheme}://{host}{path}").parse().unwrap())
}

/// The ways in which servers are known to read a path: decoded not at all, once or twice, with or without what follows a `;`,
/// and always with `\` as `/`, slashes merged and dots resolved.
fn readings(path: &str) -> Vec<String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let once = decode(path);
    let twice = decode(&once);
    let mut readings = Vec::new();
    for text in [path.to_owned(), once, twice] {
        for parameters in [true, false] {
            let mut parts: Vec<&str> = Vec::new();
            let text = text.replace('\\', "/");
            for part in text.split('/') {
                let part = if parameters { part } else { part.split(';').next().unwrap() };
                match part.trim_matches(|c: char| c.is_whitespace() || c == '\0') {
                    "" | "." => {}
                    ".." => {
                        parts.pop();
                    }
                    _ => parts.push(part),
                }
            }
            readings.push(format!("/{}", parts.join("/")));
        }
    }
    readings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn however_a_server_reads_a_path_it_is_within_the_grant(path in path(), prefix in plain_path()) {
        let grant: HttpGrant = format!("https://a.example{prefix}").parse().unwrap();
        // Also for URLs that were not read by `parse_target`, and so had their dots resolved.
        let text = format!("https://a.example{}{path}", prefix.trim_end_matches('/'));
        if let Ok(url) = Url::parse(&text) && grant.matches(&Method::GET, &url).is_ok() {
            let prefix = prefix.trim_end_matches('/');
            for reading in readings(url.path()) {
                let within = reading.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                prop_assert!(within, "{} may be read as {reading}, granted {prefix}", url);
            }
        }
    }

    #[test]
    fn a_url_that_is_read_goes_where_it_seems_to(text in url()) {
        if let Ok(url) = parse_target(&text) {
            // No userinfo, fragment or dots: the text names the host in the one place where a host can be.
            prop_assert!(!text.contains(['@', '#', '\\']));
            let path = text.splitn(4, '/').nth(3).unwrap_or_default().split('?').next().unwrap();
            prop_assert_eq!(url.path().split('/').count(), path.split('/').count() + 1, "nothing was resolved");
            prop_assert!(!url.host_str().unwrap().ends_with("evil.example") || text.contains("a.example.evil.example"));
            // The normal form is a fixed point.
            prop_assert_eq!(parse_target(url.as_str()).unwrap(), url);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}", tail in "[ -~]{0,40}") {
        for text in [text, format!("https://{tail}"), format!("GET https://*.{tail}")] {
            let _ = parse_target(&text);
            if let Ok(grant) = text.parse::<HttpGrant>() {
                prop_assert_eq!(grant.to_string().parse::<HttpGrant>().unwrap(), grant);
            }
        }
    }

    #[test]
    fn an_intersection_is_for_what_both_are_for(a in grant(), b in grant(), text in url(), method in method()) {
        prop_assert_eq!(a.intersection(&b).is_some(), b.intersection(&a).is_some());
        if let Ok(url) = parse_target(&text) {
            let fits = |grant: &HttpGrant| grant.matches(&method, &url).is_ok();
            prop_assert_eq!(a.intersection(&b).is_some_and(|both| fits(&both)), fits(&a) && fits(&b));
            prop_assert!(!a.covers(&b) || !fits(&b) || fits(&a));
        }
        prop_assert!(a.covers(&a));
        prop_assert_eq!(a.to_string().parse::<HttpGrant>().unwrap(), a);
    }

    #[test]
    fn the_capability_is_exactly_what_was_asked_and_granted(
        asked in prop::collection::vec(grant(), 0..4),
        granted in prop::collection::vec(grant(), 0..4),
        text in url(),
        method in method(),
    ) {
        let asked: Vec<AskedHttp> =
            asked.into_iter().map(|grant| AskedHttp { grant, credential: None, reason: "r".into() }).collect();
        let granted: Vec<OperatorGrant> =
            granted.into_iter().map(|grant| OperatorGrant { integration: None, grant }).collect();
        let (effective, withheld) = effective(&"gmail".parse().unwrap(), &asked, &granted);
        let by_operator: Vec<EffectiveGrant> = granted.iter().map(|granted| granted.grant.clone().into()).collect();
        if let Ok(url) = parse_target(&text) {
            let fits = |grants: &[EffectiveGrant]| find_grant(grants, &method, &url).is_ok();
            prop_assert_eq!(fits(&effective), fits(&granted_as_asked(&asked)) && fits(&by_operator));
        }
        // With nothing withheld, all that was asked is granted; and what is withheld says how to get it.
        for asked in &asked {
            let is_withheld = withheld.iter().any(|withheld| withheld.asked == *asked);
            let covered = effective.iter().any(|effective| effective.grant.covers(&asked.grant));
            prop_assert!(!covered || !is_withheld);
        }
        let more = withheld.iter().map(|withheld| {
            let value = withheld.option.strip_prefix("--allow-http ").unwrap().trim_matches('\'');
            value.parse::<OperatorGrant>().unwrap()
        });
        let all: Vec<OperatorGrant> = granted.iter().cloned().chain(more).collect();
        prop_assert_eq!(crate::effective(&"gmail".parse().unwrap(), &asked, &all).1, vec![]);
    }
}
