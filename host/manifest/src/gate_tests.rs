//! Properties of the grant matcher that the gate relies on.

use http::Method;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

use crate::{
    AskedHttp, EffectiveGrant, HttpGrant, OperatorGrant, effective, find_grant, granted_as_asked, parse_target,
};

/// Parts that parsers and servers are known to interpret in different ways, among harmless ones.
const PATH_PARTS: &[&str] = &[
    "/", "/", "/", "//", "\\", "..", ".", "%2e", "%2E", "%2e%2e", "%252e", "%2f", "%2F", "%5c", "%252f", ";", ";x=",
    "%3b", "%00", "%20", "%09", "%c0%ae", "%c0%af", "%ff", "%25", "a", "v1", "V1", "%761", "admin", "?", "é", "％",
    "2e", "2f", "．", "／", "＼", "；", "‥", "℅", "½", "¥", "%u", "002e", "\u{200b}", "\u{34f}", "\u{3164}", ":",
    "%3a", "%ef", "%bc", "%8e",
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

/// Ordinary paths, so that enough of them match.
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

/// What a server may do to a path before it splits it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Decode,
    /// Decoding that also accepts `%u002e`, and overlong forms of ASCII.
    DecodeLeniently,
    Normalize,
    /// Conversion to a Windows character set, which replaces characters by similar ones.
    BestFit,
    DropHidden,
    Lowercase,
    Backslashes,
    DropParameters,
    TrimParts,
}

const STEPS: [Step; 9] = [
    Step::Decode,
    Step::DecodeLeniently,
    Step::Normalize,
    Step::BestFit,
    Step::DropHidden,
    Step::Lowercase,
    Step::Backslashes,
    Step::DropParameters,
    Step::TrimParts,
];

impl Step {
    fn of(self, path: &str) -> String {
        let each = |part: &dyn Fn(&str) -> String| path.split('/').map(part).collect::<Vec<_>>().join("/");
        match self {
            Self::Decode => percent_decode_str(path).decode_utf8_lossy().into_owned(),
            Self::DecodeLeniently => {
                let wide = ["%u002e", "%U002e", "%u002E", "%U002E"]
                    .iter()
                    .fold(path.to_owned(), |path, dot| path.replace(dot, "."));
                let wide =
                    ["%u002f", "%U002f", "%u002F", "%U002F"].iter().fold(wide, |path, slash| path.replace(slash, "/"));
                let bytes: Vec<u8> = percent_decode_str(&wide).collect();
                let mut ascii = Vec::new();
                let mut at = 0;
                while at < bytes.len() {
                    match bytes[at..] {
                        [lead @ 0xc0..=0xc1, next @ 0x80..=0xbf, ..] => {
                            ascii.push((lead & 1) << 6 | next & 0x3f);
                            at += 2;
                        }
                        [0xe0, second @ 0x80..=0x9f, third @ 0x80..=0xbf, ..] if second < 0x82 => {
                            ascii.push((second & 1) << 6 | third & 0x3f);
                            at += 3;
                        }
                        _ => {
                            ascii.push(bytes[at]);
                            at += 1;
                        }
                    }
                }
                String::from_utf8_lossy(&ascii).into_owned()
            }
            Self::Normalize => icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(path).into_owned(),
            Self::BestFit => path
                .chars()
                .map(|c| match c {
                    // Full-width forms.
                    '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap(),
                    '\u{2044}' | '\u{2215}' => '/',
                    '\u{2216}' | '\u{a5}' | '\u{20a9}' | '\u{ffe5}' | '\u{ffe6}' => '\\',
                    '\u{2024}' => '.',
                    other => other,
                })
                .collect(),
            Self::DropHidden => path.chars().filter(|&c| !bg_identity::is_hidden(c)).collect(),
            Self::Lowercase => path.to_lowercase(),
            Self::Backslashes => path.replace('\\', "/"),
            Self::DropParameters => each(&|part| part.split([';', ':']).next().unwrap().to_owned()),
            Self::TrimParts => each(&|part| {
                let blank = |c: char| c.is_whitespace() || c == '\0';
                match part.trim_matches(blank) {
                    "." | ".." => part.trim_matches(blank).to_owned(),
                    // As Windows does: it reads `.. .` as `..`.
                    other => match other.trim_end_matches(|c: char| blank(c) || c == '.') {
                        "" if other.starts_with("..") => "..".to_owned(),
                        rest => rest.to_owned(),
                    },
                }
            }),
        }
    }
}

type Disguise = (fn(&str) -> String, Step);

