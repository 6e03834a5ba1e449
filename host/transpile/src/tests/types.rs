//! Types as the original's own charms write them.

use serde_json::{Value, json};

use super::*;

/// A type in a handler's event and in its state becomes this.
fn assert_schema(declarations: &str, ty: &str, expected: &Value) {
    assert_eq!(schema(declarations, ty), *expected, "{ty}");
    // As a cell's type, where nothing may be left open.
    let source = format!(
        "import {{ handler, pattern, Cell, Default, Secret, Stream, Writable }} from 'commontools'; {declarations};
const f = handler<unknown, {{ kept: {ty} }}>(() => {{}});
export default pattern(() => ({{ f: f({{}} as any) }}));"
    );
    module("charm.ts", &source);
}

#[test]
fn constants_are_types_and_defaults() {
    let declarations = "
        import { __cf_data } from 'commontools';
        const START = { n: 3, tags: ['a'], at: { x: -1, y: null }, on: !0, text: `t`, gone: undefined };
        const MORE = { ...START, n: 4 } as const;
        const SUITS = ['hearts', 'spades'] as const;
        const LEVELS = { low: 1, high: 2 } satisfies Record<string, number>;
        const TYPED: { a: string } | null = null;
        const DATA = __cf_data({ k: 'v' } as const);
        const g = (x: number) => x;
        type Suit = (typeof SUITS)[number];
        type None = Record<PropertyKey, never>;
        type Twice = None";
    let start = json!({"n": 3, "tags": ["a"], "at": {"x": -1, "y": null}, "on": true, "text": "t"});
    let more = json!({"n": 4, "tags": ["a"], "at": {"x": -1, "y": null}, "on": true, "text": "t"});
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    for (ty, expected) in [
        ("Default<typeof START>", json!({"default": start})),
        ("{ n: number } | Default<typeof MORE>", {
            json!({"type": "object", "properties": {"n": number}, "required": ["n"], "default": more})
        }),
        ("Default<number, typeof START.n>", json!({"type": "number", "default": 3})),
        ("Default<typeof SUITS>", json!({"default": ["hearts", "spades"]})),
        ("Suit", json!({"enum": ["hearts", "spades"]})),
        ("typeof SUITS[1]", json!({"const": "spades"})),
        ("keyof typeof LEVELS", json!({"enum": ["high", "low"]})),
        ("(typeof LEVELS)[keyof typeof LEVELS]", number.clone()),
        ("typeof LEVELS", {
            json!({"type": "object", "properties": {"low": number, "high": number}, "required": ["high", "low"]})
        }),
        ("typeof TYPED", {
            let typed = json!({"type": "object", "properties": {"a": text}, "required": ["a"]});
            json!({"anyOf": [typed, {"type": "null"}]})
        }),
        ("typeof DATA", json!({"type": "object", "properties": {"k": {"const": "v"}}, "required": ["k"]})),
        ("{ f: typeof g; n: typeof START.n }", {
            json!({"type": "object", "properties": {"n": number}, "required": ["n"]})
        }),
        ("Record<string, number> | Default<Record<string, never>>", {
            json!({"type": "object", "additionalProperties": number, "default": {}})
        }),
        ("Default<Twice>", json!({"default": {}})),
    ] {
        assert_schema(declarations, ty, &expected);
    }
}

#[test]
fn constants_of_other_files_are_types_and_defaults() {
    let files = BTreeMap::from(
        [
            ("lib/start.ts", "import { LEVEL } from './level';\nexport const START = { level: LEVEL };"),
            ("lib/level.ts", "export const LEVEL = 7;"),
            ("lib/index.ts", "export * from './start';"),
        ]
        .map(|(name, source)| (name.to_owned(), source.to_owned())),
    );
    let source = "import { Default, pattern } from 'commonfabric';
import { START } from './lib';
export default pattern<{ a: Default<typeof START>; b: typeof START }>(({ a, b }) => ({ a, b }));";
    let made = transpile_files(&Sources { file_name: "main.tsx", source, files: &files }).expect("a charm");
    let code: String = made.module.split_whitespace().collect();
    assert!(code.contains("\"a\":{\"default\":{\"level\":7}}"), "{code}");
    assert!(code.contains("\"b\":{\"properties\":{\"level\":{\"type\":\"number\"}}"), "{code}");
}

