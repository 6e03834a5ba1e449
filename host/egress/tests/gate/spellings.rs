//! No spelling of a refused address passes. `BG_SPELLINGS` sets how many are tried.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use bg_abuse::Attempt;
use bg_egress::{EgressError, GateClient, Mode, RequestOptions};
use http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Server, Setup, budget, request};

/// The default of `BG_SPELLINGS`.
const SPELLINGS: u32 = 100_000;

/// IPv4 blocks that no guest may reach: the first address, and the length of the prefix.
const BLOCKS: [(u32, u32); 21] = [
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0x7f00_0001, 32),
    (0xa9fe_0000, 16),
    (0xa9fe_a9fe, 32),
    (0xa83f_8110, 32),
    (0x6464_64c8, 32),
    (0xac10_0000, 12),
    (0xc000_0000, 24),
    (0xc000_0200, 24),
    (0xc01f_c400, 24),
    (0xc034_c100, 24),
    (0xc058_6300, 24),
    (0xc0a8_0000, 16),
    (0xc0af_3000, 24),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 3),
];

fn refused_v4() -> impl Strategy<Value = Ipv4Addr> {
    (select(&BLOCKS[..]), any::<u32>()).prop_map(|((first, bits), rest)| {
        let free = u32::MAX.checked_shr(bits).unwrap_or(0);
        Ipv4Addr::from_bits(first | (rest & free))
    })
}

/// Addresses outside all special blocks.
fn public_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![0x0800_0000_u32..=0x09ff_ffff, 0x1000_0000_u32..=0x5fff_ffff, 0xd000_0000_u32..=0xdfff_ffff]
        .prop_map(Ipv4Addr::from_bits)
}

/// One number of an address, in a base and with leading zeros.
#[derive(Clone, Copy, Debug)]
struct Number {
    base: u8,
    zeros: usize,
    upper: bool,
}

fn number() -> impl Strategy<Value = Number> {
    (select(vec![8, 10, 10, 16]), 0..3_usize, any::<bool>()).prop_map(|(base, zeros, upper)| Number {
        base,
        zeros,
        upper,
    })
}

impl Number {
    fn write(self, value: u32) -> String {
        let zeros = "0".repeat(self.zeros);
        match (self.base, self.upper) {
            (8, _) => format!("0{zeros}{value:o}"),
            (16, true) => format!("0X{zeros}{value:X}"),
            (16, false) => format!("0x{zeros}{value:x}"),
            // Leading zeros would make it octal.
            _ => value.to_string(),
        }
    }
}

/// Characters that are normalized to these: full-width, circled, superscript and mathematical ones, and percent-encoded
/// ones.
#[derive(Clone, Copy, Debug)]
enum Script {
    Plain,
    FullWidth,
    Circled,
    Superscript,
    Mathematical,
    Percent,
    Dots(char),
}

impl Script {
    fn write(self, text: &str) -> String {
        let shifted = |c: char, zero: u32| char::from_u32(zero + c.to_digit(10).unwrap_or(0)).unwrap_or(c);
        let mut out = String::new();
        for c in text.chars() {
            match self {
                Self::FullWidth if c.is_ascii_graphic() => {
                    out.extend(char::from_u32(u32::from(c) - 0x21 + 0xff01));
                }
                Self::Circled if ('1'..='9').contains(&c) => out.push(shifted(c, 0x245f)),
                Self::Superscript if ('4'..='9').contains(&c) => out.push(shifted(c, 0x2070)),
                Self::Mathematical if c.is_ascii_digit() => out.push(shifted(c, 0x1d7ce)),
                Self::Percent => write!(out, "%{:02x}", u32::from(c)).unwrap(),
                Self::Dots(dot) if c == '.' => out.push(dot),
                _ => out.push(c),
            }
        }
        out
    }
}

/// A host that is an IPv4 address, written as one to four numbers.
fn spelled_v4(address: Ipv4Addr) -> impl Strategy<Value = String> {
    let script = select(vec![
        Script::Plain,
        Script::Plain,
        Script::FullWidth,
        Script::Circled,
        Script::Superscript,
        Script::Mathematical,
        Script::Percent,
        Script::Dots('\u{3002}'),
        Script::Dots('\u{ff0e}'),
        Script::Dots('\u{ff61}'),
    ]);
    (1..=4_usize, vec(number(), 4), select(vec!["", "", "."]), script).prop_map(move |(parts, numbers, end, script)| {
        let bits = address.to_bits();
        let whole = numbers.iter().zip(address.octets()).take(parts - 1);
        let mut words: Vec<String> = whole.map(|(number, octet)| number.write(u32::from(octet))).collect();
        // The last number stands for all remaining bytes.
        let left = u32::MAX.checked_shr(8 * u32::try_from(parts - 1).unwrap()).unwrap_or(0);
        words.push(numbers[3].write(bits & left));
        script.write(&format!("{}{end}", words.join(".")))
    })
}

