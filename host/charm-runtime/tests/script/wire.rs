//! The bytes on the wire of every kind of `fetch`, of a charm and of a real browser, side by side.
//!
//! Both run the same calls against a server that keeps what it was sent, and both say what came of each. What differs
//! on purpose stands in [`DIFFERENT`] and [`ONLY_BROWSERS`], and in `docs/charms.md`; anything else that differs fails
//! the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bg_egress::{ClientOptions, Gate, GateClient, GateOptions, Owner};
use bg_manifest::EffectiveGrant;
use bg_test_support::Browser;
use serde_json::{Value, json};

use crate::support::{Charm, component, workspace};

/// Each of these is a call as an author writes it. `base` is the server.
const CALLS: &[&str] = &[
    // Methods, without a body.
    "fetch(base + '/get')",
    "fetch(base + '/head', { method: 'HEAD' })",
    "fetch(base + '/options', { method: 'OPTIONS' })",
    "fetch(base + '/delete', { method: 'DELETE' })",
    "fetch(base + '/patch', { method: 'PATCH' })",
    "fetch(base + '/post', { method: 'POST' })",
    "fetch(base + '/put', { method: 'PUT' })",
    "fetch(base + '/report', { method: 'REPORT' })",
    "fetch(base + '/lower', { method: 'patch' })",
    "fetch(base + '/normal', { method: 'put' })",
    "fetch(base + '/unknown', { method: 'foo' })",
    // Bodies.
    "fetch(base + '/text', { method: 'POST', body: 'hällo' })",
    "fetch(base + '/text-put', { method: 'PUT', body: 'hello' })",
    "fetch(base + '/text-patch', { method: 'PATCH', body: 'hello' })",
    "fetch(base + '/text-delete', { method: 'DELETE', body: 'hello' })",
    "fetch(base + '/empty', { method: 'POST', body: '' })",
    "fetch(base + '/empty-put', { method: 'PUT', body: '' })",
    "fetch(base + '/empty-patch', { method: 'PATCH', body: '' })",
    "fetch(base + '/empty-delete', { method: 'DELETE', body: '' })",
    "fetch(base + '/bytes', { method: 'POST', body: new Uint8Array([104, 105, 0, 255]) })",
    "fetch(base + '/buffer', { method: 'POST', body: new ArrayBuffer(0) })",
    "fetch(base + '/form', { method: 'POST', body: new URLSearchParams({ a: 'ü &', b: '' }) })",
    "fetch(base + '/json', { method: 'POST', body: JSON.stringify({ a: 1 }), headers: { 'Content-Type': 'application/json' } })",
    "fetch(base + '/large', { method: 'POST', body: 'x'.repeat(100_000) })",
    "fetch(new Request(base + '/request', { method: 'POST', body: 'hello' }))",
    "fetch(new Request(base + '/request-again', { method: 'POST', body: 'hello' }), { body: 'other' })",
    // Headers.
    "fetch(base + '/headers', { headers: { 'X-One': ' a ', 'x-two': 'caf\\u00e9', Accept: 'text/plain', 'Accept-Language': 'de' } })",
    "fetch(base + '/headers-twice', { headers: [['x-a', '1'], ['X-A', '2'], ['x-b', '']] })",
    "fetch(base + '/length', { method: 'POST', body: 'hello', headers: { 'content-length': '1' } })",
    "fetch(base + '/length-get', { headers: { 'content-length': '7' } })",
    "fetch(base + '/host', { headers: { Host: 'b.example', 'x-a': '1' } })",
    "fetch(base + '/forbidden', { headers: { Connection: 'close', 'Keep-Alive': '5', TE: 'trailers', Trailer: 'x', Via: '1.1 x' } })",
    "fetch(base + '/forbidden-more', { method: 'POST', body: 'hello', headers: { 'Transfer-Encoding': 'chunked', Expect: '100-continue' } })",
    "fetch(base + '/forbidden-proxy', { headers: { 'Proxy-Authorization': 'x', 'Proxy-Other': 'x', Upgrade: 'h2c' } })",
    "fetch(base + '/forbidden-method', { headers: { 'X-HTTP-Method-Override': 'GET, trace', 'X-Method-Override': 'CONNECT' } })",
    "(() => { const r = new Request(base + '/forbidden-later', { headers: new Headers({ host: 'b.example' }) }); r.headers.set('Host', 'c.example'); r.headers.append('TE', 'x'); return fetch(r); })()",
    // URLs.
    "fetch(base + '/q?a={b}|c^d`e\\'f\"g<h>i ü[]%zz%20+')",
    "fetch(base + '/p/{a}`d \\'\"<>;,%zz%2e[]@:!$&()*+=~ü')",
    "fetch(base + '/signs/a|b^c')",
    "fetch(base + '/backslash?a\\\\b')",
    "fetch(base + '/a/./b/../c\\\\d#part')",
    "fetch(base + '/empty-query?')",
    "fetch(base)",
    // Redirects, by status and method.
    "fetch(base + '/to/301/end')",
    "fetch(base + '/to/302/end')",
    "fetch(base + '/to/303/end', { method: 'HEAD' })",
    "fetch(base + '/to/301/end', { method: 'POST', body: 'hello', headers: { 'x-a': '1' } })",
    "fetch(base + '/to/302/end', { method: 'POST', body: 'hello' })",
    "fetch(base + '/to/302/end', { method: 'PUT', body: 'hello' })",
    "fetch(base + '/to/303/end', { method: 'POST', body: 'hello' })",
    "fetch(base + '/to/303/end', { method: 'PUT', body: 'hello' })",
    "fetch(base + '/to/303/end', { method: 'DELETE' })",
    "fetch(base + '/to/307/end', { method: 'POST', body: 'hello' })",
    "fetch(base + '/to/308/end', { method: 'PUT', body: 'hello' })",
    "fetch(base + '/to/307/end', { method: 'POST' })",
    "fetch(base + '/to/300/end')",
    "fetch(base + '/to/304/end')",
    "fetch(base + '/to/302/end', { redirect: 'error' })",
    "fetch(base + '/to/302/manual', { redirect: 'manual' })",
    // Redirects, by what the location is.
    "fetch(base + '/location/utf8')",
    "fetch(base + '/location/latin1')",
    "fetch(base + '/location/encoded')",
    "fetch(base + '/location/space')",
    "fetch(base + '/location/backslash')",
    "fetch(base + '/location/relative')",
    "fetch(base + '/location/query')",
    "fetch(base + '/location/fragment#old')",
    "fetch(base + '/location/dots')",
    "fetch(base + '/location/signs')",
    "fetch(base + '/location/twice')",
    "fetch(base + '/location/two')",
    "fetch(base + '/location/empty')",
    "fetch(base + '/location/none')",
    "fetch(base + '/location/bad')",
    "fetch(base + '/location/file')",
    "fetch(base + '/location/folded')",
    "fetch(base + '/location/round')",
    // Connections that the server closes.
    "kept(base + '/dropped/get')",
    "kept(base + '/dropped/head', { method: 'HEAD' })",
    "kept(base + '/dropped/put', { method: 'PUT', body: 'hello' })",
    "kept(base + '/dropped/delete', { method: 'DELETE' })",
    "kept(base + '/dropped/post', { method: 'POST', body: 'hello' })",
    // Answers.
    "fetch(base + '/answer/hints')",
    "fetch(base + '/answer/folded')",
    "fetch(base + '/answer/latin1')",
    "fetch(base + '/answer/no-reason')",
    "fetch(base + '/answer/lf')",
    "fetch(base + '/answer/twins')",
    "fetch(base + '/answer/both')",
    "fetch(base + '/answer/until-closed')",
    "fetch(base + '/answer/old')",
    "fetch(base + '/answer/204')",
    "fetch(base + '/answer/short')",
    "fetch(base + '/answer/two-lengths')",
];