#[test]
fn mapped_and_conditional_types_are_computed() {
    let declarations = "
        interface Contact { name: Default<string, 'Ann'>; mail?: string }
        type Cells<T> = { [K in keyof T]: Cell<T[K]> };
        type Optional<T> = { [K in keyof T]?: T[K] };
        type All<T> = { [K in keyof T]-?: T[K] };
        type Item<T> = T extends (infer U)[] ? U : T;
        type Of<T> = T extends Cell<infer U> ? U : never;
        type Texts<T> = T extends string ? T : never;
        type Kept<T> = { [K in keyof T]: T[K] extends (...a: any[]) => any ? never : T[K] }";
    let name = json!({"type": "string", "default": "Ann"});
    let text = json!({"type": "string"});
    let object = |properties: Value, required: &[&str]| {
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    };
    for (ty, expected) in [
        ("Cells<Contact>", {
            let [mut name, mut mail] = [name.clone(), text.clone()];
            name["asCell"] = true.into();
            mail["asCell"] = true.into();
            object(json!({"name": name, "mail": mail}), &["name"])
        }),
        ("Optional<Contact>", object(json!({"name": name, "mail": text}), &[])),
        ("All<Contact>", object(json!({"name": name, "mail": text}), &["mail", "name"])),
        ("{ [K in 'a' | 'b']: K }", object(json!({"a": {"const": "a"}, "b": {"const": "b"}}), &["a", "b"])),
        ("{ [K in string]: number }", json!({"type": "object", "additionalProperties": {"type": "number"}})),
        ("Item<string[]>", text.clone()),
        ("Item<number>", json!({"type": "number"})),
        ("Of<Cell<string>>", text.clone()),
        ("Texts<'a' | 'b' | 3>", json!({"enum": ["a", "b"]})),
        ("Exclude<'a' | 'b' | 'c', 'b'>", json!({"enum": ["a", "c"]})),
        ("Kept<{ a: string; b(): void }>", object(json!({"a": text}), &["a"])),
        ("unknown extends string ? 1 : 2", json!({"enum": [1, 2]})),
    ] {
        assert_schema(declarations, ty, &expected);
    }
}

#[test]
fn functions_are_left_out_and_intersections_are_what_has_both() {
    let declarations = "
        interface Piece { name?: string; mentionable?: Piece[] | { get?: () => Piece[] } }
        type Synced<T> = Cell<T> & { sync(): Promise<unknown> };
        interface Streamed extends Writable<number> { sync(): void }";
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    for (ty, expected) in [
        ("Piece", {
            let mentionable = json!({"anyOf": [{"type": "array", "items": {}}, {"type": "object", "properties": {}}]});
            json!({"type": "object", "properties": {"name": text, "mentionable": mentionable}})
        }),
        ("{ a: string; run(): void; call: () => void }", {
            json!({"type": "object", "properties": {"a": text}, "required": ["a"]})
        }),
        ("string | (() => string)", text.clone()),
        ("(() => void)[]", json!({"type": "array", "items": {}})),
        ("Record<string, () => void>", json!({"type": "object"})),
        ("Synced<number>", json!({"type": "number", "asCell": true})),
        ("Streamed", json!({"type": "number", "asCell": true})),
        ("Stream<void> & { more: string }", json!({"asStream": true})),
        ("string & { readonly brand: unique symbol }", text.clone()),
        ("(string | number) & {}", json!({"anyOf": [text, number]})),
        ("({ a: 1 } | { b: 2 }) & { c: string }", {
            let part = |key: &str, value: u8| json!({"type": "object", "properties": {key: {"const": value}, "c": text}, "required": [key, "c"]});
            json!({"anyOf": [part("a", 1), part("b", 2)]})
        }),
        ("any & string", text.clone()),
        ("Cell<string> | null", json!({"anyOf": [{"type": "string", "asCell": true}, {"type": "null"}]})),
        ("PerSpace<number | Default<3>>", json!({"type": "number", "default": 3})),
        ("PerUser<Default<string, 'x'>>", json!({"type": "string", "default": "x"})),
        ("PerSession<Cell<number>>", json!({"type": "number", "asCell": true})),
    ] {
        assert_schema(declarations, ty, &expected);
    }
}