/// Every standard way in which an IPv6 address embeds an IPv4 one.
fn carrying(address: Ipv4Addr, form: u8, salt: u16) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    match form {
        0 => Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        1 => Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        2 => Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        3 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        4 => Ipv6Addr::new(0x64, 0xff9b, 1, salt, 0, 0, high, low),
        5 => Ipv6Addr::new(0x64, 0xff9b, 1, high, low >> 8, low << 8, 0, 0),
        6 => Ipv6Addr::new(0x2002, high, low, salt, 0, 0, 0, 1),
        7 => Ipv6Addr::new(0x2001, 0, high, low, salt, 0, 0x0808, 0x0808),
        8 => Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, salt, 0, !high, !low),
        9 => Ipv6Addr::new(0x2a00, salt, 0, 0, 0, 0x5efe, high, low),
        _ => Ipv6Addr::new(0x2a00, salt, 0, 0, 0x0200, 0x5efe, high, low),
    }
}

/// The first two groups of IPv6 addresses that no guest may reach, and that embed nothing.
const BLOCKS_V6: [(u16, u16); 14] = [
    (0x100, 0),
    (0x2001, 2),
    (0x2001, 3),
    (0x2001, 0x10),
    (0x2001, 0x2f),
    (0x2001, 0xdb8),
    (0x3fff, 0x0fff),
    (0x5f00, 1),
    (0xfc00, 0),
    (0xfd00, 0xec2),
    (0xfe80, 0),
    (0xfec0, 0),
    (0xff02, 0),
    (0x4000, 0),
];

fn refused_v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        (refused_v4(), 0..=10_u8, any::<u16>()).prop_map(|(address, form, salt)| carrying(address, form, salt)),
        // Any IPv4 address may be embedded, except in the well-known NAT64 prefix.
        (any::<u32>(), select(vec![0_u8, 1, 2, 4, 5, 6, 7, 8, 9, 10]), any::<u16>())
            .prop_map(|(address, form, salt)| carrying(Ipv4Addr::from_bits(address), form, salt)),
        (select(&BLOCKS_V6[..]), any::<u64>()).prop_map(|((first, second), rest)| {
            let high = (u128::from(first) << 112) | (u128::from(second) << 96);
            Ipv6Addr::from_bits(high | u128::from(rest))
        }),
        Just(Ipv6Addr::LOCALHOST),
        Just(Ipv6Addr::UNSPECIFIED),
    ]
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(""), 1 => select(vec!["%25eth0", "%eth0", "%25"])]
}

/// A host that is an IPv6 address: shortened or not, its end dotted or not, with leading zeros, in upper or lower case.
fn spelled_v6(address: Ipv6Addr) -> impl Strategy<Value = String> {
    (any::<bool>(), any::<bool>(), 0..4_usize, any::<bool>(), zone()).prop_map(
        move |(short, dotted, width, upper, zone)| {
            let [.., a, b, c, d] = address.octets();
            let words = &address.segments()[..if dotted { 6 } else { 8 }];
            let mut text = words.iter().map(|word| format!("{word:0width$x}")).collect::<Vec<_>>().join(":");
            if dotted {
                write!(text, ":{a}.{b}.{c}.{d}").unwrap();
            } else if short {
                text = address.to_string();
            }
            if upper {
                text = text.to_uppercase();
            }
            format!("[{text}{zone}]")
        },
    )
}

/// The rest of the URL around the host.
fn around(host: String) -> impl Strategy<Value = String> {
    let scheme = select(vec!["http://", "https://", "HTTPS://", "hTTp://"]);
    let user = prop_oneof![
        12 => Just(""),
        1 => select(vec!["user@", "user:pass@", "@", ":@", "example.com@", "example.com%40@"]),
    ];
    let port = prop_oneof![
        6 => Just(String::new()),
        6 => (1..=u16::MAX).prop_map(|port| format!(":{port}")),
        1 => (1..=u16::MAX).prop_map(|port| format!(":000{port}")),
        1 => select(vec![":", ":0", ":65536", ":99999999999", ":+80", ":80a", ":%38%30"]).prop_map(str::to_owned),
    ];
    let rest = prop_oneof![
        12 => select(vec!["", "/", "/latest/meta-data/", "?q", "/?@example.com", "/../x", "/%2e%2e/x"]),
        1 => select(vec!["#f", "/#@example.com/", "\\x", "\\@example.com/", "/%00", ";x"]),
    ];
    (scheme, user, port, rest).prop_map(move |(scheme, user, port, rest)| format!("{scheme}{user}{host}{port}{rest}"))
}

