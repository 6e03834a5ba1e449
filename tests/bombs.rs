//! Components that are expensive to check or compile.

/// The manifest next to a component without an embedded one.
pub(crate) const MANIFEST: &str = "[integration]\nid = \"bomb\"\nname = \"Bomb\"\nversion = \"0.1.0\"\n";

/// A component that fits the world by its names, with these items, among them a module `$bomb`, and wrong types: even
/// if it can be compiled, it is refused in the end.
pub(crate) fn bomb(items: &str) -> Vec<u8> {
    let exports: String = ["initialize", "fetch-charms", "is-valid-charm"]
        .map(|name| format!("(func (export \"{name}\") (canon lift (core func $bomb \"f\")))"))
        .concat();
    wat::parse_str(format!("(component {items} (core instance $bomb (instantiate $bomb)) {exports})")).unwrap()
}

/// A module with these items, and a function `f` that does nothing.
pub(crate) fn module(items: &str) -> String {
    format!("(core module $bomb (func (export \"f\")) {items})")
}

/// One function that takes more than a minute to compile.
pub(crate) fn slow() -> Vec<u8> {
    let code = "(if (local.get 0) (then (local.set 1 (i32.add (local.get 1) (i32.const 1)))))".repeat(60_000);
    bomb(&module(&format!("(func (param i32) (local i32) {code})")))
}

/// Components that would take too long to write as text.
pub(crate) mod wasm {
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    /// A number, as LEB128.
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 128 {
            bytes.push(u8::try_from(value % 128).unwrap() | 128);
            value /= 128;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    }

    /// Bytes, preceded by their number.
    fn sized(bytes: &[u8]) -> Vec<u8> {
        [&number(bytes.len())[..], bytes].concat()
    }

    /// Items, preceded by their number.
    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        [number(items.len()), items.concat()].concat()
    }

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [vec![id], sized(content)].concat()
    }

    /// One jump through a table of `places` entries, each of which takes 1,000 values: a thousand steps of type
    /// checking per byte.
    pub(crate) fn jumps(places: usize) -> Vec<u8> {
        const VALUES: usize = 1_000;
        let many = [&[0x60, 0][..], &number(VALUES), &[0x7f; VALUES]].concat();
        let types = section(1, &list(&[many, vec![0x60, 0, 0]]));
        // A block of the first type; 1,000 zeros for it and one for the table; the table; then drops everything.
        let code = [
            &[0, 0x02, 0][..],
            &[0x41, 0].repeat(VALUES + 1),
            &[0x0e],
            &number(places),
            &vec![0; places + 1],
            &[0x0b],
            &[0x1a; VALUES],
            &[0x0b],
        ]
        .concat();
        let module = [MODULE, &types, &section(3, &list(&[vec![1]])), &section(10, &list(&[sized(&code)]))].concat();
        [COMPONENT, &section(1, &module)].concat()
    }

    /// Components nested `depth` levels deep.
    pub(crate) fn nested(depth: usize) -> Vec<u8> {
        let mut sizes = vec![COMPONENT.len()];
        for level in 0..depth {
            sizes.push(COMPONENT.len() + 1 + number(sizes[level]).len() + sizes[level]);
        }
        let mut bytes = COMPONENT.to_vec();
        for inner in sizes.iter().rev().skip(1) {
            bytes.push(4);
            bytes.extend(number(*inner));
            bytes.extend(COMPONENT);
        }
        bytes
    }

    /// An interface with `functions` functions, with names of this `length`, imported by `imports` names: each import
    /// repeats everything.
    pub(crate) fn names(functions: usize, length: usize, imports: usize) -> Vec<u8> {
        let mut declared = vec![vec![1, 0x40, 0, 1, 0]];
        for function in 0..functions {
            let name = format!("{}{function}", "a".repeat(length));
            declared.push([&[4, 0][..], &sized(name.as_bytes()), &[1, 0]].concat());
        }
        let interface = [vec![0x42], list(&declared)].concat();
        let import = |number: usize| [&[0][..], &sized(format!("a:b/i{number}").as_bytes()), &[5, 0]].concat();
        let imports: Vec<_> = (0..imports).map(import).collect();
        [COMPONENT, &section(7, &list(&[interface])), &section(10, &list(&imports))].concat()
    }
}
