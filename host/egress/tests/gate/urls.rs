//! Ambiguous URLs: each is refused, or has one meaning.

use bg_abuse::Attempt;
use bg_egress::{Decision, EgressError, GateClient};
use http::Method;

use crate::support::{Setup, get};

/// The gate's verdict on a GET: `allowed`, the rule that denies it, or the kind of its error.
fn said(client: &GateClient, url: &str) -> String {
    match client.check(&Method::GET, url) {
        Ok(verdict) => verdict.decision.to_string(),
        Err(EgressError::Denied { rule, .. }) => rule.to_string(),
        Err(error) => error.kind().to_owned(),
    }
}

/// Each URL gets the expected verdict under these grants, and no name is looked up.
fn judged(row: &str, what: &str, grants: &[&str], cases: &[(&str, &str)]) {
    let attempt = Attempt::begin(row, what);
    let setup = grants.iter().fold(Setup::new(), |setup, grant| setup.grant(grant));
    let client = setup.client();
    for (url, expected) in cases {
        assert_eq!(said(&client, url), *expected, "{url}");
    }
    assert_eq!(setup.dns.asked(), Vec::<String>::new());
    let allowed = cases.iter().filter(|(_, expected)| *expected == "allowed").count();
    attempt.ended(format!("{} refused, {allowed} unambiguous ones allowed", cases.len() - allowed));
}

const ALLOWED: &str = "allowed";
const NO_GRANT: &str = "no-grant";
const REQUEST: &str = "request";

#[test]
fn text_around_a_host_does_not_change_the_host() {
    judged(
        "urls",
        "userinfo, backslashes, #@, ?@, tabs, line ends, null bytes",
        &["https://example.com/"],
        &[
            ("https://example.com/", ALLOWED),
            ("https://example.com@evil.example/", REQUEST),
            ("https://example.com:443@evil.example/", REQUEST),
            ("https://evil.example/@example.com/", NO_GRANT),
            ("https://evil.example#@example.com/", REQUEST),
            ("https://example.com/#@evil.example", REQUEST),
            ("https://evil.example?@example.com/", NO_GRANT),
            ("https://evil.example\\@example.com/", REQUEST),
            ("https://example.com\\@evil.example/", REQUEST),
            ("https:\\\\example.com/", REQUEST),
            ("https:/\\example.com/", REQUEST),
            ("https:example.com/", REQUEST),
            ("https:///example.com/", REQUEST),
            ("https://exam\tple.com/", REQUEST),
            ("https://example.com\n.evil.example/", REQUEST),
            ("https://example.com\r\n/", REQUEST),
            ("https://example.com%00.evil.example/", REQUEST),
            ("https://example.com%2f@evil.example/", REQUEST),
            ("https://example.com /", REQUEST),
            (" https://example.com/", REQUEST),
            ("https://example.com\u{0}/", REQUEST),
            ("https://[example.com]/", REQUEST),
            ("https://example.com:443:443/", REQUEST),
        ],
    );
}

#[test]
fn a_name_has_one_meaning_in_every_spelling() {
    let (label, name) = ("a".repeat(64), format!("{}.example.com", ["a"; 130].join(".")));
    judged(
        "urls",
        "case, dots, labels, look-alikes, compatibility characters",
        &["https://example.com/", "https://b\u{fc}cher.example/"],
        &[
            ("https://EXAMPLE.com/", ALLOWED),
            ("https://\u{ff25}\u{ff38}ample.com/", ALLOWED),
            ("https://example\u{3002}com/", ALLOWED),
            ("https://example\u{ff0e}com/", ALLOWED),
            ("https://ex\u{ad}ample.com/", ALLOWED),
            ("https://xn--bcher-kva.example/", ALLOWED),
            ("https://B\u{dc}CHER.example/", ALLOWED),
            // Cyrillic, Greek, and a dotless i are different names.
            ("https://ex\u{430}mple.com/", NO_GRANT),
            ("https://\u{3b5}xample.com/", NO_GRANT),
            ("https://xn--xample-2of.com/", NO_GRANT),
            ("https://bu\u{308}cher.example/", ALLOWED),
            ("https://bucher.example/", NO_GRANT),
            ("https://xn--/", REQUEST),
            ("https://xn--a-\u{fc}.example/", REQUEST),
            ("https://example.com./", REQUEST),
            ("https://example..com/", REQUEST),
            ("https://.example.com/", REQUEST),
            ("https://example.com../", REQUEST),
            ("https://\u{2024}example.com/", REQUEST),
            (&format!("https://{label}.example/"), REQUEST),
            (&format!("https://{name}/"), REQUEST),
            ("https://exa mple.com/", REQUEST),
            ("https://exa$mple.com/", REQUEST),
            ("https://*.example.com/", REQUEST),
            // A fraction slash, which is an ordinary character of a name, and a full-width slash, which would end the
            // name.
            ("https://example.com\u{2044}evil.example/", NO_GRANT),
            ("https://example.com\u{ff0f}.evil.example/", REQUEST),
            ("https://example.com\u{2100}.evil.example/", REQUEST),
        ],
    );
}