fn refused_urls() -> impl Strategy<Value = String> {
    prop_oneof![
        refused_v4().prop_flat_map(spelled_v4).prop_flat_map(around),
        refused_v6().prop_flat_map(spelled_v6).prop_flat_map(around),
    ]
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A client that is granted everything: only the checks of addresses and URLs can refuse.
fn client(setup: &mut Setup) -> GateClient {
    setup.gate.mode = Mode::Report;
    setup.gate.audit = None;
    setup.client()
}

#[test]
fn no_spelling_of_a_refused_address_passes() {
    let count = std::env::var("BG_SPELLINGS").map_or(SPELLINGS, |text| text.parse().expect("BG_SPELLINGS is a number"));
    let mut setup = Setup::new();
    let client = client(&mut setup);
    let attempt =
        Attempt::begin("spellings", "of refused addresses: bases, widths, scripts, IPv6 forms, ports, userinfo");
    let (by_address, by_url) = (AtomicU32::new(0), AtomicU32::new(0));
    let tried = runner(count).run(&refused_urls(), |url| {
        match client.check(&Method::GET, &url) {
            Err(EgressError::Address { .. }) => by_address.fetch_add(1, Ordering::Relaxed),
            Err(EgressError::Request(_)) => by_url.fetch_add(1, Ordering::Relaxed),
            other => return Err(TestCaseError::fail(format!("{url}: {other:?}"))),
        };
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
    let (by_address, by_url) = (by_address.into_inner(), by_url.into_inner());
    // Most are valid URLs, refused only for their address.
    assert!(by_address > count / 4, "{by_address} of {count}");
    let ended = format!("{count} tried: {by_address} refused by their address, {by_url} as invalid or ambiguous URLs");
    println!("{ended}");
    attempt.ended(ended);
}

#[test]
fn every_spelling_of_a_public_address_is_parsed_as_that_address_or_refused() {
    let mut setup = Setup::new();
    let client = client(&mut setup);
    let spelled = public_v4().prop_flat_map(|address| spelled_v4(address).prop_map(move |host| (address, host)));
    let read = AtomicU32::new(0);
    let tried = runner(2_000).run(&spelled, |(address, host)| {
        let url = format!("https://{host}/");
        if let Err(error) = client.check(&Method::GET, &url) {
            prop_assert!(matches!(error, EgressError::Request(_)), "{url}: {error}");
            return Ok(());
        }
        read.fetch_add(1, Ordering::Relaxed);
        let granted = Setup::new().grant(&format!("https://{address}/")).client();
        prop_assert!(granted.check(&Method::GET, &url).is_ok(), "{url} is not {address}");
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
    let read = read.into_inner();
    assert!(read > 1_000, "{read} of 2000 were read as an address");
}

#[tokio::test]
async fn refused_addresses_are_neither_looked_up_nor_dialled() {
    let server = Server::ok().await;
    let port = server.address.port();
    let mut setup = Setup::new();
    let client = client(&mut setup);
    let mut runner = runner(0);
    let loopback = (0x7f00_0000_u32..=0x7fff_ffff).prop_map(Ipv4Addr::from_bits);
    let hosts = prop_oneof![
        loopback.clone().prop_flat_map(spelled_v4),
        (loopback, 0..=2_u8).prop_flat_map(|(address, form)| spelled_v6(carrying(address, form, 0))),
        spelled_v6(Ipv6Addr::LOCALHOST),
        spelled_v6(Ipv6Addr::UNSPECIFIED),
        Just(Ipv4Addr::UNSPECIFIED).prop_flat_map(spelled_v4),
    ];
    let attempt = Attempt::begin("spellings", "of loopback, while a server listens there");
    for _ in 0..1_000 {
        let host = hosts.new_tree(&mut runner).unwrap().current();
        let url = format!("http://{host}:{port}/");
        let Ok(uri) = url.parse::<http::Uri>() else { continue };
        let sent =
            client.send(request("GET", &uri.to_string(), &[]), &budget(&client), RequestOptions::default()).await;
        let error = sent.expect_err(&url);
        assert!(matches!(error, EgressError::Address { .. } | EgressError::Request(_)), "{url}: {error}");
    }
    assert_eq!((server.connections(), setup.dns.asked()), (0, Vec::new()));
    attempt.ended("Address; no lookup, no connection");
}