/// How many calls one poll makes: a call of a guest has 64 requests, and each of these may be redirected.
const CALLS_AT_ONCE: usize = 8;

/// Calls of which a charm sends, or is answered, something else on purpose, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("/dropped/post", "a POST that may have arrived is not sent again"),
    (
        "/signs/",
        "the URL standard's parser leaves `|` of a path as it is, and the one here `^`, too; Chromium encodes both",
    ),
    ("/to/302/manual", "a charm sees where it would be led; a page must not"),
    ("/backslash", "the gate lets no backslash pass, so it is encoded in a query"),
];

/// Headers that browsers send for themselves, and a charm does not: it has no cookies, no page and no origin, and
/// nothing is decompressed for it.
const ONLY_BROWSERS: &[&str] = &[
    "accept-encoding",
    "accept-language",
    "connection",
    "origin",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
];

/// One request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Sent {
    fn framing(&self) -> String {
        match (self.headers.get("content-length"), self.headers.get("transfer-encoding")) {
            (None, None) => "-".to_owned(),
            (Some(length), None) => format!("length {length}"),
            (None, Some(coding)) => coding.clone(),
            (Some(length), Some(coding)) => format!("length {length} and {coding}"),
        }
    }

    /// What both sides must send alike: all but what says who they are.
    fn essence(&self) -> (String, String, String, Vec<u8>, BTreeMap<&str, &str>) {
        let own = |name: &str| matches!(name, "host" | "user-agent" | "content-length" | "transfer-encoding");
        let headers = self.headers.iter().filter(|(name, _)| !own(name) && !ONLY_BROWSERS.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        (self.method.clone(), self.target.clone(), self.framing(), self.body.clone(), headers)
    }
}

