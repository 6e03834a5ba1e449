//! URLs and their parameters. Most examples are those of the URL standard.

use serde_json::json;

use super::expect_each;

#[test]
fn urls_are_parsed_as_the_standards_examples_are() {
    expect_each(&[
        ("new URL('https:example.org').href", json!("https://example.org/")),
        ("new URL('https://////example.com///').href", json!("https://example.com///")),
        ("new URL('https://example.com/././foo').href", json!("https://example.com/foo")),
        ("new URL('hello:world', 'https://example.com').href", json!("hello:world")),
        ("new URL('https:example.org', 'https://example.com').href", json!("https://example.com/example.org")),
        ("new URL('\\\\example\\\\..\\\\demo/.\\\\', 'https://example.com').href", json!("https://example.com/demo/")),
        ("new URL('example', 'https://example.com/demo').href", json!("https://example.com/example")),
        ("new URL('https://user:password@example.org/').username", json!("user")),
        ("new URL('https://example.org/foo bar').href", json!("https://example.org/foo%20bar")),
        ("new URL('https://EXAMPLE.com/../x').href", json!("https://example.com/x")),
        ("new URL('http://ex%41mple.com').hostname", json!("example.com")),
        ("new URL('https://faß.ExAmPlE/').href", json!("https://xn--fa-hia.example/")),
        ("new URL('http://0x7f.1').hostname", json!("127.0.0.1")),
        ("new URL('http://[1:2:0:0:5:0:0:0]/').host", json!("[1:2:0:0:5::]")),
        ("new URL('//other.example/x?y#z', 'http://a.example/b').href", json!("http://other.example/x?y#z")),
        ("new URL('?q', 'http://a.example/b?c#d').href", json!("http://a.example/b?q")),
        ("new URL('', 'http://a.example/b?c#d').href", json!("http://a.example/b?c")),
        ("new URL(new URL('x', 'http://a.example')).href", json!("http://a.example/x")),
        ("new URL('http://a.example:80').port", json!("")),
        ("new URL('mailto:a@b').origin", json!("null")),
        ("new URL('blob:https://a.example/1').origin", json!("https://a.example")),
        (
            "(({ href, origin, protocol, username, password, host, hostname, port, pathname, search, hash }) => [href, origin, protocol, username, password, host, hostname, port, pathname, search, hash])(new URL('https://u:p@a.example:8080/b/c?d=e#f'))",
            json!([
                "https://u:p@a.example:8080/b/c?d=e#f",
                "https://a.example:8080",
                "https:",
                "u",
                "p",
                "a.example:8080",
                "a.example",
                "8080",
                "/b/c",
                "?d=e",
                "#f"
            ]),
        ),
    ]);
}

#[test]
fn what_is_no_url_is_a_type_error() {
    expect_each(&[
        ("new URL('https://ex ample.org/')", json!("TypeError: Invalid URL: invalid international domain name")),
        ("new URL('example')", json!("TypeError: Invalid URL: relative URL without a base")),
        ("new URL('https://example.com:demo')", json!("TypeError: Invalid URL: invalid port number")),
        ("new URL('http://[www.example.com]/')", json!("TypeError: Invalid URL: invalid IPv6 address")),
        ("new URL('/x', 'mailto:a').href", json!("TypeError: Invalid URL: relative URL with a cannot-be-a-base base")),
        (
            "[URL.canParse('x'), URL.canParse('x', 'http://a'), URL.canParse('http://a:99999')]",
            json!([false, true, false]),
        ),
        ("[URL.parse('x'), URL.parse('x', 'http://a').href]", json!([null, "http://a/x"])),
        ("URL('http://a')", json!("TypeError: class constructor cannot be invoked without 'new'")),
    ]);
}

