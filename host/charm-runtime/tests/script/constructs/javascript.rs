//! The language, and what charms expect of a browser.

use super::{Row, handler, test, whole};

/// The rows of the table.
pub(super) fn rows() -> Vec<Row> {
    [language(), builtins(), web()].into_iter().flatten().collect()
}

fn language() -> Vec<Row> {
    vec![
        handler(
            "`async`, `await`, `for await`, async generators",
            "async function* three() { yield 1; yield await Promise.resolve(2); } const seen = []; for await (const n of three()) seen.push(n); out.set(seen);",
            "[1, 2]",
        ),
        whole(
            "`await` at the top of the file",
            "const n = await Promise.resolve(5);\nexport default pattern(() => ({ out: n }));",
            "5",
        ),
        handler(
            "generators, iterators, spread, destructuring",
            "function* count() { yield* [1, 2, 3]; } const [first, ...rest] = count(); out.set({ first, rest, ...{ more: true } });",
            r#"{"first": 1, "rest": [2, 3], "more": true}"#,
        ),
        handler(
            "classes: fields, private ones, accessors, `static`, `extends`, parameter properties",
            "class A { #n = 1; static made = 0; constructor(readonly m: number) { A.made++; } get n() { return this.#n + this.m; } } class B extends A { override get n() { return super.n * 10; } } out.set([new B(2).n, A.made]);",
            "[30, 1]",
        ),
        handler(
            "`?.`, `??`, `??=`, `**`, labels, `switch`, `typeof`, `in`, `instanceof`",
            "let a; a ??= { b: null }; outer: for (const x of [1]) { for (;;) break outer; } out.set([a?.b?.c ?? 'none', 2 ** 3, 'b' in a, [] instanceof Array]);",
            r#"["none", 8, true, true]"#,
        ),
        handler(
            "`try`, `catch`, `finally`, `Error` with `cause`",
            "try { throw new Error('x', { cause: 'y' }); } catch (error) { out.set([error.message, error.cause]); } finally { out.push('z'); }",
            r#"["x", "y", "z"]"#,
        ),
        handler(
            "regular expressions: named groups, lookbehind, `matchAll`, flags `gimsuy`",
            "out.set([/(?<y>\\d{4})/u.exec('in 2025').groups.y, 'a1b2'.replace(/(?<=a)1/, '-'), [...'a1b2'.matchAll(/\\d/g)].length]);",
            r#"["2025", "a-b2", 2]"#,
        ),
        handler(
            "template and tagged templates",
            "const tag = (texts, ...values) => texts.raw.join('|') + values; out.set(tag`a${1}b`);",
            "\"a|b1\"",
        ),
        handler(
            "`enum`, `as`, `satisfies`, `!`, overloads, generics",
            "enum E { A = 'a' } const f = <T,>(x: T): T => x; out.set(f(E.A as string)!);",
            "\"a\"",
        ),
        handler(
            "`eval` and `Function`, in the sandbox like all else",
            "out.set(eval('1 + 1') + new Function('return 2')());",
            "4",
        ),
    ]
}