/// A server that keeps what it is sent, and whose answers are bytes.
struct Wire {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Wire {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = sent.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // A client that goes away ends its connection.
                std::thread::spawn(move || serve(&stream, &kept));
            }
        });
        Self { address, sent }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent since the last time.
    fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<Sent>>) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone().ok()?), stream);
    for served in 0.. {
        let request = read(&mut reader)?;
        let is_page = matches!(request.target.as_str(), "/page" | "/favicon.ico");
        let again = kept.lock().unwrap().iter().any(|sent| sent.target == request.target);
        let target = request.target.clone();
        let is_dropped = target.starts_with("/dropped/") && !again;
        if is_dropped && served == 0 {
            writer.write_all(b"HTTP/1.1 503 On a new connection\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        if !is_page {
            kept.lock().unwrap().push(request);
        }
        if is_dropped {
            return None;
        }
        let (answer, goes_on) = answer(&target);
        writer.write_all(&answer).ok()?;
        if !goes_on {
            return None;
        }
    }
    None
}

/// One request; none at the connection's end.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Sent> {
    let mut line = Vec::new();
    let mut next = |reader: &mut BufReader<TcpStream>| {
        line.clear();
        reader.read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
        Some(line.trim_ascii_end().iter().copied().map(char::from).collect::<String>())
    };
    let first = next(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let line = next(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|known: &mut String| known.extend([", ", value.trim()]))
            .or_insert_with(|| value.trim().to_owned());
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = usize::from_str_radix(&next(reader)?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some(Sent { method, target, headers, body })
}

/// The answer to a target, and whether the connection goes on after it.
fn answer(target: &str) -> (Vec<u8>, bool) {
    let plain = |head: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nCache-Control: no-store\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    };
    let location = |bytes: &[u8]| {
        [b"HTTP/1.1 302 Found\r\nCache-Control: no-store\r\nContent-Length: 0\r\n", bytes, b"\r\n\r\n"].concat()
    };
    if target == "/page" {
        return (plain("200 OK\r\nContent-Type: text/html", "<link rel=icon href='data:,'>"), true);
    }
    if let Some((status, to)) = target.strip_prefix("/to/").and_then(|rest| rest.split_once('/')) {
        return (
            format!(
                "HTTP/1.1 {status} Moved\r\nLocation: /{to}\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n"
            )
            .into(),
            true,
        );
    }
    if let Some(name) = target.strip_prefix("/location/") {
        let header: &[u8] = match name.split('?').next().unwrap_or_default() {
            "utf8" => b"Location: /land\xc3\xa9d/\xe6\x97\xa5?\xc3\xbc=\xc3\xb6",
            "latin1" => b"Location: /caf\xe9?\xfc",
            "encoded" => b"Location: /land%C3%A9d%25/%2e%2E/%zz?%20%",
            "space" => b"Location:  \t/a b?c d \t",
            "backslash" => b"Location: /a\\b\\..\\c?d",
            "relative" => b"location: here/there",
            "query" if name.contains('?') => return (plain("200 OK", "here"), true),
            "query" => b"Location: ?q=1",
            "fragment" => b"Location: /end#new",
            "dots" => b"Location: ../../x/./y/../z",
            "signs" => b"Location: /{a}`d'\"<>;,[]?{a}|b^c`d'\"<>;,[]",
            "twice" => b"Location: /end\r\nLocation: /end",
            "two" => b"Location: /end\r\nLocation: /other",
            "empty" => b"Location:",
            "bad" => b"Location: http://[",
            "file" => b"Location: file:///etc/passwd",
            "folded" => b"Location:\r\n /end",
            "round" => b"Location: /location/round",
            "here" | "here/there" => return (plain("200 OK", "here"), true),
            _ => b"X-None: 1",
        };
        return (location(header), true);
    }
    let ok = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n";
    match target {
        "/answer/hints" => {
            let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=nothing\r\n\r\n";
            ([hints.as_bytes(), &plain("200 OK", "here")].concat(), true)
        }
        "/answer/folded" => (format!("{ok}X: a\r\n b\r\n\tc\r\nContent-Length: 4\r\n\r\nhere").into(), true),
        "/answer/latin1" => ([ok.as_bytes(), b"X: caf\xe9 \xc3\xa9\r\nContent-Length: 4\r\n\r\nhere"].concat(), true),
        "/answer/no-reason" => (plain("200", "here"), true),
        "/answer/lf" => (b"HTTP/1.1 200 OK\nContent-Length: 4\n\nhere".to_vec(), true),
        "/answer/twins" => (format!("{ok}Content-Length: 4\r\nContent-Length: 4\r\n\r\nhere").into(), true),
        "/answer/both" => {
            (format!("{ok}Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n4\r\nhere\r\n0\r\n\r\n").into(), false)
        }
        "/answer/until-closed" => (format!("{ok}\r\nhere").into(), false),
        "/answer/old" => (b"HTTP/1.0 200 OK\r\n\r\nhere".to_vec(), false),
        "/answer/204" => (b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n".to_vec(), false),
        "/answer/short" => (format!("{ok}Content-Length: 9\r\n\r\nhere").into(), false),
        "/answer/two-lengths" => (format!("{ok}Content-Length: 4\r\nContent-Length: 5\r\n\r\nhere!").into(), false),
        _ => (plain("200 OK", "here"), true),
    }
}

/// For calls whose connection the server closes: asks until a connection is used that has carried another request. On a
/// new one the server says so.
const KEPT: &str = "const kept = async (url, init) => { for (;;) { const r = await fetch(url, init); if (r.status !== 503) return r; await r.text(); } };";

/// What came of a call: status, whether and where it was led, the header `x`, and the text; or that it failed.
fn told(call: &str) -> String {
    format!(
        "(async () => {{ try {{ const r = await {call}; return [r.status, r.redirected, r.url.slice(base.length), r.headers.get('x'), r.headers.get('location'), await r.text()]; }} \
         catch (e) {{ return e.name; }} }})()"
    )
}

fn of_browser(browser: &Browser, wire: &Wire) -> Vec<(Value, Vec<Sent>)> {
    browser.go(&format!("{}/page", wire.origin()));
    let base = json!(wire.origin());
    let tell = |call: &&str| {
        let told = browser.js(&format!("const base = {base}; {KEPT} return {};", told(call)));
        (told, wire.take())
    };
    CALLS.iter().map(tell).collect()
}

fn client(origin: &str) -> GateClient {
    let gate = Gate::new(GateOptions { allow_private: vec![origin.parse().unwrap()], ..GateOptions::default() });
    let grants = vec![EffectiveGrant { grant: origin.parse().unwrap(), credential: None }];
    gate.client(ClientOptions { grants, ..ClientOptions::new(Owner::Charms) }).unwrap()
}

async fn of_charm(wire: &Wire) -> Vec<(Value, Vec<Sent>)> {
    let component = component(Duration::from_mins(1)).await;
    let http = client(&wire.origin());
    let mut all = Vec::new();
    for calls in CALLS.chunks(CALLS_AT_ONCE) {
        let cases: String = calls.iter().enumerate().fold(String::new(), |mut text, (at, call)| {
            let _ = writeln!(text, "if (event.at === {at}) out.set(await {});", told(call));
            text
        });
        let source = format!(
            "import {{ handler, pattern }} from 'commontools';\nconst run = handler(async (event, {{ base: cell, out }}) => {{ const base = `${{cell}}`; {KEPT} {cases} }});\n\
             export default pattern(({{ base, out }}) => ({{ out, run: run({{ base, out }}) }}));"
        );
        let inputs = json!({"base": wire.origin(), "out": null});
        let mut charm = Charm::deploy(&component, "wire.js", &source, &inputs, http.clone()).await.unwrap();
        for (at, call) in calls.iter().enumerate() {
            charm.trigger("run", json!({ "at": at })).await.unwrap_or_else(|failure| panic!("{call}: {failure:?}"));
            all.push((charm.cell("out"), wire.take()));
        }
    }
    all
}

fn shown(side: &(Value, Vec<Sent>)) -> String {
    let mut text = String::new();
    for sent in &side.1 {
        let body = String::from_utf8_lossy(&sent.body);
        let body = if body.len() > 40 { format!("{} bytes", body.len()) } else { format!("{body:?}") };
        let kind = sent.headers.get("content-type").map_or("-", String::as_str);
        let _ = writeln!(text, "    {} {} | {} | {body} | {kind}", sent.method, sent.target, sent.framing());
    }
    let _ = write!(text, "    => {}", side.0);
    text
}

#[test]
fn a_fetch_of_a_charm_is_on_the_wire_what_a_browsers_is() {
    let Some(browser) = Browser::start(workspace("target/tmp/screenshots")) else { return };
    let (for_browser, for_charm) = (Wire::start(), Wire::start());
    let browsers = of_browser(&browser, &for_browser);
    drop(browser);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let charms = runtime.block_on(of_charm(&for_charm));

    let (mut different, mut only_browsers, mut only_charms) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for ((call, browser), charm) in CALLS.iter().zip(&browsers).zip(&charms) {
        let names = |sent: &[Sent]| sent.iter().flat_map(|sent| sent.headers.keys().cloned()).collect::<BTreeSet<_>>();
        let alike = browser.0 == charm.0 && browser.1.iter().map(Sent::essence).eq(charm.1.iter().map(Sent::essence));
        println!("{}{call}\n{}", if alike { "" } else { "DIFFERS: " }, shown(charm));
        if !alike {
            println!("  and a browser:\n{}", shown(browser));
            different.push(call);
            continue;
        }
        only_browsers.extend(names(&browser.1).difference(&names(&charm.1)).cloned());
        only_charms.extend(names(&charm.1).difference(&names(&browser.1)).cloned());
    }
    println!("headers that only browsers send: {only_browsers:?}\nheaders that only charms send: {only_charms:?}");
    let meant = |call: &&&str| DIFFERENT.iter().any(|(target, _)| call.contains(target));
    let unmeant: Vec<_> = different.iter().filter(|call| !meant(call)).collect();
    assert!(unmeant.is_empty(), "{unmeant:#?}");
    assert_eq!(different.len(), DIFFERENT.len(), "what is said to differ does: {different:#?}");
    assert_eq!(only_charms, BTreeSet::new());
    assert!(only_browsers.iter().all(|name| ONLY_BROWSERS.contains(&name.as_str())), "{only_browsers:?}");
}