#[test]
fn no_computed_type_loses_a_secret() {
    let attempt = bg_abuse::Attempt::begin("secrets", "types that are computed from marked ones");
    let declarations = "
        interface Vault { pin: Secret<string> }
        type Same<T> = { [K in keyof T]: T[K] };
        type Item<T> = T extends (infer U)[] ? U : T;
        type Of<T> = T extends Cell<infer U> ? U : never;
        const VAULT: Vault = { pin: '' }";
    for ty in [
        "Same<Vault>['pin']",
        "Item<Secret<string>[]>",
        "Of<Cell<Secret<string>>>",
        "(typeof VAULT)['pin']",
        "Secret<string> & { brand: 1 }",
        "{ brand: 1 } & Secret<string>",
        "(Secret<string> | null) & {}",
        "Secret<string> & string",
        "PerUser<Secret<string>>",
        "Exclude<Secret<string> | 'a', 'a'>",
        "unknown extends string ? Secret<string> : Secret<string>",
    ] {
        let schema = schema(declarations, ty);
        let text = schema.to_string();
        assert!(text.contains(r#""ifc":{"classification":["secret"]}"#), "{ty}: {schema}");
    }
    // What type parameters stand for could be a secret: they stay unknown where any type of the charm marks one.
    let generic = "import { Cell, handler, pattern, type Secret } from 'commontools';
export function adder<T extends { id: string }>() { return handler<T, { list: Cell<T[]> }>(() => {}); }
export default pattern<{ n: number; key: KEY }>(({ n }) => ({ n }));";
    module("charm.ts", &generic.replace("KEY", "string").replace(", type Secret", ""));
    let refused = error("charm.ts", &generic.replace("KEY", "Secret<string>"));
    assert!(refused.contains("the type `T` is declared in none"), "{refused}");
    attempt.ended("no mark is lost");
}

#[test]
fn types_and_constants_that_double_are_refused_and_take_no_time() {
    let constants: String = repeated(40, |n| format!("const C{} = {{ a: C{n}, b: C{n} }} as const;\n", n + 1));
    let mapped: String = repeated(40, |n| format!("type M{}<T> = {{ [K in 'a' | 'b']: M{n}<T> }};\n", n + 1));
    let conditional: String =
        repeated(40, |n| format!("type D{}<T> = unknown extends T ? {{ a: D{n}<T> }} : {{ b: D{n}<T> }};\n", n + 1));
    for (declarations, ty) in [
        (format!("const C0 = 'x';\n{constants}"), "typeof C40"),
        (format!("const C0 = 'x';\n{constants}"), "Default<typeof C40>"),
        (format!("type M0<T> = T;\n{mapped}"), "M40<string>"),
        (format!("type D0<T> = T;\n{conditional}"), "D40<string>"),
        ("const LOOP = { again: LOOP };".to_owned(), "Default<typeof LOOP>"),
    ] {
        let source = format!(
            "{declarations}import {{ Default, pattern }} from 'commontools'; export default pattern<{{ x: {ty} }}>((i) => i);"
        );
        let error = error("charm.ts", &source);
        assert!(error.contains("unfolds to too much") || error.contains("spelled out as literals"), "{ty}: {error}");
    }
}
