//! Timers and clocks.

use serde_json::json;

use super::{Charm, expect_each};

#[test]
fn timers_fire_in_their_order_with_their_arguments() {
    for (body, expected) in [
        ("setTimeout((...a) => out.set(a), '5', 1, 'b');", json!([1, "b"])),
        (
            "let n = 0; const t = setInterval((by) => { n += by; if (n === 6) { clearInterval(t); out.set(n); } }, 10, 2);",
            json!(6),
        ),
        (
            "const t = setInterval(() => {}, 10); setTimeout(() => { clearTimeout(t); out.set('cleared'); }, 35);",
            json!("cleared"),
        ),
        (
            "const t = setTimeout(() => out.set('no'), 1); clearInterval(t); clearTimeout(); clearTimeout('x'); out.set(6);",
            json!(6),
        ),
        (
            "out.set([]); setTimeout(() => out.push('later'), 1); setTimeout(() => out.push('first')); queueMicrotask(() => out.push('micro'));",
            json!(["micro", "first", "later"]),
        ),
        (
            "out.set([]); setTimeout(() => out.push('b'), 2 ** 31 - 1); setTimeout(() => out.push('a'), 2 ** 31); setTimeout(() => out.push('c'), -5);",
            json!(["a", "c", "b"]),
        ),
        (
            "out.set([]); setTimeout(() => { Promise.resolve().then(() => out.push('job')); }); setTimeout(() => out.push('next'));",
            json!(["job", "next"]),
        ),
        ("out.set(typeof setTimeout(() => {}));", json!("number")),
        ("setTimeout(function () { out.set(this === globalThis); });", json!(true)),
    ] {
        assert_eq!(
            Charm::with_handler(body).out().unwrap_or_else(|failure| panic!("{body}: {failure:?}")),
            expected,
            "{body}"
        );
    }
}

#[test]
fn a_chain_of_timers_that_are_due_at_once_lets_time_pass() {
    let charm = Charm::with_handler(
        "let n = 0; const t = setInterval(() => { if (++n === 100) clearInterval(t); }, 0); out.set(1);",
    );
    charm.out().expect("ends");
    // The first six are free.
    assert_eq!(charm.outside.time.get(), 94 * 4_000_000);
}

#[test]
fn what_is_no_function_is_a_type_error() {
    expect_each(&[
        ("setTimeout('alert(1)')", json!("TypeError: setTimeout() needs a function")),
        ("setInterval()", json!("TypeError: setInterval() needs a function")),
        ("queueMicrotask({})", json!("TypeError: queueMicrotask() needs a function")),
    ]);
}

#[test]
fn a_throw_in_an_interval_or_a_microtask_fails_the_call() {
    for (body, message) in [
        ("setInterval(() => { throw new Error('in an interval'); }, 5);", "Error: in an interval"),
        ("queueMicrotask(() => { throw new Error('in a microtask'); });", "Error: in a microtask"),
    ] {
        let failure = Charm::with_handler(body).out().expect_err(body);
        assert_eq!(failure.message, message);
        assert!(failure.stack.as_deref().is_some_and(|stack| stack.contains("charm.js:2:")), "{failure:?}");
    }
}

#[test]
fn performance_now_goes_on_from_the_first_time_that_it_is_asked() {
    let charm = Charm::with_handler(
        "const first = performance.now(); await new Promise((done) => setTimeout(done, 250)); out.set([first, performance.now(), performance.timeOrigin, JSON.stringify(performance)]);",
    );
    charm.outside.time.set(5_000_000);
    assert_eq!(charm.out().expect("runs"), json!([0, 250, 1_700_000_000_123_i64, "{\"timeOrigin\":1700000000123}"]));
}