/// How a step up can be hidden from a comparison of paths, and what a server does that reveals it again.
const DISGUISES: [Disguise; 7] = [
    (percent_encoded, Step::Decode),
    (
        |text| text.chars().map(|c| if c == '.' { "%c0%ae".to_owned() } else { c.to_string() }).collect(),
        Step::DecodeLeniently,
    ),
    (full_width, Step::Normalize),
    (full_width, Step::BestFit),
    (|text| text.replace('/', "\\"), Step::Backslashes),
    (|text| text.split('/').map(|part| format!("{part};x")).collect::<Vec<_>>().join("/"), Step::DropParameters),
    (|text| text.chars().flat_map(|c| ['\u{200b}', c]).collect(), Step::DropHidden),
];

fn percent_encoded(text: &str) -> String {
    let encoded =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    text.bytes().map(encoded).collect()
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c })
        .collect()
}

/// Whether a server that undoes these disguises leaves `/v1/`, and whether a grant for `/v1/` refuses the path.
fn disguised(climb: &str, disguises: &[Disguise]) -> (bool, bool, String) {
    let grant: HttpGrant = "https://a.example/v1/".parse().unwrap();
    let hidden = disguises.iter().fold(climb.to_owned(), |text, (disguise, _)| disguise(&text));
    let url = Url::parse(&format!("https://a.example/v1/{hidden}")).unwrap();
    // The URL parser has encoded everything that is not ASCII.
    let mut reading = if hidden.is_ascii() { url.path().to_owned() } else { Step::Decode.of(url.path()) };
    for (_, step) in disguises.iter().rev() {
        reading = step.of(&reading);
    }
    let leaves = !format!("{}/", resolved(&reading)).starts_with("/v1/");
    (leaves, grant.matches(&Method::GET, &url).is_err(), format!("{url} may be read as {reading}"))
}

#[test]
fn each_disguise_hides_a_step_up_that_a_server_reveals() {
    for (first, one) in DISGUISES.iter().enumerate() {
        assert!(disguised("../admin", &[*one]).0, "disguise {first}");
        for (second, other) in DISGUISES.iter().enumerate() {
            let (_, refused, what) = disguised("../admin", &[*one, *other]);
            assert!(refused, "disguises {first} and {second}: {what}");
        }
    }
}

/// Where a server ends up after all its processing of a path: slashes merged, dots resolved.
fn resolved(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_reading_of_a_granted_path_is_within_the_grant(
        path in path(),
        prefix in plain_path(),
        steps in prop::collection::vec(select(&STEPS[..]), 0..6),
    ) {
        let grant: HttpGrant = format!("https://a.example{prefix}").parse().unwrap();
        // Also for URLs that do not come from `parse_target`, and so had their dots resolved.
        let text = format!("https://a.example{}{path}", prefix.trim_end_matches('/'));
        if let Ok(url) = Url::parse(&text) && grant.matches(&Method::GET, &url).is_ok() {
            let prefix = prefix.trim_end_matches('/');
            let mut reading = url.path().to_owned();
            for step in [None].into_iter().chain(steps.iter().copied().map(Some)) {
                reading = step.map_or_else(|| reading.clone(), |step| step.of(&reading));
                let end = resolved(&Step::Backslashes.of(&reading));
                let within = end.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                prop_assert!(within, "{} may be read as {end} after {steps:?}, granted {prefix}", url);
            }
        }
    }

    #[test]
    fn no_disguise_of_a_step_up_passes(
        disguises in prop::collection::vec(select(&DISGUISES[..]), 0..5),
        climb in select(&["../admin", "a/../../admin", "..", ".././admin"][..]),
    ) {
        let (leaves, refused, what) = disguised(climb, &disguises);
        prop_assert!(refused || !leaves, "{}", what);
    }

    #[test]
    fn a_parsed_url_goes_where_it_seems_to(text in url()) {
        if let Ok(url) = parse_target(&text) {
            // No userinfo, fragment or dots: the host can be only in one place of the text.
            prop_assert!(!text.contains(['@', '#', '\\']));
            let path = text.splitn(4, '/').nth(3).unwrap_or_default().split('?').next().unwrap();
            prop_assert_eq!(url.path().split('/').count(), path.split('/').count() + 1, "nothing was resolved");
            prop_assert!(!url.host_str().unwrap().ends_with("evil.example") || text.contains("a.example.evil.example"));
            // The normal form is a fixed point.
            prop_assert_eq!(parse_target(url.as_str()).unwrap(), url);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,60}", tail in "[ -~]{0,40}") {
        for text in [text, format!("https://{tail}"), format!("GET https://*.{tail}")] {
            let _ = parse_target(&text);
            if let Ok(grant) = text.parse::<HttpGrant>() {
                prop_assert_eq!(grant.to_string().parse::<HttpGrant>().unwrap(), grant);
            }
        }
    }

    #[test]
    fn an_intersection_covers_what_both_grants_cover(a in grant(), b in grant(), text in url(), method in method()) {
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
    fn the_capability_is_exactly_what_was_asked_for_and_granted(
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
        // If nothing is withheld, everything asked for is granted; and what is withheld says which option grants it.
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
