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

/// A charm whose program and pattern do something in passing, and whose handler has this body.
fn in_passing(program: &str, pattern: &str, handler: &str) -> Charm {
    Charm::new(&format!(
        "import {{ pattern, handler, Cell }} from 'commontools';\n\
         const sleep = (ms) => new Promise((done) => setTimeout(done, ms));\n\
         let seen = [];\n{program}\n\
         const run = handler(async (event, {{ out, ticks }}) => {{ {handler} }});\n\
         export default pattern(() => {{ const out = Cell.of(null), ticks = Cell.of(0); {pattern}\n\
         return {{ out, ticks, run: run({{ out, ticks }}) }}; }});"
    ))
}

const EVER: [(&str, &str); 8] = [
    ("setInterval(() => seen.push(1), 1000);", ""),
    ("const tick = () => setTimeout(tick, 1); tick();", ""),
    ("const tick = () => setTimeout(tick); tick();", ""),
    ("", "setInterval(() => ticks.set(ticks.get() + 1), 0);"),
    ("", "(async () => { for (;;) { await sleep(10); ticks.set(ticks.get() + 1); } })();"),
    ("", "(async () => { await null; for (;;) { await sleep(0); seen.push(1); } })();"),
    ("", "(async () => { for (;;) { await fetch('http://a.example/'); await sleep(10); } })();"),
    ("", "setInterval(async () => { await fetch('http://a.example/'); await sleep(1); seen.push(2); }, 0);"),
];

#[test]
fn timers_of_the_program_and_of_the_pattern_keep_no_call_waiting() {
    for (program, pattern) in EVER {
        let charm = in_passing(program, pattern, "out.set('done');").answering(|_| Ok(super::response(200, "{}")));
        charm.outside.slowness.set(1_000_000);
        assert_eq!(charm.out().unwrap_or_else(|failure| panic!("{program}{pattern}: {failure:?}")), json!("done"));
        assert!(charm.outside.time.get() < 100_000_000, "{program}{pattern}: {}", charm.outside.time.get());
        charm.page().unwrap_or_else(|failure| panic!("{program}{pattern}: {failure:?}"));
    }
}

#[test]
fn timers_of_the_program_and_of_the_pattern_go_on_while_a_handler_waits() {
    for (pattern, expected) in [
        ("setInterval(() => ticks.set(ticks.get() + 1), 1000);", 3),
        ("setTimeout(() => ticks.set(ticks.get() + 1), 3500);", 1),
        ("setTimeout(() => ticks.set(ticks.get() + 1), 3501);", 0),
        ("const t = setInterval(() => { ticks.set(ticks.get() + 1); clearInterval(t); }, 1000);", 1),
        ("const t = setInterval(() => ticks.set(5), 1000); clearInterval(t);", 0),
        ("(async () => { for (;;) { await sleep(1000); ticks.set(ticks.get() + 1); } })();", 3),
    ] {
        let charm = in_passing("", pattern, "await sleep(3500); out.set(ticks.get());");
        assert_eq!(charm.out().expect("runs"), json!(expected), "{pattern}");
        assert_eq!(charm.cell("ticks"), json!(expected), "{pattern}");
        // Setup, in which nobody waits, and the call.
        assert_eq!(charm.outside.time.get(), 3_500_000_000, "{pattern}");
    }
}

#[test]
fn what_is_due_at_once_runs_when_all_else_is_done() {
    let charm =
        in_passing("setTimeout(() => seen.push('program'));", "setTimeout(() => ticks.set(7), 0);", "out.set(1);");
    charm.setup("{}").expect("a charm");
    assert_eq!(charm.cell("ticks"), json!(7));
    charm.handle("run", "{}").expect("runs");
    assert_eq!(charm.outside.time.get(), 0);
}

#[test]
fn a_throw_in_a_timer_of_the_program_fails_the_call_in_which_it_runs() {
    let charm =
        in_passing("", "setTimeout(() => { throw new Error('late'); }, 5);", "if (event.wait) await sleep(10);");
    charm.setup("{}").expect("a charm");
    charm.handle("run", "{}").expect("ends before");
    assert_eq!(charm.handle("run", r#"{"wait": true}"#).expect_err("thrown").message, "Error: late");
}

#[test]
fn the_top_of_a_program_may_wait_for_a_timer_and_a_handler_for_one_of_the_program() {
    let charm = in_passing("await sleep(20);", "", "out.set('top');");
    assert_eq!(charm.out().expect("runs"), json!("top"));
    assert_eq!(charm.outside.time.get(), 40_000_000);
    let charm = in_passing(
        "",
        "const ready = sleep(30); globalThis.ready = ready;",
        "await globalThis.ready; out.set('ready');",
    );
    assert_eq!(charm.out().expect("runs"), json!("ready"));
    assert_eq!(charm.outside.time.get(), 30_000_000);
}

#[test]
fn a_timer_that_a_program_sets_as_it_is_loaded_reads_no_clock() {
    for (program, pattern) in EVER.into_iter().filter(|(_, pattern)| !pattern.contains("fetch")) {
        let charm = in_passing(program, pattern, "out.set('done');");
        let mut engine = charm.engine();
        engine.load(charm.program(), true).expect("loads");
        assert_eq!(charm.outside.clock_reads.get(), 0, "{program}{pattern}");
    }
}
