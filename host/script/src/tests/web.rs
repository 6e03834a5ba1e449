//! `fetch` and what belongs to it.

use serde_json::json;

use super::{Charm, response};
use crate::host::Response;

#[test]
fn fetch_sends_what_it_is_given_and_answers_with_a_response() {
    let charm = Charm::with_handler(
        r#"
const response = await fetch("https://a.example/x?y=1", { method: "post", headers: { Authorization: "Bearer t", "X-A": " 1 " }, body: JSON.stringify({ a: "é" }) });
out.set([response.ok, response.status, response.statusText, response.headers.get("Content-Type"), response.headers.has("nope"), response.url, await response.json(), response.bodyUsed]);"#,
    )
    .answering(|_| Ok(response(201, r#"{"n": [1]}"#)));
    let expected =
        json!([true, 201, "Created", "application/json", false, "https://a.example/x?y=1", {"n": [1]}, true]);
    assert_eq!(charm.out().expect("runs"), expected);
    let requests = charm.outside.requests.borrow();
    assert_eq!((requests[0].method.as_str(), requests[0].url.as_str()), ("POST", "https://a.example/x?y=1"));
    let headers = [("authorization", "Bearer t"), ("content-type", "text/plain;charset=UTF-8"), ("x-a", "1")];
    assert_eq!(requests[0].headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(requests[0].body.as_deref(), Some("{\"a\":\"é\"}".as_bytes()));
}

#[test]
fn bodies_are_read_as_text_json_or_bytes_once() {
    for (body, expected) in [
        ("await r.text()", json!("{\"é\":1}")),
        ("Object.keys(await r.json())", json!(["é"])),
        ("(await r.arrayBuffer()).byteLength", json!(8)),
        ("(await r.bytes())[0]", json!(123)),
        ("(await r.text()).length + await r.text().catch((e) => e.name)", json!("7TypeError")),
    ] {
        let charm = Charm::with_handler(&format!("const r = await fetch('https://a.example'); out.set({body});"))
            .answering(|_| Ok(response(200, "{\"é\":1}")));
        assert_eq!(charm.out().unwrap_or_else(|failure| panic!("{body}: {failure:?}")), expected, "{body}");
    }
}

#[test]
fn requests_of_one_call_are_in_flight_at_once() {
    let charm = Charm::with_handler(
        "out.set(await Promise.all([1, 2, 3].map(async (n) => (await (await fetch(`https://a.example/${n}`)).json()).path)));",
    )
    .answering(|request| Ok(response(200, &json!({"path": request.url}).to_string())));
    assert_eq!(
        charm.out().expect("runs"),
        json!(["https://a.example/1", "https://a.example/2", "https://a.example/3"])
    );
    assert_eq!(charm.outside.most_waiting.get(), 3);
}

#[test]
fn a_fetch_that_fails_rejects_with_a_type_error_that_can_be_caught_and_has_a_place() {
    let refuse = |_: &crate::host::Request| Err("HTTP-request-denied".to_owned());
    let caught = Charm::with_handler(
        "try { await fetch('https://a.example/secret-path'); } catch (e) { out.set([e instanceof TypeError, e.message]); }",
    );
    assert_eq!(
        caught.answering(refuse).out().expect("caught"),
        json!([true, "fetch failed: HTTP-request-denied (https://a.example)"])
    );
    let failure =
        Charm::with_handler("\n\nawait fetch('https://a.example');").answering(refuse).out().expect_err("not caught");
    assert_eq!(failure.message, "TypeError: fetch failed: HTTP-request-denied (https://a.example)");
    assert!(failure.stack.as_deref().is_some_and(|stack| stack.contains("charm.js:4:")), "{failure:?}");
    let failure =
        Charm::with_handler("fetch('https://a.example');").answering(refuse).out().expect_err("nobody waits for it");
    assert!(failure.message.contains("HTTP-request-denied"), "{failure:?}");
}

#[test]
fn misuse_of_fetch_rejects() {
    for (call, expected) in [
        ("fetch('/relative')", "fetch failed: not an absolute URL (/relative)"),
        ("fetch('https://a.example', { body: 'x' })", "fetch: GET has no body"),
        ("fetch('https://a.example', { signal: {} })", "fetch: `signal` is not supported here"),
    ] {
        let body = format!("await {call}.catch((e) => out.set(e.message));");
        assert_eq!(
            Charm::with_handler(&body).out().unwrap_or_else(|failure| panic!("{call}: {failure:?}")),
            json!(expected),
            "{call}"
        );
    }
}

#[test]
fn headers_and_search_params_are_those_of_the_web() {
    for (expression, expected) in [
        ("new URLSearchParams({ q: 'in:INBOX a&b', n: 1 }).toString()", json!("q=in%3AINBOX+a%26b&n=1")),
        ("[...new URLSearchParams('?a=1&a=2&b=%C3%A9+x&c')]", json!([["a", "1"], ["a", "2"], ["b", "é x"], ["c", ""]])),
        (
            "(() => { const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', 9); p.delete('b'); p.append('d', '~'); return `${p} ${p.get('a')} ${p.get('x')} ${p.getAll('a').length} ${p.size}`; })()",
            json!("a=9&d=%7E 9 null 1 2"),
        ),
        ("[...new Headers([['B', '2'], ['a', ' 1 '], ['b', '3']])]", json!([["a", "1"], ["b", "2, 3"]])),
        (
            "(() => { const h = new Headers({ A: '1' }); h.set('a', '2'); h.delete('zz'); const seen = []; h.forEach((v, k) => seen.push(k + v)); return seen; })()",
            json!(["a2"]),
        ),
    ] {
        let charm = Charm::with_handler(&format!("out.set({expression});"));
        assert_eq!(charm.out().unwrap_or_else(|failure| panic!("{expression}: {failure:?}")), expected, "{expression}");
    }
}

#[test]
fn search_params_as_a_body_are_a_form() {
    let charm = Charm::with_handler(
        "await fetch('https://a.example', { method: 'POST', body: new URLSearchParams({ a: 1 }) });",
    )
    .answering(|_| Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() }));
    charm.out().expect("runs");
    let requests = charm.outside.requests.borrow();
    assert_eq!(
        requests[0].headers,
        [("content-type".to_owned(), "application/x-www-form-urlencoded;charset=UTF-8".to_owned())]
    );
    assert_eq!(requests[0].body.as_deref(), Some(&b"a=1"[..]));
}
