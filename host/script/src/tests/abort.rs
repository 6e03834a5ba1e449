//! Calling off what was begun.

use serde_json::json;

use super::{Charm, expect_each, response};

#[test]
fn signals_behave_as_the_dom_standard_says() {
    expect_each(&[
        (
            "(() => { const c = new AbortController(); const before = c.signal.aborted; c.abort(); return [before, c.signal.aborted, c.signal.reason.name, c.signal.reason.code, c.signal.reason instanceof DOMException, c.signal.reason instanceof Error]; })()",
            json!([false, true, "AbortError", 20, true, true]),
        ),
        (
            "(() => { const c = new AbortController(); c.abort('why'); c.abort('again'); return c.signal.reason; })()",
            json!("why"),
        ),
        ("AbortSignal.abort(7).reason", json!(7)),
        ("AbortSignal.abort().throwIfAborted()", json!("AbortError: This operation was aborted")),
        ("new AbortController().signal.throwIfAborted()", json!(null)),
        (
            "new AbortSignal()",
            json!("TypeError: Illegal constructor: use AbortController, AbortSignal.abort(), .timeout() or .any()"),
        ),
        (
            "(() => { const c = new AbortController(), seen = []; c.signal.onabort = (e) => seen.push(e.type, e.target === c.signal); c.signal.addEventListener('abort', () => seen.push('once'), { once: true }); const gone = () => seen.push('gone'); c.signal.addEventListener('abort', gone); c.signal.removeEventListener('abort', gone); c.abort(); c.abort(); return seen; })()",
            json!(["abort", true, "once"]),
        ),
        (
            "(() => { const a = new AbortController(), b = new AbortController(); const s = AbortSignal.any([a.signal, b.signal]); const t = AbortSignal.any([s]); const seen = []; t.onabort = () => seen.push(s.aborted); b.abort('b'); a.abort('a'); return [s.reason, t.reason, ...seen]; })()",
            json!(["b", "b", true]),
        ),
        (
            "AbortSignal.any([new AbortController().signal, AbortSignal.abort(1), AbortSignal.abort(2)]).reason",
            json!(1),
        ),
        ("AbortSignal.any([]).aborted", json!(false)),
        ("AbortSignal.any([{}])", json!("TypeError: AbortSignal.any() needs a list of AbortSignals")),
        (
            "AbortSignal.timeout(-1)",
            json!("TypeError: AbortSignal.timeout() needs a number of milliseconds, 0 or more"),
        ),
        (
            "new Promise((done) => AbortSignal.timeout(20).addEventListener('abort', (e) => done(e.target.reason.name)))",
            json!("TimeoutError"),
        ),
    ]);
}

#[test]
fn events_reach_their_listeners() {
    expect_each(&[
        (
            "(() => { const t = new EventTarget(), seen = []; t.addEventListener('x', { handleEvent: (e) => seen.push(e.type) }); t.addEventListener('x', (e) => { e.preventDefault(); e.stopImmediatePropagation(); }); t.addEventListener('x', () => seen.push('never')); return [t.dispatchEvent(new Event('x', { cancelable: true })), t.dispatchEvent(new Event('y')), ...seen]; })()",
            json!([false, true, "x"]),
        ),
        (
            "(() => { const c = new AbortController(), t = new EventTarget(); let n = 0; t.addEventListener('x', () => n++, { signal: c.signal }); t.dispatchEvent(new Event('x')); c.abort(); t.dispatchEvent(new Event('x')); return n; })()",
            json!(1),
        ),
    ]);
    let failure = Charm::with_handler("const c = new AbortController(); c.signal.onabort = () => { throw new Error('in a listener'); }; c.abort(); out.set(c.signal.aborted);")
        .out()
        .expect_err("it is reported");
    assert_eq!(failure.message, "Error: in a listener");
}

#[test]
fn an_aborted_fetch_rejects_at_once_and_the_host_forgets_the_request() {
    let charm = Charm::with_handler(
        "const c = new AbortController(); const p = fetch('https://a.example/1', { signal: c.signal }).catch((e) => `${e.name} ${e instanceof DOMException}`); setTimeout(() => c.abort(), 10); out.set([await p, await (await fetch('https://a.example/2')).text()]);",
    )
    .answering(|_| Ok(response(200, "answer")));
    charm.outside.slowness.set(30_000_000);
    assert_eq!(charm.out().expect("runs"), json!(["AbortError true", "answer"]));
    assert_eq!(*charm.outside.forgotten.borrow(), [1]);
}

#[test]
fn a_fetch_takes_as_long_as_its_timeout_at_most_and_the_error_has_a_place() {
    let charm = Charm::with_handler("\n\nawait fetch('https://a.example', { signal: AbortSignal.timeout(100) });")
        .answering(|_| Ok(response(200, "late")));
    charm.outside.slowness.set(30_000_000_000);
    let failure = charm.out().expect_err("times out");
    assert_eq!(failure.message, "TimeoutError: The operation timed out");
    assert!(failure.stack.as_deref().is_some_and(|stack| stack.contains("charm.js:4:")), "{failure:?}");
    assert_eq!((charm.outside.time.get(), charm.outside.forgotten.borrow().len()), (100_000_000, 1));
}

#[test]
fn a_signal_that_is_aborted_already_sends_nothing_and_one_that_comes_late_changes_nothing() {
    let charm = Charm::with_handler(
        "const c = new AbortController(); const early = await fetch('https://a.example', { signal: AbortSignal.abort('no') }).catch((e) => e); const late = await fetch('https://a.example', { signal: c.signal }); c.abort(); const request = new Request('https://a.example', { signal: c.signal }); out.set([early, await late.text(), request.signal.aborted, await fetch(request).catch((e) => e.name)]);",
    )
    .answering(|_| Ok(response(200, "text")));
    assert_eq!(charm.out().expect("runs"), json!(["no", "text", true, "AbortError"]));
    assert_eq!(charm.outside.requests.borrow().len(), 1);
    assert!(charm.outside.forgotten.borrow().is_empty());
}

#[test]
fn a_redirect_that_is_aborted_is_forgotten_as_well() {
    let charm = Charm::with_handler(
        "out.set(await fetch('https://a.example', { signal: AbortSignal.timeout(50) }).catch((e) => e.name));",
    )
    .answering(|_| {
        Ok(crate::host::Response { status: 302, headers: vec![("location".into(), "/".into())], body: Vec::new() })
    });
    charm.outside.slowness.set(30_000_000);
    assert_eq!(charm.out().expect("runs"), json!("TimeoutError"));
    assert_eq!(*charm.outside.forgotten.borrow(), [2]);
}

#[test]
fn a_timeout_that_nobody_waits_for_does_not_keep_the_call_going() {
    let charm = Charm::with_handler(
        "AbortSignal.timeout(3_600_000).onabort = () => out.set('never'); setTimeout(() => {}, 100); out.set('done');",
    );
    assert_eq!(charm.out().expect("runs"), json!("done"));
    assert_eq!(charm.outside.time.get(), 100_000_000);
}
