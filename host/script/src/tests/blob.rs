//! Blob and File.

use serde_json::json;

use super::{Charm, expect_each, expect_each_of, response};

#[test]
fn a_blob_has_the_bytes_of_its_parts_and_a_type() {
    expect_each(&[
        ("new Blob(['é', new Uint8Array([65]), new Blob(['x'])], { type: 'Text/Plain' }).text()", json!("éAx")),
        (
            "(({ size, type }) => [size, type])(new Blob(['é', new ArrayBuffer(3)], { type: 'Text/Plain' }))",
            json!([5, "text/plain"]),
        ),
        ("[new Blob().size, new Blob([5, null]).size, new Blob(['x'], { type: 'ä' }).type]", json!([0, 5, ""])),
        ("new Blob(['a\\r\\nb\\rc'], { endings: 'native' }).text()", json!("a\nb\nc")),
        ("new Blob(['abcdef']).slice(1, -1, 'a/b').text()", json!("bcde")),
        (
            "[[2], [-2], [9], [4, 1], [NaN, 2]].map(([from, to]) => new Blob(['abcdef']).slice(from, to).size)",
            json!([4, 2, 0, 0, 2]),
        ),
        ("new Blob(['ab']).bytes().then((bytes) => [...bytes])", json!([97, 98])),
        ("new Blob(['ab']).arrayBuffer().then((buffer) => buffer.byteLength)", json!(2)),
        ("Object.prototype.toString.call(new Blob()) + (new Blob() instanceof Blob)", json!("[object Blob]true")),
    ]);
}

#[test]
fn a_file_is_a_blob_with_a_name() {
    expect_each(&[
        (
            "(({ name, size, type, lastModified }) => [name, size, type, lastModified])(new File(['ab'], 'a.txt', { type: 'text/plain', lastModified: 5 }))",
            json!(["a.txt", 2, "text/plain", 5]),
        ),
        ("new File([], 'a').lastModified", json!(1_700_000_000_123_u64)),
        ("new File([], 'a') instanceof Blob", json!(true)),
        ("new File([])", json!("TypeError: new File() needs a list of parts and a name")),
    ]);
}

#[test]
fn what_is_no_list_of_parts_and_streams_are_errors() {
    expect_each(&[
        ("new Blob('x').size", json!("TypeError: new Blob() needs a list of parts: texts, bytes or Blobs")),
        (
            "new Blob([], { endings: 'x' })",
            json!("TypeError: new Blob(): endings can't be x, only transparent, native"),
        ),
        (
            "new File([], 'a').stream()",
            json!("TypeError: File.stream(): streams are not supported here; use text(), arrayBuffer() or bytes()"),
        ),
    ]);
}

#[test]
fn a_blob_is_sent_with_its_type_and_a_response_gives_one() {
    expect_each_of(
        |body| {
            Charm::with_handler(body).answering(|request| {
                let types: Vec<_> = request.headers.iter().filter(|(name, _)| name == "content-type").collect();
                let body = request.body.as_deref().unwrap_or_default();
                Ok(response(200, &format!("{types:?} {}", String::from_utf8_lossy(body))))
            })
        },
        &[
            (
                "fetch('https://a.example', { method: 'POST', body: new Blob(['hi'], { type: 'a/b' }) }).then((r) => r.text())",
                json!("[(\"content-type\", \"a/b\")] hi"),
            ),
            (
                "fetch('https://a.example', { method: 'POST', body: new File(['hi'], 'x') }).then((r) => r.text())",
                json!("[] hi"),
            ),
            (
                "fetch('https://a.example').then((r) => r.blob()).then(async (b) => [b.type, await b.text()])",
                json!(["application/json", "[] "]),
            ),
        ],
    );
}

#[test]
fn names_can_be_replaced_before_they_are_used() {
    expect_each(&[("((name) => { globalThis[name] = 5; return globalThis[name]; })('Bl' + 'ob')", json!(5))]);
}
