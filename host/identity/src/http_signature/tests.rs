//! Signing and verifying together.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::*;
use crate::{Did, Identity};

const URL: &str = "http://localhost:8000/api/v1/registrations?after=1";
const BODY: &[u8] = br#"{"space":"did:key:z"}"#;

/// A request as received.
#[derive(Clone)]
struct Received {
    method: Method,
    authority: String,
    path_and_query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Received {
    fn verify(&self, now: SystemTime) -> Result<Verified, SignatureError> {
        verify(&self.method, &self.authority, &self.path_and_query, &self.headers, &self.body, now)
    }

    fn altered(&self, header: &'static str, from: &str, to: &str) -> Self {
        let mut altered = self.clone();
        let text = self.headers[header].to_str().unwrap().replace(from, to);
        assert_ne!(text, self.headers[header].to_str().unwrap(), "{from} is in {header}");
        altered.headers.insert(header, HeaderValue::from_str(&text).unwrap());
        altered
    }

    /// Signed again after its signature input was changed, by the key that it names then: as a careless client would
    /// do.
    fn resigned(&self, identity: &Identity, from: &str, to: &str) -> Self {
        let mut altered = self.altered("signature-input", from, to);
        let input = altered.headers["signature-input"].to_str().unwrap().strip_prefix("sig=").unwrap().to_owned();
        let names = input[1..input.find(')').unwrap()].split(' ');
        let value = |name: &str| match name.split(';').next().unwrap().trim_matches('"') {
            "@method" => self.method.to_string(),
            "@authority" => self.authority.clone(),
            "@path" => self.path_and_query.split('?').next().unwrap().to_owned(),
            "@query" => format!("?{}", self.path_and_query.split('?').nth(1).unwrap_or_default()),
            name => self.headers[name].to_str().unwrap().to_owned(),
        };
        let lines: Vec<String> = names.map(|name| format!("{name}: {}", value(name))).collect();
        let base = lines.join("\n");
        let signature = STANDARD.encode(identity.sign(format!("{base}\n\"@signature-params\": {input}").as_bytes()));
        altered.headers.insert("signature", HeaderValue::from_str(&format!("sig=:{signature}:")).unwrap());
        altered
    }
}

fn identity() -> Identity {
    Identity::from_passphrase("implicit trust")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + seconds(1_800_000_000)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn received(method: Method, url: &str, body: &[u8]) -> Received {
    let url: Url = url.parse().unwrap();
    let headers = sign(&identity(), &method, &url, body, now()).unwrap().into_iter().collect();
    let uri: http::Uri = url.as_str().parse().unwrap();
    Received {
        method,
        authority: uri.authority().unwrap().to_string(),
        path_and_query: uri.path_and_query().unwrap().to_string(),
        headers,
        body: body.to_vec(),
    }
}

fn usual() -> Received {
    received(Method::POST, URL, BODY)
}

#[test]
fn a_signed_request_is_verified() {
    let urls = [
        URL,
        "http://localhost:8000",
        "https://Example.com:443/a%20b/%C3%BC?q=%22x%22&r",
        "http://[::1]:80/?",
        "http://127.0.0.1:9/x?a=?b",
    ];
    for url in urls {
        for (method, body) in [(Method::GET, &b""[..]), (Method::PUT, BODY)] {
            let verified = received(method, url, body).verify(now()).unwrap();
            assert_eq!(verified.did, identity().did(), "{url}");
            assert_eq!(verified.expires, 1_800_000_060);
        }
    }
}

#[test]
fn the_signature_base_is_that_of_the_standard() {
    let received = usual();
    let input = received.headers["signature-input"].to_str().unwrap().strip_prefix("sig=").unwrap();
    let digest = received.headers["content-digest"].to_str().unwrap();
    let base = format!(
        "\"@method\": POST\n\"@authority\": localhost:8000\n\"@path\": /api/v1/registrations\n\"@query\": ?after=1\n\
         \"content-digest\": {digest}\n\"@signature-params\": {input}"
    );
    let signature = received.headers["signature"].to_str().unwrap();
    assert_eq!(signature, format!("sig=:{}:", STANDARD.encode(identity().sign(base.as_bytes()))));
    let did = identity().did();
    assert!(
        input.starts_with("(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created=1800000000")
    );
    assert!(input.ends_with(&format!(";keyid=\"{did}\";alg=\"ed25519\";tag=\"bg-wasm-host\"")), "{input}");
}

#[test]
fn the_digest_is_that_of_the_standard() {
    // RFC 9530, appendix D: the digest of an empty body.
    let received = received(Method::GET, URL, b"");
    assert_eq!(received.headers["content-digest"], "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
}

#[test]
fn each_altered_part_is_detected() {
    use SignatureError::{Digest, Wrong};
    let usual = usual();
    let other = Identity::from_passphrase("another").did();
    let with = |change: fn(&mut Received)| {
        let mut altered = usual.clone();
        change(&mut altered);
        altered
    };
    let cases = [
        (with(|r| r.method = Method::PUT), Wrong),
        (with(|r| r.authority = "localhost:8001".into()), Wrong),
        (with(|r| r.path_and_query = "/api/v1/runs?after=1".into()), Wrong),
        (with(|r| r.path_and_query = "/api/v1/registrations?after=2".into()), Wrong),
        (with(|r| r.path_and_query = "/api/v1/registrations".into()), Wrong),
        (with(|r| r.body.push(b' ')), Digest),
        (with(|r| r.body.clear()), Digest),
        (usual.altered("content-digest", "sha-256=:", "sha-256=:AAAA"), Wrong),
        (usual.altered("signature-input", "created=1800000000", "created=1800000001"), Wrong),
        (usual.altered("signature-input", "expires=1800000060", "expires=1800000059"), Wrong),
        (usual.altered("signature-input", "nonce=\"", "nonce=\"x"), Wrong),
        (usual.altered("signature-input", identity().did().as_str(), other.as_str()), Wrong),
        (usual.altered("signature-input", "\"@method\" \"@authority\"", "\"@authority\" \"@method\""), Wrong),
        (usual.altered("signature-input", ";tag=", ";x=1;tag="), Wrong),
        (usual.altered("signature", "sig=:", "sig=:AAAA"), SignatureError::Malformed("signature")),
    ];
    for (index, (altered, expected)) in cases.into_iter().enumerate() {
        assert_eq!(altered.verify(now()), Err(expected), "case {index}");
    }
    let mut flipped = usual.clone();
    let text = usual.headers["signature"].to_str().unwrap().to_owned();
    let swapped = if &text[10..11] == "A" { "B" } else { "A" };
    flipped.headers.insert("signature", format!("{}{swapped}{}", &text[..10], &text[11..]).parse().unwrap());
    assert_eq!(flipped.verify(now()), Err(Wrong));
}

#[test]
fn a_missing_or_malformed_header_is_named() {
    for name in ["content-digest", "signature-input", "signature"] {
        let mut request = usual();
        request.headers.remove(name);
        assert_eq!(request.verify(now()), Err(SignatureError::Missing(name)));
        for text in ["\"", "=", "\u{e9}"] {
            request.headers.insert(name, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert!(request.verify(now()).is_err(), "{name}: {text}");
        }
    }
}

#[test]
fn a_signature_that_covers_less_or_more_is_refused() {
    use SignatureError::{Components, Parameter, Tag};
    let (usual, identity) = (usual(), identity());
    let other = Identity::from_passphrase("another");
    let cases = [
        (" \"content-digest\"", "", Components),
        ("\"@method\" ", "", Components),
        ("\"@method\" ", "\"@method\" \"@method\" ", Components),
        ("\"@method\"", "\"@method\";req", Components),
        ("\"content-digest\"", "\"content-digest\" \"signature\"", Components),
        (";tag=\"bg-wasm-host\"", "", Tag),
        ("bg-wasm-host", "another-app", Tag),
        ("ed25519", "hmac-sha256", Parameter("alg")),
        (";alg=\"ed25519\"", "", Parameter("alg")),
        (";created=1800000000", "", Parameter("created")),
        ("created=1800000000", "created=-1", Parameter("created")),
        (";expires=1800000060", "", Parameter("expires")),
        ("expires=1800000060", "expires=1800000061", Parameter("expires")),
        ("expires=1800000060", "expires=1799999999", Parameter("expires")),
        ("nonce=", "once=", Parameter("nonce")),
        ("nonce=\"", "nonce=\"short\";x=\"", Parameter("nonce")),
        ("keyid=\"", "keyid=\"\";x=\"", SignatureError::Key("".parse::<Did>().unwrap_err())),
    ];
    for (from, to, expected) in cases {
        assert_eq!(usual.resigned(&identity, from, to).verify(now()), Err(expected), "{from} to {to}");
    }
    // Any order of components and parameters is valid, if it is what was signed.
    let reordered = usual.resigned(&identity, "\"@method\" \"@authority\"", "\"@authority\" \"@method\"");
    assert!(reordered.verify(now()).is_ok());
    // Signed by a key other than the one it names.
    assert_eq!(usual.resigned(&other, "created", "x=1;created").verify(now()), Err(SignatureError::Wrong));
}

#[test]
fn other_signatures_besides_ours_are_ignored_and_two_of_ours_are_refused() {
    let usual = usual();
    let mut beside = usual.clone();
    beside.headers.append("signature-input", "proxy=(\"@path\");tag=\"proxy\"".parse().unwrap());
    beside.headers.append("signature", "proxy=:AAAA:".parse().unwrap());
    assert!(beside.verify(now()).is_ok());
    let mut twice = usual.clone();
    let again = usual.headers["signature-input"].to_str().unwrap().replacen("sig=", "sig2=", 1);
    twice.headers.append("signature-input", again.parse().unwrap());
    assert_eq!(twice.verify(now()), Err(SignatureError::Tag));
}

#[test]
fn a_signature_is_valid_for_a_minute() {
    let usual = usual();
    assert!(usual.verify(now() + LIFETIME).is_ok());
    assert_eq!(usual.verify(now() + LIFETIME + seconds(1)), Err(SignatureError::Expired));
    assert!(usual.verify(now() - MAX_CLOCK_SKEW).is_ok());
    assert_eq!(usual.verify(now() - MAX_CLOCK_SKEW - seconds(1)), Err(SignatureError::Future));
    assert_eq!(usual.verify(SystemTime::UNIX_EPOCH - seconds(1)), Err(SignatureError::Future));
}

const OPERATOR: Sender = Sender { room: Room::Operator, network: None };

/// A cache of that capacity, with requests of the operator, whose server started a day before the requests of these
/// tests; and a moment of its clock.
fn cache(capacity: usize) -> (NonceCache, Instant) {
    let start = Instant::now();
    (NonceCache::starting(start, now() - seconds(86_400), 4 * capacity), start + seconds(86_400))
}

fn verified(nonce: &str, created: u64) -> Verified {
    Verified { did: identity().did(), nonce: nonce.into(), created, expires: created + LIFETIME.as_secs() }
}

#[test]
fn a_replay_is_refused_as_long_as_its_signature_verifies() {
    let (cache, at) = cache(10);
    let attempt = bg_abuse::Attempt::begin("signatures", "replayed, also after the clock was set back");
    let verified = usual().verify(now()).unwrap();
    assert_eq!(cache.accept(&verified, OPERATOR, at), Ok(()));
    assert_eq!(cache.accept(&verified, OPERATOR, at), Err(SignatureError::Replayed));
    assert_eq!(cache.accept(&verified, OPERATOR, at + LIFETIME), Err(SignatureError::Replayed));
    // The wall clock goes forward and back again, so that the signature verifies once more.
    assert_eq!(usual().verify(now() + seconds(3_000)), Err(SignatureError::Expired));
    assert_eq!(cache.accept(&usual().verify(now()).unwrap(), OPERATOR, at + seconds(3_000)), Ok(()));
    assert_eq!(cache.accept(&verified, OPERATOR, at + seconds(3_001)), Err(SignatureError::Replayed));
    attempt.ended(SignatureError::Replayed);
    // Another request, and the same nonce of another signer, are not replays.
    assert_eq!(cache.accept(&usual().verify(now()).unwrap(), OPERATOR, at), Ok(()));
    let other = Verified { did: Identity::from_passphrase("another").did(), ..verified };
    assert_eq!(cache.accept(&other, OPERATOR, at), Ok(()));
}

#[test]
fn requests_that_an_earlier_process_may_have_accepted_are_refused() {
    let start = Instant::now();
    let cache = NonceCache::starting(start, now(), 10);
    let at = unix(now());
    let attempt = bg_abuse::Attempt::begin("signatures", "replayed after a restart of the server");
    assert_eq!(cache.accept(&verified("a", at - 1), OPERATOR, start), Err(SignatureError::BeforeStart));
    assert_eq!(cache.accept(&verified("a", at - 1), OPERATOR, start + seconds(89)), Err(SignatureError::BeforeStart));
    attempt.ended(SignatureError::BeforeStart);
    assert_eq!(cache.accept(&verified("a", at), OPERATOR, start), Ok(()));
    // By now it would have expired, unless the clock was wrong when the server started.
    assert_eq!(cache.accept(&verified("b", at - 1), OPERATOR, start + seconds(90)), Ok(()));
}

#[test]
fn a_full_cache_refuses_until_the_oldest_have_expired() {
    let (cache, at) = cache(2);
    let created = unix(now());
    assert_eq!(cache.accept(&verified("a", created), OPERATOR, at), Ok(()));
    assert_eq!(cache.accept(&verified("b", created), OPERATOR, at + seconds(10)), Ok(()));
    assert_eq!(cache.accept(&verified("c", created), OPERATOR, at + seconds(90)), Err(SignatureError::Busy));
    assert_eq!(cache.accept(&verified("a", created), OPERATOR, at + seconds(90)), Err(SignatureError::Replayed));
    assert_eq!(cache.accept(&verified("c", created), OPERATOR, at + seconds(91)), Ok(()));
    assert_eq!(cache.accept(&verified("d", created), OPERATOR, at + seconds(92)), Err(SignatureError::Busy));
    assert_eq!(cache.accept(&verified("b", created), OPERATOR, at + seconds(92)), Err(SignatureError::Replayed));
}

fn by(name: &str, nonce: usize) -> Verified {
    let did = Identity::from_passphrase(name).did();
    Verified { did, ..verified(&format!("{nonce}"), unix(now())) }
}

#[test]
fn a_signer_and_a_network_have_a_share_and_no_stranger_uses_the_operators_room() {
    let start = Instant::now();
    // Room for 64 nonces of strangers, of which a signer may use 8 and a network 16; 32 for local clients, and 32 for
    // the operator.
    let cache = NonceCache::starting(start, now() - seconds(86_400), 128);
    let at = start + seconds(86_400);
    let of = |network: u8| Sender { room: Room::Strangers, network: Some([192, 0, 2, network].into()) };
    for nonce in 0..8 {
        assert_eq!(cache.accept(&by("eve", nonce), of(1), at), Ok(()));
    }
    assert_eq!(cache.accept(&by("eve", 8), of(2), at), Err(SignatureError::BusySigner));
    for nonce in 0..8 {
        assert_eq!(cache.accept(&by("mallory", nonce), of(1), at), Ok(()));
    }
    assert_eq!(cache.accept(&by("trudy", 0), of(1), at), Err(SignatureError::BusySigner));
    for number in 0..48_u8 {
        assert_eq!(cache.accept(&by(&number.to_string(), 0), of(2 + number / 16), at), Ok(()));
    }
    assert_eq!(cache.accept(&by("ann", 0), of(9), at), Err(SignatureError::Busy));
    // Only the strangers' room is full.
    assert_eq!(cache.accept(&by("ann", 0), Sender { room: Room::Local, network: None }, at), Ok(()));
    for nonce in 0..32 {
        assert_eq!(cache.accept(&by("operator", nonce), OPERATOR, at), Ok(()));
    }
    // A nonce is accepted once, in whichever room.
    assert_eq!(cache.accept(&by("eve", 0), OPERATOR, at), Err(SignatureError::Replayed));
    let later = at + seconds(91);
    assert_eq!(cache.accept(&by("eve", 8), of(1), later), Ok(()));
    // It replaced the oldest.
    assert_eq!(cache.accept(&by("eve", 1), of(1), later), Err(SignatureError::Replayed));
}

#[test]
fn a_signature_of_a_fast_clock_is_not_accepted_again_after_a_restart() {
    let attempt = bg_abuse::Attempt::begin("signatures", "of a fast clock, replayed after a restart of the server");
    let at = unix(now());
    let sender = |room| Sender { room, network: None };
    for room in [Room::Strangers, Room::Local, Room::Operator] {
        let before = NonceCache::starting(Instant::now(), now() - seconds(86_400), 64);
        let later = Instant::now() + seconds(86_400);
        // A correct clock moves nothing.
        assert_eq!(before.to_write(&verified("a", at), room, now()), None);
        let fast = verified("b", at + 30);
        let until = before.to_write(&fast, room, now()).unwrap();
        assert!((at + 30..=at + 35).contains(&until), "{until}");
        before.written(room, until);
        assert_eq!(before.accept(&fast, sender(room), later), Ok(()));
        // Recorded now and then, not for each request.
        assert_eq!(before.to_write(&verified("c", at + 31), room, now()), None);

        let (start, restarted) = (Instant::now(), now() + seconds(2));
        let mut left = FastClock::default();
        *(if room == Room::Operator { &mut left.operator } else { &mut left.others }) = until;
        let after = NonceCache::starting(start, restarted, 64);
        after.resume(left);
        for (waited, created) in [(0, at + 30), (20, at + 30), (31, at + 30), (0, at + 2)] {
            let wait = (until - at - 2).saturating_sub(waited) + 1;
            let expected = Err(SignatureError::Starting(wait));
            assert_eq!(after.accept(&verified("b", created), sender(room), start + seconds(waited)), expected);
        }
        assert_eq!(after.accept(&verified("b", until + 1), sender(room), start + seconds(34)), Ok(()));
        // Strangers delay only strangers.
        let other = if room == Room::Operator { Room::Strangers } else { Room::Operator };
        assert_eq!(after.accept(&verified("d", at + 2), sender(other), start), Ok(()));
    }
    attempt.ended(SignatureError::Starting(30));
}

fn unix(time: SystemTime) -> u64 {
    base::unix_seconds(time)
}