fn builtins() -> Vec<Row> {
    vec![
        handler(
            "`Map`, `Set`, `WeakMap`, `Symbol`, `Proxy`, `Reflect`",
            "out.set([new Map([[1, 2]]).get(1), new Set([1, 1]).size, new Proxy({}, { get: () => 3 }).x]);",
            "[2, 1, 3]",
        ),
        handler(
            "`Array`: `at`, `flat`, `findLast`, `toSorted`, `with`, `from`",
            "out.set([[1, 2].at(-1), [[1]].flat()[0], [1, 2, 3].findLast((n) => n < 3), [2, 1].toSorted()[0], Array.from({ length: 2 }, (_, i) => i)[1]]);",
            "[2, 1, 2, 1, 1]",
        ),
        handler(
            "`Object`: `entries`, `fromEntries`, `groupBy`, `hasOwn`",
            "out.set([Object.fromEntries(Object.entries({ a: 1 })), Object.groupBy([1, 2], (n) => n % 2 ? 'odd' : 'even')]);",
            r#"[{"a": 1}, {"odd": [1], "even": [2]}]"#,
        ),
        handler(
            "`Promise`: `all`, `allSettled`, `any`, `race`, `withResolvers`",
            "const { promise, resolve } = Promise.withResolvers(); resolve(1); out.set([await promise, (await Promise.allSettled([Promise.reject(1)]))[0].status, await Promise.any([Promise.reject(), 2])]);",
            r#"[1, "rejected", 2]"#,
        ),
        handler(
            "`JSON`, also with a reviver and spaces",
            "out.set([JSON.parse('[1]', (k, v) => v), JSON.stringify({ a: 1 }, null, 1)]);",
            r#"[[1], "{\n \"a\": 1\n}"]"#,
        ),
        handler(
            "`BigInt`, `Math`, `Number`, typed arrays, `DataView`",
            "out.set([Number(2n ** 40n), Math.max(1, 2), Number.parseFloat('1.5'), new Uint8Array([256, 1])[1]]);",
            "[1099511627776, 2, 1.5, 1]",
        ),
        handler(
            "`Date`, in UTC: ISO texts, getters, `Date.UTC`",
            "const d = new Date('2025-03-01T10:00:00Z'); out.set([d.toISOString(), d.getUTCDay(), d.getTimezoneOffset(), Date.UTC(2025, 0)]);",
            r#"["2025-03-01T10:00:00.000Z", 6, 0, 1735689600000]"#,
        ),
        test("`toLocaleString` and the like, in English", "dates_are_written_as_americans_write_them"),
        handler(
            "`Intl.DateTimeFormat`, in any time zone",
            "const at = new Date('2025-03-01T10:00:00Z'); out.set([new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'America/Los_Angeles' }).format(at), at.toLocaleDateString('en-CA', { timeZone: 'Asia/Tokyo' }), Intl.DateTimeFormat().resolvedOptions().timeZone]);",
            r#"["Mar 1, 2025, 2:00 AM", "2025-03-01", "UTC"]"#,
        ),
        handler(
            "`Intl.NumberFormat`: money, per cent, measures, compact",
            "out.set([new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' }).format(1234.5), new Intl.NumberFormat('en', { style: 'percent' }).format(0.256), new Intl.NumberFormat('en', { style: 'unit', unit: 'liter', unitDisplay: 'long' }).format(2), new Intl.NumberFormat('en', { notation: 'compact' }).format(1234567)]);",
            r#"["$1,234.50", "26%", "2 liters", "1.2M"]"#,
        ),
        handler(
            "`Intl.ListFormat`, `RelativeTimeFormat`, `PluralRules`, `Collator`, `Locale`",
            "out.set([new Intl.ListFormat('en').format(['a', 'b', 'c']), new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(-1, 'day'), new Intl.PluralRules('en', { type: 'ordinal' }).select(2), ['b', 'a'].sort(new Intl.Collator().compare), new Intl.Locale('en-gb').region]);",
            r#"["a, b, and c", "yesterday", "two", ["a", "b"], "GB"]"#,
        ),
        test("… with the values that Node.js gives", "dates_numbers_lists_and_times_are_written_as_node_writes_them"),
        handler(
            "`encodeURIComponent`, `parseInt`, `isNaN`, `globalThis`",
            "out.set([encodeURIComponent('a b'), parseInt('7x'), isNaN(NaN), typeof globalThis.fetch]);",
            r#"["a%20b", 7, true, "function"]"#,
        ),
    ]
}

