//! When a call ends, and what its failure says.

use serde_json::json;

use super::Charm;

#[test]
fn a_call_ends_when_the_handler_its_promises_and_its_timers_are_done() {
    for (body, expected) in [
        ("await new Promise((done) => setTimeout(done, 50)); out.set(1);", json!(1)),
        ("setTimeout(() => out.set(2), 5000);", json!(2)),
        ("Promise.resolve().then(() => Promise.resolve()).then(() => out.set(3));", json!(3)),
        ("(async () => { await null; await null; out.set(4); })();", json!(4)),
        ("queueMicrotask(() => out.set(5));", json!(5)),
        ("const t = setTimeout(() => out.set('no'), 1); clearTimeout(t); clearTimeout(99); out.set(6);", json!(6)),
        (
            "out.set([]); setTimeout((x) => out.push(x), 20, 'b'); setTimeout(() => out.push('a'), 10); setTimeout(() => out.push('c'), 20);",
            json!(["a", "b", "c"]),
        ),
        ("const p = Promise.reject(new Error('late')); await null; p.catch(() => out.set(7));", json!(7)),
    ] {
        assert_eq!(
            Charm::with_handler(body).out().unwrap_or_else(|failure| panic!("{body}: {failure:?}")),
            expected,
            "{body}"
        );
    }
}

#[test]
fn a_throw_or_an_unhandled_rejection_fails_the_call_and_stores_nothing() {
    for (body, message) in [
        ("throw new TypeError('thrown');", "TypeError: thrown"),
        ("await null; throw new Error('after await');", "Error: after await"),
        ("Promise.reject(new Error('nobody cares'));", "Error: nobody cares"),
        ("setTimeout(() => { throw new Error('in a timer'); }, 10);", "Error: in a timer"),
        ("new Promise((_, no) => setTimeout(() => no(new Error('late')), 500));", "Error: late"),
        ("(async () => { await null; throw new Error('detached'); })();", "Error: detached"),
        ("throw 'a text';", "a text"),
        ("throw { code: 7 };", "{\"code\":7}"),
        ("throw undefined;", "undefined"),
        ("class Mine extends Error { name = 'Mine'; } throw new Mine('own');", "Mine: own"),
        ("throw new Error('outer', { cause: new TypeError('inner') });", "Error: outer (cause: TypeError: inner)"),
        ("undefined.x;", "TypeError: "),
        ("missing();", "ReferenceError: missing is not defined"),
        ("await new Promise(() => {});", "Error: the handler waits for a promise that nothing is left to settle"),
        ("const f = () => f(); f();", "RangeError: the calls are nested too deeply"),
        ("const f = (x) => [x].map(f); f(1);", "RangeError: the calls are nested too deeply"),
        ("const o = { get x() { return this.x; } }; o.x;", "RangeError: the calls are nested too deeply"),
        ("new ArrayBuffer(1e9);", "RangeError: "),
    ] {
        let charm = Charm::with_handler(&format!("out.set('half'); {body}"));
        let failure = charm.out().expect_err(body);
        assert!(failure.message.starts_with(message), "{body}: {failure:?}");
        assert_eq!(charm.cell("out"), json!(null), "{body}");
    }
}

#[test]
fn stacks_name_functions_and_places_of_the_charm_alone() {
    let charm = Charm::new(
        "import { pattern, handler } from 'commontools';\nfunction inner(list) {\n  return list.map((x) => {\n    throw new Error('deep');\n  });\n}\nconst run = handler(function outer(_, { n }) {\n  n.update(() => inner([1]));\n});\nexport default pattern(({ n }) => ({ n, run: run({ n }) }));",
    );
    charm.setup("{}").expect("a good charm");
    let stack = charm.handle("run", "{}").expect_err("throws").stack.expect("a stack");
    let frames: Vec<&str> = stack.lines().collect();
    assert_eq!(frames.len(), 4, "{stack}");
    assert!(frames[0].starts_with("at charm.js:4:"), "{stack}");
    assert!(frames[1].starts_with("at inner (charm.js:3:"), "{stack}");
    assert!(frames[2].starts_with("at charm.js:8:"), "{stack}");
    assert!(frames[3].starts_with("at outer (charm.js:8:"), "{stack}");
}

#[test]
fn the_stack_of_a_deep_recursion_is_short() {
    let failure = Charm::with_handler("const down = () => down(); down();").out().expect_err("too deep");
    let stack = failure.stack.expect("a stack");
    assert!(stack.lines().count() <= 20 && stack.contains("at down (charm.js:2:"), "{stack}");
}

#[test]
fn an_unknown_stream_is_named() {
    let charm = Charm::with_handler("");
    charm.setup("{}").expect("a good charm");
    assert_eq!(
        charm.handle("nope", "{}").expect_err("no stream").message,
        "TypeError: the charm has no stream \"nope\""
    );
}

#[test]
fn time_and_chance_come_from_the_host() {
    let body = "out.set([Date.now(), new Date().toISOString(), new Date().getTimezoneOffset(), Math.random() !== Math.random()]);";
    let expected = json!([1_700_000_000_123_i64, "2023-11-14T22:13:20.123Z", 0, true]);
    assert_eq!(Charm::with_handler(body).out().expect("runs"), expected);
}

#[test]
fn an_engine_that_starts_reads_no_clock() {
    let charm = Charm::with_handler("out.set(Date.now());");
    charm.engine();
    assert_eq!(charm.outside.clock_reads.get(), 0);
    charm.out().expect("runs");
    assert_eq!(charm.outside.clock_reads.get(), 1, "the charm's own");
}

#[test]
fn what_the_webs_api_throws_has_the_authors_place() {
    for (body, name) in [
        ("new URL('x');", "TypeError"),
        ("new Headers({ 'a b': 'x' });", "TypeError"),
        ("atob('*');", "InvalidCharacterError"),
        ("structuredClone(() => {});", "DataCloneError"),
        ("AbortSignal.abort().throwIfAborted();", "AbortError"),
        ("await new Response('[').json();", "SyntaxError"),
        ("await fetch('/x');", "TypeError"),
        ("new Date(0).toLocaleString('en', { timeZone: 'Europe/Bielefeld' });", "RangeError"),
        ("crypto.getRandomValues([]);", "TypeMismatchError"),
        ("new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255]));", "TypeError"),
        ("setTimeout(() => new URL('x'), 5);", "TypeError"),
        ("queueMicrotask(() => structuredClone(Symbol()));", "DataCloneError"),
    ] {
        let failure = Charm::with_handler(&format!("\n\n{body}")).out().expect_err(body);
        assert!(failure.message.starts_with(&format!("{name}: ")), "{body}: {failure:?}");
        assert!(failure.stack.as_deref().is_some_and(|stack| stack.contains("charm.js:4:")), "{body}: {failure:?}");
    }
}