#[test]
fn parts_of_a_url_can_be_set() {
    let set = |part: &str, value: &str, expected: &str| {
        (
            format!(
                "(() => {{ const u = new URL('http://u:p@a.example:81/b?c#d'); u.{part} = {value}; return u.href; }})()"
            ),
            json!(expected),
        )
    };
    let cases = [
        set("protocol", "'https'", "https://u:p@a.example:81/b?c#d"),
        set("protocol", "'mailto:'", "http://u:p@a.example:81/b?c#d"),
        set("username", "'é@'", "http://%C3%A9%40:p@a.example:81/b?c#d"),
        set("password", "''", "http://u@a.example:81/b?c#d"),
        set("host", "'B.example:8080'", "http://u:p@b.example:8080/b?c#d"),
        set("hostname", "'x.example:99'", "http://u:p@a.example:81/b?c#d"),
        set("hostname", "'x.example'", "http://u:p@x.example:81/b?c#d"),
        set("port", "'90x'", "http://u:p@a.example:90/b?c#d"),
        set("port", "'x'", "http://u:p@a.example:81/b?c#d"),
        set("port", "80", "http://u:p@a.example/b?c#d"),
        set("pathname", "'x y/../z'", "http://u:p@a.example:81/z?c#d"),
        set("search", "'e=é'", "http://u:p@a.example:81/b?e=%C3%A9#d"),
        set("search", "''", "http://u:p@a.example:81/b#d"),
        set("hash", "'e f'", "http://u:p@a.example:81/b?c#e%20f"),
        set("href", "'http://b.example'", "http://b.example/"),
        set("href", "'nowhere'", "TypeError: Invalid URL"),
    ];
    expect_each(&cases.iter().map(|(code, expected)| (code.as_str(), expected.clone())).collect::<Vec<_>>());
    expect_each(&[
        (
            "(() => { const u = new URL('http://a'); u.origin = 'http://b'; })()",
            json!("TypeError: cannot set non-writable property: origin"),
        ),
        ("`${new URL('http://a/ b')} ${JSON.stringify(new URL('http://a'))}`", json!("http://a/%20b \"http://a/\"")),
        ("Object.prototype.toString.call(new URL('http://a'))", json!("[object URL]")),
    ]);
}

#[test]
fn the_parameters_of_a_url_follow_it_and_it_follows_them() {
    expect_each(&[
        (
            "(() => { const u = new URL('http://a/?x=1'); const p = u.searchParams; p.append('y', 'a b&'); p.set('x', 'é'); return [u.href, p === u.searchParams]; })()",
            json!(["http://a/?x=%C3%A9&y=a+b%26", true]),
        ),
        (
            "(() => { const u = new URL('http://a/?x=1#h'); const p = u.searchParams; u.search = '?z=2&z=3'; const seen = `${p}`; u.href = 'http://b?w'; return [seen, `${p}`, p.get('w')]; })()",
            json!(["z=2&z=3", "w=", ""]),
        ),
        (
            "(() => { const u = new URL('http://a/?x=1#h'); u.searchParams.delete('x'); return u.href; })()",
            json!("http://a/#h"),
        ),
        (
            "(() => { const u = new URL('http://a/?b=2&a=1&b=1'); u.searchParams.sort(); return u.search; })()",
            json!("?a=1&b=2&b=1"),
        ),
        // What was written otherwise stays so until it is changed.
        (
            "(() => { const u = new URL('http://a/?q=~%20'); const before = u.search; u.searchParams.append('r', ''); return [before, u.search]; })()",
            json!(["?q=~%20", "?q=%7E+&r="]),
        ),
    ]);
}

#[test]
fn search_params_are_those_of_the_standard() {
    expect_each(&[
        ("new URLSearchParams({ q: 'in:INBOX a&b', n: 1 }).toString()", json!("q=in%3AINBOX+a%26b&n=1")),
        ("[...new URLSearchParams('?a=1&a=2&b=%C3%A9+x&c')]", json!([["a", "1"], ["a", "2"], ["b", "é x"], ["c", ""]])),
        ("`${new URLSearchParams([['a', 1], ['b', '*-._~!\\'()']])}`", json!("a=1&b=*-._%7E%21%27%28%29")),
        ("[...new URLSearchParams('a=%zz&=x&&b=%ff')]", json!([["a", "%zz"], ["", "x"], ["b", "\u{fffd}"]])),
        ("`${new URLSearchParams(new URLSearchParams('a=1&a=2'))}`", json!("a=1&a=2")),
        ("`${new URLSearchParams(new Map([['k', 'v']]))}`", json!("k=v")),
        ("new URLSearchParams([['only one']])", json!("TypeError: URLSearchParams: each item is a pair")),
        ("`${new URLSearchParams('\\ud800')}`", json!("%EF%BF%BD=")),
        (
            "(() => { const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', 9); p.delete('b'); p.append('d', '~'); return `${p} ${p.get('a')} ${p.get('x')} ${p.getAll('a').length} ${p.size}`; })()",
            json!("a=9&d=%7E 9 null 1 2"),
        ),
        (
            "(() => { const p = new URLSearchParams('a=1&a=2&b=3'); const has = [p.has('a', '2'), p.has('a', 3), p.has('b')]; p.delete('a', 1); return [...has, `${p}`]; })()",
            json!([true, false, true, "a=2&b=3"]),
        ),
        (
            "[[...new URLSearchParams('a=1&b=2').keys()], [...new URLSearchParams('a=1&b=2').values()]]",
            json!([["a", "b"], ["1", "2"]]),
        ),
        (
            "(() => { const seen = []; new URLSearchParams('a=1').forEach((v, k) => seen.push(k + v)); return seen; })()",
            json!(["a1"]),
        ),
        ("Object.fromEntries(new URLSearchParams('a=1&b=2'))", json!({"a": "1", "b": "2"})),
    ]);
}
