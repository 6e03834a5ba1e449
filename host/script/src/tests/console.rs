//! What the console writes to the log.

use super::Charm;
use crate::host::Level;

/// The lines that `body` writes.
fn lines(body: &str) -> Vec<(Level, String)> {
    let charm = Charm::with_handler(body);
    charm.out().unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
    charm.outside.lines.take()
}

/// The texts alone.
fn texts(body: &str) -> Vec<String> {
    lines(body).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn each_call_is_a_line_of_its_level() {
    let expected = [
        (Level::Info, "a 1"),
        (Level::Info, "b"),
        (Level::Warn, "Error: w"),
        (Level::Error, "undefined"),
        (Level::Debug, ""),
        (Level::Trace, "Trace: t"),
        (Level::Error, "Assertion failed: 1 is not 2"),
        (Level::Error, "Assertion failed"),
        (Level::Info, "\"text\""),
    ];
    let found = lines(
        "console.log('a', 1); console.info('b'); console.warn(new Error('w')); console.error(undefined); console.debug(); console.trace('t'); console.assert(true, 'x'); console.assert(0, '%d is not', 1, 2); console.assert(false); console.dir('text');",
    );
    assert_eq!(found.iter().map(|(level, text)| (*level, text.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn values_are_shown_readably_on_one_line() {
    for (values, expected) in [
        ("{ a: 1, 'b-c': [2, 'x\\n'], d: { e: null } }", "{ a: 1, \"b-c\": [2, \"x\\n\"], d: { e: null } }"),
        ("[], {}, -0, 5n, Symbol('s'), true, NaN", "[] {} -0 5n Symbol(s) true NaN"),
        ("out", "null"),
        ("{ out }", "{ out: null }"),
        ("new Map([['k', { v: 1 }]]), new Set([1, 'a'])", "Map(1) { \"k\" => { v: 1 } } Set(2) { 1, \"a\" }"),
        ("new Date(0), [new Date(NaN)], /a/g", "1970-01-01T00:00:00.000Z [Invalid Date] /a/g"),
        ("[new TypeError('bad', { cause: new Error('why') })]", "[TypeError: bad (cause: Error: why)]"),
        ("new DOMException('m', 'AbortError')", "AbortError: m"),
        ("new Uint8Array([1, 2]), new ArrayBuffer(3)", "Uint8Array(2) [1, 2] ArrayBuffer { byteLength: 3 }"),
        ("new (class Mine { x = 1 })(), Object.create(null)", "Mine { x: 1 } [no prototype] {}"),
        ("() => 1, function f() {}, class A {}", "[function (anonymous)] [function f] [function A]"),
        ("{ get a() { throw 1; } }", "{ a: [getter] }"),
        (
            "new Headers({ a: 'b' }), new URL('http://a'), new URLSearchParams('q=1')",
            "Headers { \"a\" => \"b\" } http://a/ URLSearchParams { \"q\" => \"1\" }",
        ),
        ("new Response('x', { status: 404 }), Promise.resolve()", "Response { status: 404, url: \"\" } Promise {}"),
        ("[[[[[[[1]]]]]]]", "[[[[[[Array]]]]]]"),
        ("Object('s'), Object(1)", "[String: \"s\"] [Number: 1]"),
        ("new Proxy({}, { ownKeys() { throw 1; } })", "[object]"),
    ] {
        assert_eq!(texts(&format!("console.log({values});")), [expected], "{values}");
    }
    assert_eq!(
        texts("const a = { n: 1 }; a.a = a; console.log(a, [a]);"),
        ["{ n: 1, a: [circular] } [{ n: 1, a: [circular] }]"]
    );
}

#[test]
fn much_is_cut_short() {
    let line = &texts("console.log(Array.from({ length: 1000 }, (_, n) => n));")[0];
    assert!(line.starts_with("[0, 1, ") && line.ends_with(", 99, … 900 more]"), "{line}");
    let line = &texts("console.log(['x'.repeat(100_000)]);")[0];
    assert!(line.len() < 11_000 && line.ends_with("…\"]"), "{}", line.len());
}

#[test]
fn the_first_text_may_have_places_for_the_values() {
    for (values, expected) in [
        ("'%s is %d of %i, %f %%', 'x', '4.5', 4.9, '1.5', 'rest'", "x is 4 of 4, 1.5 % rest"),
        ("'%o %O %j%c!', { a: 1 }, [2], { b: 3 }, 'color: red'", "{ a: 1 } [2] {\"b\":3}!"),
        ("'100%', 1", "100% 1"),
        ("'%s'", "%s"),
        ("5, '%s', 'x'", "5 %s x"),
        ("'%d', Symbol()", "NaN"),
    ] {
        assert_eq!(texts(&format!("console.log({values});")), [expected], "{values}");
    }
}

#[test]
fn groups_counts_stopwatches_and_tables_work() {
    assert_eq!(
        texts(
            "console.group('G'); console.log('in'); console.groupCollapsed(); console.warn('deep'); console.groupEnd(); console.groupEnd(); console.groupEnd(); console.log('out');"
        ),
        ["G", "  in", "    deep", "out"]
    );
    assert_eq!(
        texts(
            "console.count(); console.count('a'); console.count(); console.countReset(); console.count(); console.countReset('none');"
        ),
        ["default: 1", "a: 1", "default: 2", "default: 1", "there is no count \"none\""]
    );
    assert_eq!(
        texts(
            "console.time('t'); console.time('t'); await new Promise((done) => setTimeout(done, 20)); console.timeLog('t', 'so far'); console.timeEnd('t'); console.timeEnd('t');"
        ),
        ["the timer \"t\" runs already", "t: 20.000 ms so far", "t: 20.000 ms", "there is no timer \"t\""]
    );
    assert_eq!(
        texts(
            "console.table([{ a: 1, b: 'x' }, { a: 2, c: [3] }, 7]); console.table({ r: { n: 1 } }, ['n']); console.table(5);"
        ),
        [
            "(index) | a | b | c | Values",
            "0 | 1 | \"x\" |  | ",
            "1 | 2 |  | [3] | ",
            "2 |  |  |  | 7",
            "(index) | n",
            "r | 1",
            "5"
        ]
    );
}
