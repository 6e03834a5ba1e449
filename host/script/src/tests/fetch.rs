//! `fetch`, requests and responses.

use serde_json::json;

use super::{Charm, expect_each, expect_each_of, response};
use crate::host::{Request, Response};

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
    let refuse = |_: &Request| Err("HTTP-request-denied".to_owned());
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
fn an_error_names_the_request_that_it_comes_from_and_an_error_of_its_own_names_none() {
    let answer = |request: &Request| match request.url.rsplit('/').next().unwrap() {
        "denied" => Err("HTTP-request-denied".to_owned()),
        status => Ok(response(status.parse().unwrap(), r#"{"error": {"errors": [{"reason": "backend"}]}}"#)),
    };
    let one = "const get = (what) => fetch(`https://a.example/${what}`);";
    for (handler, expected) in [
        // Not caught, thrown again, nobody waits for it, and as a cause.
        ("await get(200); await get('denied');", Some(2)),
        ("try { await get('denied'); } catch (e) { await get(200); throw e; }", Some(1)),
        ("get('denied');", Some(1)),
        (
            "try { await get('denied'); } catch (cause) { throw new Error('no mail', { cause: new Error('x', { cause }) }); }",
            Some(1),
        ),
        ("await Promise.any([get('denied')]);", Some(1)),
        // Caught, and an error of its own later.
        ("try { await get('denied'); } catch {} throw new Error('mine');", None),
        ("try { await get('denied'); } catch (e) { throw new Error(`no mail: ${e}`); }", None),
        ("await get('denied').catch(() => 0); undefined.x;", None),
        // Answers that say of others that something is wrong, and that the error uses.
        ("await get(200); const r = await get(503); if (!r.ok) throw new Error('status ' + r.status);", Some(2)),
        ("const r = await get(401); throw `${r.status} ${r.statusText}`;", Some(1)),
        ("throw new Error('not allowed', { cause: await get(403) });", Some(1)),
        ("const cause = await get(429); throw new Error('slow down', { cause });", Some(1)),
        ("await get(503); throw new Error('mine');", None),
        ("await get(503); throw new Error('message 1503 of 5030 is bad: 5.503');", None),
        (
            "await get(503); throw new Error('1,503 of 503,000 messages at 12:503, -503, +503, \\u2212503, 503%, $503');",
            None,
        ),
        (
            "await get(503); throw new Error('row /503, error-503, 503-504, #503, 1\\u00a0503, 503\\u202f000, 1\\'503, 503/504');",
            None,
        ),
        ("await get(200); await get(503); throw new Error('HTTP/1.1 503 Service Unavailable');", Some(2)),
        ("await get(200); await get(503); throw new Error('got (503), twice.');", Some(2)),
        ("await get(200); await get(503); throw new Error('status:503.');", Some(2)),
        ("await get(200); await get(503); throw new Error('status=503, and no more');", Some(2)),
        ("const r = await get(404); throw new Error('status ' + r.status);", None),
        ("throw new Error('status 503');", None),
        // What was made of such an answer.
        ("const r = await get(503); throw new Error('busy', { cause: r.clone() });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: await r.clone().clone().json() });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: (await r.json()).error });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: (await r.json()).error.errors[0] });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: await r.text() });", Some(1)),
        ("const r = await get(503); throw new Error(await r.text());", Some(1)),
        ("const r = await get(503); throw await r.text();", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: await r.arrayBuffer() });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: await r.bytes() });", Some(1)),
        ("const r = await get(503); throw new Error('busy', { cause: r.headers });", Some(1)),
        (
            "class E extends Error { constructor(response) { super('busy'); this.response = response; } }\nthrow new E(await get(503));",
            Some(1),
        ),
        // Of one that says nothing of others.
        ("const r = await get(404); throw new Error('gone', { cause: r.clone() });", None),
        ("await get(503); const r = await get(200); throw new Error('odd', { cause: await r.json() });", None),
        ("const r = await get(404); await get(503); throw new Error(await r.text());", None),
        // What would run the charm's code, or never ends.
        ("await get(503); throw { get message() { return '503'; }, get cause() { throw 1; } };", None),
        ("await get(503); const e = new Error('x'); e.cause = e; throw e;", None),
        ("await get(503); throw new Proxy({}, { getOwnPropertyDescriptor() { throw 1; } });", None),
    ] {
        let failure = Charm::with_handler(&format!("{one} {handler}")).answering(answer).out().expect_err(handler);
        assert_eq!((failure.request, failure.status), (expected, None), "{handler}: {failure:?}");
    }
    // An error may say which status its response amounts to.
    for (handler, expected) in [
        ("throw meant(429, await get(403));", (Some(1), Some(429))),
        ("await get(503); throw meant(502, await get(200));", (Some(2), Some(502))),
        ("throw new Error('no mail', { cause: meant(403, await get(400)) });", (Some(1), Some(403))),
        ("throw new AggregateError([meant(429, await get(200))]);", (Some(1), Some(429))),
        (
            "class Own extends Error { status = 429; } throw new Own('x', { cause: await get(404) });",
            (Some(1), Some(429)),
        ),
        // What the response says itself, and what is no status of somebody else's fault.
        ("throw meant(403, await get(403));", (Some(1), None)),
        ("throw meant(404, await get(403));", (Some(1), None)),
        ("throw meant(404, await get(200));", (None, None)),
        ("throw meant(502.5, await get(200));", (None, None)),
        ("throw meant(1e9, await get(200));", (None, None)),
        ("throw meant('429', await get(200));", (None, None)),
        // Without a response of the server, it is the charm's own.
        ("await get(200); throw meant(429, new Response(null));", (None, None)),
        ("await get(200); throw Object.assign(new Error('x'), { status: 429 });", (None, None)),
        ("const cause = await get(200); throw { cause, get status() { throw 1; } };", (None, None)),
    ] {
        let meant = "const meant = (status, cause) => Object.assign(new Error('x', { cause }), { status });";
        let charm = Charm::with_handler(&format!("{one} {meant} {handler}"));
        let failure = charm.answering(answer).out().expect_err(handler);
        assert_eq!((failure.request, failure.status), expected, "{handler}: {failure:?}");
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

#[test]
fn misuse_of_fetch_rejects_with_a_type_error_that_names_it() {
    let cases = [
        ("fetch('/relative?token=x')", "fetch: not an absolute URL (/relative)"),
        ("fetch('https://user:pass@a.example/x')", "fetch: the URL has a user or a password in it (https://a.example)"),
        ("fetch('https://a.example', { body: 'x' })", "fetch: GET has no body"),
        ("fetch('https://a.example', { method: 'head', body: '' })", "fetch: HEAD has no body"),
        ("fetch('https://a.example', { method: 'a b' })", "fetch: \"a b\" is no method"),
        ("fetch('https://a.example', { method: 'Trace' })", "fetch: the method Trace is not allowed"),
        ("fetch('https://a.example', { signal: {} })", "fetch: `signal` is not an AbortSignal"),
        ("fetch('https://a.example', { redirect: 'x' })", "Request: `redirect` is one of follow, error, manual"),
        ("fetch('https://a.example', 5)", "Request: the options are not an object"),
        ("fetch('https://a.example', { headers: { 'a b': '' } })", "Headers: \"a b\" is no name of a header"),
        (
            "fetch('https://a.example', { method: 'POST', body: { a: 1 } })",
            "an object is no body; write JSON.stringify(…), or give a text, bytes or URLSearchParams",
        ),
        (
            "fetch('https://a.example', { method: 'POST', body: (async function* () {})() })",
            "a ReadableStream is no body here: streams are not supported here; give a text or bytes",
        ),
        (
            "fetch('https://a.example', { method: 'POST', body: { [Symbol.toStringTag]: 'FormData' } })",
            "a FormData is no body here; give a text, bytes or URLSearchParams",
        ),
        (
            "fetch('https://a.example', { method: 'POST', body: { [Symbol.toStringTag]: 'Blob' } })",
            "a Blob is no body here; give a text, bytes or URLSearchParams",
        ),
    ];
    expect_each(&cases.map(|(call, expected)| (call, json!(format!("TypeError: {expected}")))));
}

/// Answers with what was asked.
fn echo(request: &Request) -> Response {
    let Request { method, url, headers, body } = request;
    let body = body.as_deref().map(String::from_utf8_lossy);
    response(200, &json!({"method": method, "url": url, "headers": headers, "body": body}).to_string())
}

#[test]
fn requests_are_built_copied_and_sent() {
    let charm = |body: &str| {
        Charm::with_handler(&format!("const ask = async (...given) => (await fetch(...given)).json();\n{body}"))
            .answering(|request| Ok(echo(request)))
    };
    let asked = |method: &str, url: &str, headers: serde_json::Value, body: serde_json::Value| json!({"method": method, "url": url, "headers": headers, "body": body});
    let text = json!([["content-type", "text/plain;charset=UTF-8"]]);
    expect_each_of(
        charm,
        &[
            (
                "ask(new URL('HTTPS://A.example/x y#part'))",
                asked("GET", "https://a.example/x%20y", json!([]), json!(null)),
            ),
            (
                "ask('https://a.example', { method: 'patch' })",
                asked("patch", "https://a.example/", json!([]), json!(null)),
            ),
            (
                "ask(new Request('https://a.example', { method: 'put', body: 'x', headers: { A: '1' } }))",
                asked(
                    "PUT",
                    "https://a.example/",
                    json!([["a", "1"], ["content-type", "text/plain;charset=UTF-8"]]),
                    json!("x"),
                ),
            ),
            (
                "ask(new Request('https://a.example', { method: 'POST', body: 'x' }), { body: 'y', headers: [['b', '2']] })",
                asked(
                    "POST",
                    "https://a.example/",
                    json!([["b", "2"], ["content-type", "text/plain;charset=UTF-8"]]),
                    json!("y"),
                ),
            ),
            (
                "ask('https://a.example', { method: 'POST', body: new Uint8Array([0, 104, 105]).subarray(1) })",
                asked("POST", "https://a.example/", json!([]), json!("hi")),
            ),
            (
                "(async () => { const r = new Request('https://a.example', { method: 'POST', body: 'x' }); const twin = r.clone(); await fetch(r); return [r.bodyUsed, await fetch(r).catch((e) => e.message), await ask(twin)]; })()",
                json!([
                    true,
                    "the body of this Request has been read already; clone() it first to read it twice",
                    asked("POST", "https://a.example/", text, json!("x"))
                ]),
            ),
            (
                "(async () => { const r = new Request('https://a.example/#x', { method: 'POST', body: '[1]' }); return [r.url, r.method, r.redirect, r.signal.aborted, r.headers.get('content-type'), await r.json()]; })()",
                json!(["https://a.example/#x", "POST", "follow", false, "text/plain;charset=UTF-8", [1]]),
            ),
        ],
    );
}

#[test]
fn responses_are_made_copied_and_read_as_the_standard_says() {
    expect_each(&[
        (
            "(async () => { const r = new Response('é', { status: 404, statusText: 'Gone away', headers: { A: 'b' } }); return [r.status, r.ok, r.statusText, r.headers.get('a'), r.headers.get('content-type'), r.type, r.url, r.redirected, r.bodyUsed, await r.text(), r.bodyUsed]; })()",
            json!([404, false, "Gone away", "b", "text/plain;charset=UTF-8", "default", "", false, false, "é", true]),
        ),
        (
            "(async () => { const r = Response.json({ a: [1] }, { status: 201 }); return [r.status, r.headers.get('content-type'), await r.json()]; })()",
            json!([201, "application/json", {"a": [1]}]),
        ),
        ("Response.json({}, { headers: { 'content-type': 'x/y' } }).headers.get('content-type')", json!("x/y")),
        ("Response.json(undefined)", json!("TypeError: Response.json(): this value has no JSON")),
        (
            "(async () => { const r = new Response('x'); const c = r.clone(); return [await r.text(), await c.text()]; })()",
            json!(["x", "x"]),
        ),
        (
            "(async () => { const r = new Response('x'); await r.text(); r.clone(); })()",
            json!("TypeError: the body of this Response has been read already; clone() it first to read it twice"),
        ),
        (
            "(async () => { const r = new Response(); return [await r.text(), await r.text(), r.bodyUsed, r.body]; })()",
            json!(["", "", false, null]),
        ),
        ("(async () => [...await new Response(new Uint16Array([258])).bytes()])()", json!([2, 1])),
        ("(async () => (await new Response('\\ufeffa').text()).length)()", json!(1)),
        ("new Response('[').json()", json!("SyntaxError: unexpected end in JSON at position 1")),
        ("new Response('x', { status: 204 })", json!("TypeError: Response: a response with status 204 has no body")),
        ("new Response(null, { status: 204 }).status", json!(204)),
        ("new Response('x', { status: 99 })", json!("RangeError: Response: `status` is a number from 200 to 599")),
        (
            "new Response('x', { statusText: 'a\\n' })",
            json!("TypeError: Response: `statusText` has a character in it that has no place there"),
        ),
        ("[Response.error().type, Response.error().status]", json!(["error", 0])),
        (
            "[Response.redirect('http://a', 301).status, Response.redirect('http://a').headers.get('location')]",
            json!([301, "http://a/"]),
        ),
        (
            "Response.redirect('http://a', 200)",
            json!("RangeError: Response.redirect(): 200 is no status of a redirect"),
        ),
        (
            "new Response('x').body",
            json!(
                "TypeError: Response.body: streams are not supported here; use text(), json(), arrayBuffer() or bytes()"
            ),
        ),
        (
            "new Response('x', { headers: { 'Content-Type': 'A/b' } }).blob().then(async (blob) => [blob.size, blob.type, await blob.text()])",
            json!([1, "a/b", "x"]),
        ),
        (
            "new Request('http://a').formData()",
            json!(
                "TypeError: Request.formData(): FormData is not supported here; use text(), and URLSearchParams for a form"
            ),
        ),
    ]);
}

/// A server with some redirects, which returns the last request.
fn moving(request: &Request) -> Response {
    let (status, to) = match request.url.rsplit_once('/').map_or("", |(_, path)| path) {
        "301" => (301, "/end"),
        "303" => (303, "end?x"),
        "307" => (307, "https://b.example/end"),
        "twice" => (302, "/301"),
        "round" => (302, "/round"),
        "bad" => (302, "http://["),
        "nowhere" => (302, ""),
        "utf8" => (302, "/l\u{c3}\u{a9} d%C3%A9/../a\\b?q=\u{c3}\u{a9}{'`|^\"<> #x"),
        "latin1" => (302, "/caf\u{e9}"),
        "schemeless" => (302, "//b.example:8443"),
        "query" => (307, "?q"),
        "fragment" => (302, "HTTPS://A.example/end#new"),
        "file" => (302, "file:///etc/passwd"),
        "two" => (302, "/one\n/two"),
        "twins" => (302, "/end\n/end"),
        "empty" => (302, "\n"),
        _ => return echo(request),
    };
    let lines = to.split('\n').filter(|_| !to.is_empty());
    let headers = lines.map(|to| ("Location".to_owned(), to.to_owned())).collect();
    Response { status, headers, body: Vec::new() }
}

#[test]
fn redirects_are_followed_as_the_standard_says() {
    let charm = |body: &str| {
        Charm::with_handler(&format!(
            "const ask = async (path, method, more) => {{ const r = await fetch(`https://a.example/${{path}}`, {{ method, headers: {{ Authorization: 'secret', A: '1' }}, body: method === 'GET' ? undefined : 'b', ...more }}); if (r.status !== 200) return [r.status, r.headers.get('location'), r.redirected]; const seen = await r.json(); return [seen.method, seen.url, seen.headers.map(([name]) => name).join(' '), seen.body, r.redirected, r.url]; }};\n{body}"
        ))
        .answering(|request| Ok(moving(request)))
    };
    let end = "https://a.example/end";
    expect_each_of(
        charm,
        &[
            ("ask('301', 'GET')", json!(["GET", end, "a authorization", null, true, end])),
            ("ask('301', 'POST')", json!(["GET", end, "a authorization", null, true, end])),
            ("ask('301', 'PUT')", json!(["PUT", end, "a authorization content-type", "b", true, end])),
            (
                "ask('303', 'PUT')",
                json!(["GET", format!("{end}?x"), "a authorization", null, true, format!("{end}?x")]),
            ),
            (
                "ask('307', 'POST')",
                json!(["POST", "https://b.example/end", "a content-type", "b", true, "https://b.example/end"]),
            ),
            ("ask('twice', 'GET')", json!(["GET", end, "a authorization", null, true, end])),
            ("ask('end', 'GET')", json!(["GET", end, "a authorization", null, false, end])),
            ("ask('nowhere', 'GET')", json!([302, null, false])),
            ("ask('empty', 'GET')", json!([302, ", ", false])),
            ("ask('301', 'GET', { redirect: 'manual' })", json!([301, "/end", false])),
            (
                "ask('301', 'GET', { redirect: 'error' })",
                json!(
                    "TypeError: fetch failed: the server redirects, which the request does not allow (https://a.example)"
                ),
            ),
            (
                "ask('round', 'GET')",
                json!("TypeError: fetch failed: the server redirects too many times (https://a.example)"),
            ),
            (
                "ask('file', 'GET')",
                json!("TypeError: fetch failed: the server redirects to a URL of scheme file: (https://a.example)"),
            ),
            (
                "ask('two', 'GET')",
                json!("TypeError: fetch failed: the server redirects to several places at once (https://a.example)"),
            ),
            (
                "ask('bad', 'GET')",
                json!("TypeError: fetch failed: the server redirects to what is no URL (https://a.example)"),
            ),
        ],
    );
}

#[test]
fn a_location_is_read_as_browsers_read_it() {
    let charm = |body: &str| {
        Charm::with_handler(&format!(
            "const ask = async (path) => (await (await fetch(`https://a.example/x/${{path}}`)).json()).url;\n{body}"
        ))
        .answering(|request| Ok(moving(request)))
    };
    expect_each_of(
        charm,
        &[
            // What is encoded already stays as it is, and nothing is encoded twice.
            ("ask('utf8')", json!("https://a.example/a/b?q=%C3%A9{%27`|^%22%3C%3E%20")),
            ("ask('latin1')", json!("https://a.example/caf%E9")),
            ("ask('schemeless')", json!("https://b.example:8443/")),
            ("ask('query')", json!("https://a.example/x/query?q")),
            ("ask('fragment')", json!("https://a.example/end")),
            ("ask('303')", json!("https://a.example/x/end?x")),
            ("ask('twins')", json!("https://a.example/end")),
        ],
    );
}
