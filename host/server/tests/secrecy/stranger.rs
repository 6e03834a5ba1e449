//! What strangers send.

use bg_poller::CharmRef;
use bg_test_support::Random;
use serde_json::{Map, Value, json};

use crate::program::HANDLERS;

/// Names of cells: secret ones, others, derived ones, and those that the program makes up.
const NAMES: [&str; 14] = [
    "auth",
    "vault",
    "keys",
    "items",
    "box",
    "note",
    "made",
    "d0",
    "d1",
    "group",
    "__cell/0",
    "items#7",
    "of:auth",
    "__fetch/0",
];

const KEYS: [&str; 16] = [
    "a",
    "token",
    "refreshToken",
    "user",
    "list",
    "deep",
    "key",
    "/",
    "//",
    "link@1",
    "id",
    "path",
    "0",
    "1",
    "k",
    "v",
];

/// The place of something secret, or near it.
const SECRETS: [(&str, &[&str]); 9] = [
    ("auth", &["token"]),
    ("auth", &["refreshToken"]),
    ("auth", &[]),
    ("vault", &[]),
    ("vault", &["deep", "key"]),
    ("keys", &["0", "k"]),
    ("keys", &[]),
    ("d0", &[]),
    ("made", &["x"]),
];

/// Data of any shape, often that of a link.
pub(crate) fn data(random: &mut Random, depth: usize) -> Value {
    if random.chance(45) {
        let (cell, path) = *random.pick(&SECRETS);
        let (cell, path) = if random.chance(20) { ("box", &["a"][..]) } else { (cell, path) };
        return match random.below(8) {
            0 => json!({"/": {"link@1": {"id": cell, "path": path}}}),
            1 => {
                json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": path, "space": "", "overwrite": "redirect"}}})
            }
            2 => json!({"//": {"link@1": {"id": format!("of:{cell}"), "path": path}}}),
            3 => json!({"link@1": {"id": format!("of:{cell}"), "path": path}}),
            4 => json!({"id": format!("of:{cell}"), "path": path}),
            _ => crate::link(cell, path),
        };
    }
    match random.below(if depth > 3 { 4 } else { 7 }) {
        0 => json!(random.below(9)),
        1 => json!(*random.pick(&["x", "of:auth", "/", "//\":", "{\"/\":{", "token"])),
        2 => Value::Null,
        3 => json!({"fail": true, "value": "y"}),
        4 => (0..random.below(3)).map(|_| data(random, depth + 1)).collect::<Vec<_>>().into(),
        _ => {
            let members = (0..=random.below(3)).map(|_| ((*random.pick(&KEYS)).to_owned(), data(random, depth + 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// A cell's name, then keys.
pub(crate) fn path(random: &mut Random) -> Vec<String> {
    let name = (*random.pick(&NAMES)).to_owned();
    let keys = random.below(5);
    std::iter::once(name).chain((0..keys).map(|_| (*random.pick(&KEYS)).to_owned())).collect()
}

/// Method, target and body.
pub(crate) fn request(random: &mut Random, charm: &CharmRef) -> (String, String, Value) {
    let at = format!("/api/v1/charms/{charm}");
    let space = format!("/api/v1/spaces/{}", charm.space);
    let (method, target, body) = match random.below(14) {
        0..=4 => {
            let body = json!({"path": path(random), "value": data(random, 0), "create": random.chance(50)});
            ("PUT", format!("{at}/value"), body)
        }
        5..=7 => {
            let stream = format!("h{}", random.below(HANDLERS));
            ("POST", format!("{at}/trigger"), json!({"stream": stream, "event": data(random, 0)}))
        }
        8 | 9 => {
            let path: String = json!(path(random)).to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
            ("GET", format!("{at}/value?path={path}"), Value::Null)
        }
        10 => {
            let other = "import { pattern } from 'commontools';\nexport default pattern<any>((inputs: any) => inputs, { properties: { auth: {}, x: {} } } as any);";
            let charm = if random.chance(50) { json!(charm.charm) } else { Value::Null };
            let inputs = json!({"x": data(random, 0)});
            (
                "POST",
                format!("{space}/charms"),
                json!({"fileName": "other.tsx", "source": other, "inputs": inputs, "charm": charm}),
            )
        }
        11 => ("POST", format!("{at}/secret"), json!({"path": path(random)})),
        12 => ("POST", format!("{at}/refresh"), Value::Null),
        _ => ("GET", format!("{space}/charms"), Value::Null),
    };
    (method.to_owned(), target, body)
}
