//! Texts and bytes, and random ones.

use serde_json::json;

use super::expect_each;

#[test]
fn base64_is_forgiving_as_the_standard_says() {
    expect_each(&[
        ("[btoa('hi\\xff'), btoa(''), btoa(null), btoa(1)]", json!(["aGn/", "", "bnVsbA==", "MQ=="])),
        (
            "btoa('€')",
            json!("InvalidCharacterError: btoa: a character is over 255; encode the text first, with TextEncoder"),
        ),
        (
            "[atob('aGn/'), atob(' aG\\nk= '), atob('aGk'), atob(''), atob('YR==')]",
            json!(["hi\u{ff}", "hi", "hi", "", "a"]),
        ),
        (
            "['*', 'a', 'abcde', 'ab=', 'abcd====', '=', 'aGk\\u00a0', 'ab-_'].map((x) => { try { return atob(x); } catch (e) { return e.code; } })",
            json!([5, 5, 5, 5, 5, 5, 5, 5]),
        ),
    ]);
}

#[test]
fn utf8_is_encoded_and_decoded_as_the_standard_says() {
    expect_each(&[
        ("[...new TextEncoder().encode('é\\ud800')]", json!([195, 169, 239, 191, 189])),
        (
            "(() => { const to = new Uint8Array(4); const r = new TextEncoder().encodeInto('aé€', to); return [r.read, r.written, ...to]; })()",
            json!([2, 3, 97, 195, 169, 0]),
        ),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 104, 255, 105]))", json!("h\u{fffd}i")),
        (
            "new TextDecoder('UTF-8', { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 104]))",
            json!("\u{feff}h"),
        ),
        ("new TextDecoder().decode(new Uint8Array([1, 104, 105, 2]).subarray(1, 3))", json!("hi")),
        (
            "new TextDecoder().decode(new DataView(new Uint8Array([104, 105]).buffer, 1)) + new TextDecoder().decode(new Uint8Array([104]).buffer) + new TextDecoder().decode()",
            json!("ih"),
        ),
        (
            "new TextDecoder().decode(new Uint8Array([0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80, 0xc0, 0x80]))",
            json!("\u{fffd}😀\u{fffd}\u{fffd}"),
        ),
        (
            "new TextDecoder('utf8', { fatal: true }).decode(new Uint8Array([104, 255]))",
            json!("TypeError: TextDecoder: this is not UTF-8"),
        ),
        (
            "new TextDecoder('utf8', { fatal: true }).decode(new Uint8Array([0xe2, 0x82]))",
            json!("TypeError: TextDecoder: this is not UTF-8"),
        ),
        (
            "(() => { const d = new TextDecoder(); const bytes = [0xef, 0xbb, 0xbf, 0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82]; return bytes.map((b) => d.decode(new Uint8Array([b]), { stream: true })).join('') + d.decode() + '|' + d.decode(new Uint8Array([0xef, 0xbb, 0xbf, 104])); })()",
            json!("😀\u{fffd}|h"),
        ),
        (
            "(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([104]), { stream: true }) + d.decode(new Uint8Array([0xef, 0xbb, 0xbf]), { stream: true }); })()",
            json!("h\u{feff}"),
        ),
        (
            "[new TextDecoder(' UTF8 ').encoding, new TextDecoder().fatal, new TextEncoder().encoding]",
            json!(["utf-8", false, "utf-8"]),
        ),
        (
            "new TextDecoder('latin1')",
            json!("RangeError: TextDecoder: the encoding \"latin1\" is not supported here, only utf-8"),
        ),
        ("new TextDecoder().decode('text')", json!("TypeError: expected an ArrayBuffer, a typed array or a DataView")),
    ]);
}

#[test]
fn json_is_parsed_by_the_host_unless_there_is_a_reviver() {
    expect_each(&[
        ("JSON.parse('[1,{\"a\":2}]', (k, v) => typeof v === 'number' ? v * 2 : v)", json!([2, {"a": 4}])),
        ("JSON.parse(' [1] ')", json!([1])),
        ("JSON.parse('{')", json!("SyntaxError: unexpected end in JSON at position 1")),
        ("JSON.parse()", json!("SyntaxError: unexpected 'u' in JSON at position 0")),
    ]);
}

#[test]
fn random_values_are_random_and_of_the_right_kind() {
    expect_each(&[
        (
            "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())",
            json!(true),
        ),
        ("crypto.randomUUID() !== crypto.randomUUID()", json!(true)),
        (
            "(() => { const big = new Uint8Array(64), part = crypto.getRandomValues(big.subarray(16, 48)); return [part.length, part.some((b) => b !== 0), big.subarray(0, 16).every((b) => b === 0), big.subarray(48).every((b) => b === 0)]; })()",
            json!([32, true, true, true]),
        ),
        ("crypto.getRandomValues(new BigUint64Array(4)).some((n) => n !== 0n)", json!(true)),
        (
            "crypto.getRandomValues(new Float64Array(1))",
            json!("TypeMismatchError: getRandomValues() fills a typed array of integers"),
        ),
        (
            "crypto.getRandomValues(new Uint8Array(65537))",
            json!("QuotaExceededError: getRandomValues() gives at most 65,536 bytes at once"),
        ),
        (
            "Promise.all(['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512'].map(async (name) => [...new Uint8Array(await crypto.subtle.digest(name, new TextEncoder().encode('abc')))].slice(0, 3)))",
            json!([[0xa9, 0x99, 0x3e], [0xba, 0x78, 0x16], [0xcb, 0x00, 0x75], [0xdd, 0xaf, 0x35]]),
        ),
        (
            "crypto.subtle.digest('MD5', new Uint8Array())",
            json!(
                "NotSupportedError: crypto.subtle.digest(): \"MD5\" is not supported here, only SHA-1, SHA-256, SHA-384, SHA-512"
            ),
        ),
        (
            "crypto.subtle.sign('HMAC', null, new Uint8Array())",
            json!(
                "NotSupportedError: crypto.subtle.sign() is not available to charms: there are digests here, and no keys"
            ),
        ),
    ]);
}