#[test]
fn a_granted_name_covers_no_other_that_contains_it() {
    judged(
        "names",
        "suffixes, wildcard and apex",
        &["https://*.example.com/", "https://api.example.org/"],
        &[
            ("https://a.example.com/", ALLOWED),
            ("https://a.b.example.com/", ALLOWED),
            ("https://example.com/", NO_GRANT),
            ("https://evilexample.com/", NO_GRANT),
            ("https://example.com.evil.example/", NO_GRANT),
            ("https://a.example.com.evil.example/", NO_GRANT),
            ("https://a.example.comm/", NO_GRANT),
            ("https://a-example.com/", NO_GRANT),
            ("https://api.example.org/", ALLOWED),
            ("https://x.api.example.org/", NO_GRANT),
            ("https://example.org/", NO_GRANT),
            ("https://apiexample.org/", NO_GRANT),
        ],
    );
}

#[test]
fn a_port_is_unambiguous_and_the_default_one_may_be_omitted() {
    judged(
        "ports",
        "absent, 0, too large, padded, default; IPv6 zones",
        &["https://example.com/", "https://example.org:8443/", "http://example.net:80/"],
        &[
            ("https://example.com:443/", ALLOWED),
            ("https://example.com:00443/", ALLOWED),
            ("https://example.com:80/", NO_GRANT),
            ("https://example.com:4430/", NO_GRANT),
            ("https://example.org/", NO_GRANT),
            ("https://example.org:8443/", ALLOWED),
            ("http://example.net/", ALLOWED),
            ("https://example.net:80/", NO_GRANT),
            ("https://example.com:/", REQUEST),
            ("https://example.com:0/", REQUEST),
            ("https://example.com:65536/", REQUEST),
            ("https://example.com:65979/", REQUEST),
            ("https://example.com:4294967739/", REQUEST),
            ("https://example.com:-443/", REQUEST),
            ("https://example.com:+443/", REQUEST),
            ("https://example.com:0x1bb/", REQUEST),
            ("https://example.com:44%33/", REQUEST),
            ("https://example.com:\u{ff14}\u{ff14}\u{ff13}/", REQUEST),
            ("https://[2a00::1%eth0]/", REQUEST),
            ("https://[2a00::1%25eth0]/", REQUEST),
            ("https://[fe80::1%251]:443/", REQUEST),
        ],
    );
}

#[test]
fn no_path_escapes_its_granted_prefix() {
    judged(
        "paths",
        "dots, encoded dots and slashes, double slashes, parameters, case",
        &["https://example.com/gmail/v1/"],
        &[
            ("https://example.com/gmail/v1/", ALLOWED),
            ("https://example.com/gmail/v1/users/me?x=../../admin", ALLOWED),
            ("https://example.com/gmail/v1/a/../b", REQUEST),
            ("https://example.com/gmail/v2/../v1/a", REQUEST),
            ("https://example.com/gmail/v1/../../admin", REQUEST),
            ("https://example.com/gmail/v1/..", REQUEST),
            ("https://example.com/gmail/v1/%2e%2e/%2E%2e/admin", REQUEST),
            ("https://example.com/gmail/v1/.%2e/admin", REQUEST),
            ("https://example.com/gmail/v1/%2e%2e%2fadmin", NO_GRANT),
            ("https://example.com/gmail/v1/..%2f..%2fadmin", NO_GRANT),
            ("https://example.com/gmail/v1/%252e%252e/admin", NO_GRANT),
            ("https://example.com/gmail/v1/..;/admin", NO_GRANT),
            ("https://example.com/gmail/v1/a;/../../../admin", REQUEST),
            ("https://example.com/gmail/v1/..%5cadmin", NO_GRANT),
            ("https://example.com/gmail/v1/%00/../../admin", REQUEST),
            ("https://example.com/gmail/v1", NO_GRANT),
            ("https://example.com/gmail/v10/", NO_GRANT),
            ("https://example.com/gmail//v1/", NO_GRANT),
            ("https://example.com//gmail/v1/", NO_GRANT),
            ("https://example.com/GMAIL/v1/", NO_GRANT),
            ("https://example.com/gmail%2fv1/", NO_GRANT),
            ("https://example.com/%67mail/v1/", NO_GRANT),
            ("https://example.com/gmail/v1\\..\\admin", REQUEST),
        ],
    );
}

#[test]
fn only_http_and_https_are_accepted() {
    judged(
        "schemes",
        "other schemes, and plain HTTP where TLS is granted",
        &["https://example.com/", "http://example.org/"],
        &[
            ("http://example.com/", NO_GRANT),
            ("http://example.com:443/", NO_GRANT),
            ("https://example.org/", NO_GRANT),
            ("ftp://example.com/", REQUEST),
            ("ws://example.com/", REQUEST),
            ("wss://example.com/", REQUEST),
            ("file:///etc/passwd", REQUEST),
            ("file://example.com/etc/passwd", REQUEST),
            ("data:text/plain,x", REQUEST),
            ("gopher://example.com:443/_GET", REQUEST),
            ("unix:/var/run/docker.sock", REQUEST),
            ("javascript:alert(1)", REQUEST),
            ("//example.com/", REQUEST),
            ("/", REQUEST),
            ("h2c://example.com/", REQUEST),
            ("view-source:https://example.com/", REQUEST),
        ],
    );
}