fn web() -> Vec<Row> {
    vec![
        handler(
            "`console.log`, `debug`, `warn`, `error`, … to the charm's log",
            "console.log('a', { b: 1 }); console.table([1]); console.group('g'); console.groupEnd(); out.set('logged');",
            "\"logged\"",
        ),
        handler(
            "`setTimeout`, `clearTimeout`, `setInterval`, `clearInterval`, `queueMicrotask`",
            "let n = 0; const id = setInterval(() => { n++; if (n === 2) { clearInterval(id); out.set(n); } }, 1); clearTimeout(setTimeout(() => out.set('no'), 1));",
            "2",
        ),
        handler(
            "`atob`, `btoa`, `TextEncoder`, `TextDecoder`",
            "out.set([btoa('hi'), atob('aGk='), new TextDecoder().decode(new TextEncoder().encode('é'))]);",
            r#"["aGk=", "hi", "é"]"#,
        ),
        handler(
            "`crypto.randomUUID()`, `crypto.getRandomValues()`, `crypto.subtle.digest()`",
            "out.set([crypto.randomUUID().length, new Set([crypto.randomUUID(), crypto.randomUUID()]).size, crypto.getRandomValues(new Uint8Array(4)).length, new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array()))[0]]);",
            "[36, 2, 4, 227]",
        ),
        handler(
            "`structuredClone`",
            "const a = { d: new Date(0), m: new Map([[1, new Set([2])]]) }; const b = structuredClone(a); out.set([b !== a, b.d.getTime(), b.m.get(1).has(2)]);",
            "[true, 0, true]",
        ),
        handler(
            "`Blob`, `File`, also as a body; without streams",
            "const file = new File([new Blob(['é', new Uint8Array([65])])], 'a.txt', { type: 'text/plain' }); out.set([new Blob(['é']).size, file.name, file.type, await file.text(), await file.slice(2).text()]);",
            r#"[2, "a.txt", "text/plain", "éA", "A"]"#,
        ),
        handler(
            "`URL`, `URLSearchParams`",
            "const u = new URL('../x?a=1#h', 'https://ex.ample:8443/p/q'); u.searchParams.append('b', 'ü'); out.set([u.href, u.origin, new URLSearchParams({ a: '1 2' }).toString()]);",
            r#"["https://ex.ample:8443/x?a=1&b=%C3%BC#h", "https://ex.ample:8443", "a=1+2"]"#,
        ),
        handler(
            "`Headers`, `Request`, `Response`",
            "const r = new Request('https://a.example/', { method: 'post', body: 'x', headers: { 'X-A': '1' } }); const a = Response.json({ n: 1 }, { status: 201 }); out.set([r.method, r.headers.get('x-a'), await r.text(), a.status, (await a.clone().json()).n]);",
            r#"["POST", "1", "x", 201, 1]"#,
        ),
        handler(
            "`AbortController`, `AbortSignal.timeout`, `AbortSignal.any`",
            "const c = new AbortController(); c.abort('stop'); out.set([c.signal.aborted, AbortSignal.any([c.signal]).reason]);",
            r#"[true, "stop"]"#,
        ),
        handler(
            "`performance.now()`, `DOMException`, `Event`, `EventTarget`",
            "const t = new EventTarget(); t.addEventListener('x', (event) => out.set([event.type, performance.now() >= 0, new DOMException('m', 'AbortError').name])); t.dispatchEvent(new Event('x'));",
            r#"["x", true, "AbortError"]"#,
        ),
        test("`fetch` through the gate, with the charm's own grants", "the_nosy_charm_is_denied_and_told_so"),
        test("… of a text, a `URL` or a `Request`; bodies, headers, JSON", "requests_are_built_copied_and_sent"),
        test("… several at once", "requests_of_one_call_are_in_flight_at_once"),
        test("… redirects: each step asks the gate again", "redirects_are_followed_as_the_standard_says"),
        test("… on the wire as a browser sends it", "a_fetch_of_a_charm_is_on_the_wire_what_a_browsers_is"),
        test(
            "… aborted: the host forgets the request",
            "an_aborted_fetch_rejects_at_once_and_the_host_forgets_the_request",
        ),
        test(
            "an interval that is never cleared ends with the poll's time, as `Timeout`",
            "an_interval_that_is_never_cleared_ends_with_the_time_of_the_call",
        ),
    ]
}
