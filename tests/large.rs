//! A charm with as many sources as it may have.

use std::fmt::Write as _;

use bg_transpile::{MAX_SOURCE, MAX_SOURCES};
use serde_json::json;

use crate::common::{cell, deploy, host, serve};

/// What people write: a type, a handler that uses it, a comment, and a page.
fn part(number: usize) -> String {
    format!(
        r#"
interface Item{number} {{ id: string; title: string; done: Default<boolean, false>; tags: string[]; at?: number }}
// What follows keeps the newest first, and no two of one title. {}
const add{number} = handler<{{ title: string; tags?: string[] }}, {{ items: Cell<Item{number}[]> }}>((event, {{ items }}) => {{
  const others = items.get().filter((item) => item.title !== event.title && item.id !== `id-{number}`);
  items.set([{{ id: "id-{number}", title: event.title.trim(), done: false, tags: event.tags ?? [] }}, ...others]);
}});
export const List{number} = pattern<{{ items: Default<Item{number}[], []> }}>(({{ items }}) => ({{
  [UI]: (
    <ct-card>
      <div style={{{{ display: "flex", gap: "1rem" }}}}>List {number}</div>
      {{items.map((item) => <li class="item">{{item.title}} <b>{{item.done ? "done" : "open"}}</b></li>)}}
    </ct-card>
  ),
  items,
  add: add{number}({{ items }}),
}}));
"#,
        "It says at length why. ".repeat(200)
    )
}

#[test]
fn a_charm_with_as_many_sources_as_it_may_have_is_deployed_and_polled() {
    let host = host();
    let head = "import { Cell, Default, UI, h, handler, pattern } from \"commontools\";\n";
    let poll = "const poll = handler<unknown, { count: Cell<number> }>((_, { count }) => count.set(count.get() + 1));\n\
                export default pattern<{ count: Default<number, 0> }>(({ count }) => ({ count, bgUpdater: poll({ count }) }));\n";
    let mut imports = String::new();
    let (mut numbers, mut all) = (0.., 0);
    for file in (0..MAX_SOURCES / MAX_SOURCE).rev() {
        let (name, mut text) = match file {
            0 => ("main.tsx".to_owned(), [head, &imports, poll].concat()),
            file => (format!("part{file}.tsx"), head.to_owned()),
        };
        let mut parts = numbers.by_ref().map(|number| (number, part(number)));
        let first = text.len();
        for (number, part) in &mut parts {
            if text.len() + part.len() > MAX_SOURCE {
                break;
            }
            if text.len() == first && file > 0 {
                writeln!(imports, "import {{ List{number} }} from \"./part{file}.tsx\"; export {{ List{number} }};")
                    .unwrap();
            }
            text += &part;
        }
        all += text.len();
        host.write(&name, text).unwrap();
    }
    assert!(all > MAX_SOURCES / 100 * 99, "{all}");
    let main = host.dir().join("main.tsx");
    let (server, _) = serve(&host, "127.0.0.1:0", &["--limit", "charm-time=10m"]);
    let charm = deploy(&host, main.to_str().unwrap(), "my-space", &json!({}));
    host.command(["charm", "trigger", &charm]).unwrap().success().unwrap();
    assert_eq!(cell(&host, &charm, "count"), 1);
    server.terminate().unwrap().success().unwrap();
}