/// The first and the last address of every special-purpose block, written down from the registries a second time,
/// independently of the gate's tables.
const EDGES: [(&str, &[&str]); 2] = [
    (
        "IPv4",
        &[
            "0.0.0.0 0.255.255.255",
            "10.0.0.0 10.255.255.255",
            "100.64.0.0 100.127.255.255",
            "127.0.0.0 127.255.255.255",
            "169.254.0.0 169.254.255.255",
            "172.16.0.0 172.31.255.255",
            "192.0.0.0 192.0.0.255",
            "192.0.2.0 192.0.2.255",
            "192.31.196.0 192.31.196.255",
            "192.52.193.0 192.52.193.255",
            "192.88.99.0 192.88.99.255",
            "192.168.0.0 192.168.255.255",
            "192.175.48.0 192.175.48.255",
            "198.18.0.0 198.19.255.255",
            "198.51.100.0 198.51.100.255",
            "203.0.113.0 203.0.113.255",
            "224.0.0.0 239.255.255.255",
            "240.0.0.0 255.255.255.255",
        ],
    ),
    (
        "IPv6",
        &[
            "::1 ::",
            "::ffff:0:0 ::ffff:ffff:ffff",
            "64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "100:: 100::ffff:ffff:ffff:ffff",
            "100:0:0:1:: 100::1:ffff:ffff:ffff:ffff",
            "2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:2:: 2001:2:0:ffff:ffff:ffff:ffff:ffff",
            "2001:3:: 2001:3:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:4:112:: 2001:4:112:ffff:ffff:ffff:ffff:ffff",
            "2001:10:: 2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:20:: 2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:30:: 2001:3f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
            "3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "5f00:: 5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe80:: febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "ff00:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ],
    ),
];

/// Tries each address behind a granted name, and as the host of a granted URL.
async fn leads_nowhere(row: &str, what: &str, addresses: &[&str]) {
    let attempt = Attempt::begin(row, what);
    for address in addresses {
        let host = if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
        let literal = format!("https://{host}/");
        let setup = Setup::new().grant("https://name.example/").grant(&literal);
        setup.dns.answers("name.example", &[&[address]]);
        for url in ["https://name.example/", &literal] {
            let error = get(&setup.client(), url, &[]).await.unwrap_err();
            assert!(matches!(error, EgressError::Address { .. }), "{url} to {address}: {error}");
        }
        assert!(setup.records.all().iter().all(|record| record.decision == Decision::Denied));
    }
    attempt.ended(format!("Address, {} of {}", addresses.len(), addresses.len()));
}

#[tokio::test]
async fn no_special_purpose_address_is_reached_by_name_or_as_a_literal() {
    for (family, blocks) in EDGES {
        let addresses: Vec<&str> = blocks.iter().flat_map(|block| block.split(' ')).collect();
        leads_nowhere("addresses", &format!("both ends of every special-purpose block of {family}"), &addresses).await;
    }
    let here = Setup::new().grant("http://localhost/").client();
    assert_eq!(said(&here, "http://localhost/"), "address");
    // Their neighbours outside the block are public.
    let client = Setup::new().grant("https://11.0.0.0/").grant("https://[2a00::1]/").client();
    assert_eq!(
        (said(&client, "https://11.0.0.0/"), said(&client, "https://[2a00::1]/")),
        (ALLOWED.into(), ALLOWED.into())
    );
}

#[tokio::test]
async fn no_cloud_metadata_address_is_reached() {
    let addresses = [
        // Amazon, Google, Azure, DigitalOcean, OpenStack, Hetzner and others; Amazon's in containers.
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        // Azure's platform, Alibaba, Oracle, Tencent, Scaleway.
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "169.254.0.23",
        "169.254.42.42",
        // Amazon, Google, Oracle, Scaleway.
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "64:ff9b::a9fe:a9fe",
    ];
    leads_nowhere("metadata", "of the large providers, in both families", &addresses).await;
    // Not even if the operator allows the origin.
    let origin = "http://169.254.169.254";
    let error = get(&Setup::new().grant(origin).private(origin).client(), origin, &[]).await.unwrap_err();
    assert!(matches!(error, EgressError::Address { option: None, .. }), "{error}");
}

#[tokio::test]
async fn no_ipv6_address_that_embeds_a_private_ipv4_one_is_reached() {
    let addresses = [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "::7f00:1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::127.0.0.1",
        "64:ff9b:1:7f00:0:100::",
        "2002:7f00:1::1",
        "2001::7f00:1",
        "2001:0:808:808::80ff:fffe",
        "2a00::5efe:127.0.0.1",
        "2a00::200:5efe:127.0.0.1",
        "2a00::300:5efe:10.0.0.1",
        "fe80::5efe:127.0.0.1",
    ];
    leads_nowhere("embedded", "mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP", &addresses).await;
}
