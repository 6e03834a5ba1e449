use data_encoding::BASE64;
use proptest::prelude::*;

use super::child::ANSWER_BYTES;
use super::*;

mod trees;
mod types;

fn module(file: &str, source: &str) -> String {
    transpile(file, source).unwrap_or_else(|error| panic!("{error}\n{source}")).module
}

/// The code without its source map.
fn code(file: &str, source: &str) -> String {
    let module = module(file, source);
    module[..module.rfind("//# sourceMappingURL").expect("a source map")].to_owned()
}

fn error(file: &str, source: &str) -> String {
    transpile(file, source).expect_err(source).to_string()
}

/// What is polled and what makes a page, without white space.
fn both(file_name: &str, source: &str) -> (String, String) {
    let sources = Sources { file_name, source, files: &BTreeMap::new() };
    let squeezed =
        |made: Transpiled| made.module.split("//# source").next().map(|code| code.split_whitespace().collect());
    let made = [transpile_files(&sources), transpile_pages(&sources)].map(|made| squeezed(made.expect("a charm")));
    let [Some(polled), Some(paged)] = made else { panic!("two modules") };
    (polled, paged)
}

/// The schemas that a type becomes: the first argument of a handler.
fn schema(declarations: &str, ty: &str) -> serde_json::Value {
    let source = format!(
        "import {{ handler }} from 'commontools'; {declarations}; export default handler<{ty}, unknown>(() => {{}});"
    );
    let code = code("charm.ts", &source);
    let start = code.find("handler(").expect("a handler") + "handler(".len();
    let spelled = code[start..].rsplit_once(", {}, () =>").expect("two schemas").0;
    // Codegen writes keys without quotes where it can.
    json5(spelled)
}

/// JSON out of the object literals that codegen writes.
fn json5(literal: &str) -> serde_json::Value {
    let mut json = String::new();
    let mut rest = literal;
    while let Some(char) = rest.chars().next() {
        if char == '"' {
            let end = 1 + rest[1..].find('"').expect("a closing quote");
            json.push_str(&rest[..=end]);
            rest = &rest[end + 1..];
        } else if char.is_ascii_alphabetic() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = &rest[..end];
            if matches!(word, "true" | "false" | "null") {
                json.push_str(word);
            } else {
                json.extend(["\"", word, "\""]);
            }
            rest = &rest[end..];
        } else {
            json.push(char);
            rest = &rest[char.len_utf8()..];
        }
    }
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {literal}"))
}

#[test]
fn types_enums_and_type_only_imports_go() {
    let code = code(
        "charm.ts",
        r#"/// <cts-enable />
import { pattern, type Cell, Default } from "commontools";
interface Unused { a: Cell<number> }
enum Colour { Red = "red", Blue = "blue" }
const colour: Colour = Colour.Blue as Colour;
export default pattern((_: unknown) => ({ colour: colour! }) satisfies object);"#,
    );
    for gone in ["interface", "Default", "satisfies", "as Colour", "type Cell", ": Colour"] {
        assert!(!code.contains(gone), "{gone} is still in\n{code}");
    }
    assert!(code.contains("import { pattern } from \"commontools\";") && code.contains("Red"), "{code}");
}

#[test]
fn jsx_becomes_calls_of_h_which_is_imported_when_the_author_did_not() {
    for (imports, expected) in [("pattern", 2), ("pattern, h", 1)] {
        let source = format!(
            "import {{ {imports} }} from 'commontools';\nexport default pattern(() => ({{ ui: <><b class=\"x\">{{1}}</b></> }}));"
        );
        let code = code("charm.tsx", &source);
        assert!(code.contains("h(h.fragment, null, h(\"b\", { class: \"x\" }, 1))"), "{code}");
        assert_eq!(code.matches("from \"commontools\"").count(), expected, "{code}");
    }
}

#[test]
fn handlers_and_patterns_get_the_schemas_of_their_type_arguments_or_annotations() {
    for (call, expected) in [
        ("handler<{ n: Cell<number> }, unknown>((e, s) => {})", 1),
        ("handler((e: { n: Cell<number> }, s) => {})", 1),
        ("handler(function (e, { n }: { n: Cell<number> }) {})", 1),
        ("pattern<{ n: Cell<number> }>((i) => i)", 1),
        ("recipe<{ n: Cell<number> }, number>('A name', (i) => i)", 1),
        ("pattern(({ n }: { n: Cell<number> }) => ({ n }))", 1),
        ("handler({}, {}, (e: { n: Cell<number> }) => {})", 0),
        ("pattern((i: { n: Cell<number> }) => i, {})", 0),
        ("pattern(() => ({}))", 0),
        ("Cell.of<{ n: Cell<number> }>({})", 1),
        ("new Cell<{ n: Cell<number> }>()", 1),
        ("cell<{ n: Cell<number> }>()", 1),
    ] {
        let source = format!(
            "import {{ handler, pattern, recipe, Cell, cell }} from 'commontools';\nconst x = {call};\nexport default pattern(() => ({{ x }}));"
        );
        let code: String = code("charm.ts", &source).split_whitespace().collect();
        let found = code.matches("\"asCell\":true").count() + code.matches("asCell:true").count();
        assert_eq!(found, expected, "{call}\n{code}");
    }
}

#[test]
fn a_function_that_only_shares_a_name_with_the_module_is_left_alone() {
    let code = code(
        "charm.ts",
        "import { pattern as p } from 'commontools';\nfunction handler<T>(f: T) { return f; }\nconst x = handler<{ a: number }>({ a: 1 });\nexport default p<{ n: number }>((i) => i);",
    );
    assert!(code.contains("handler({ a: 1 })"), "{code}");
    assert!(code.contains("\"number\""), "an alias of the import is still the import: {code}");
}

#[test]
fn types_become_schemas() {
    for (ty, expected) in [
        ("string", r#"{"type":"string"}"#),
        ("(readonly number[])", r#"{"type":"array","items":{"type":"number"}}"#),
        ("Array<boolean>", r#"{"type":"array","items":{"type":"boolean"}}"#),
        ("[string, n?: number]", r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}"#),
        ("{ a: 1; b: 2 }['b']", r#"{"const":2}"#),
        ("{ list: string[] }['list'][number]", r#"{"type":"string"}"#),
        ("keyof { a: 1; b: 2 }", r#"{"enum":["a","b"]}"#),
        ("number | Default<0>", r#"{"type":"number","default":0}"#),
        (
            "string[] | null | Default<[]>",
            r#"{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"null"}],"default":[]}"#,
        ),
        ("CFC<string, 'secret'>", r#"{"type":"string","ifc":{"classification":["secret"]}}"#),
        ("CFC<string, 'public'>", r#"{"type":"string"}"#),
        ("'a' | 'b' | undefined", r#"{"enum":["a","b"]}"#),
        ("string | null", r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#),
        ("string | Unknown", "{}"),
        (
            "{ a: string; b?: 1 }",
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"const":1}},"required":["a"]}"#,
        ),
        ("Record<string, number>", r#"{"type":"object","additionalProperties":{"type":"number"}}"#),
        ("{ [key: string]: -1.5 }", r#"{"type":"object","properties":{},"additionalProperties":{"const":-1.5}}"#),
        ("Cell<number>", r#"{"type":"number","asCell":true}"#),
        ("Writable<Default<number, 3>>", r#"{"type":"number","default":3,"asCell":true}"#),
        ("Stream<void>", r#"{"asStream":true}"#),
        ("Default<string[], []>", r#"{"type":"array","items":{"type":"string"},"default":[]}"#),
        (
            "Default<object, { a: [1, 'x', null]; b: true }>",
            r#"{"type":"object","default":{"a":[1,"x",null],"b":true}}"#,
        ),
        ("Secret<string>", r#"{"type":"string","ifc":{"classification":["secret"]}}"#),
        ("Confidential<string, 'x'>", r#"{"type":"string","ifc":{"classification":["secret"]}}"#),
        ("CFC<string, 'unclassified'>", r#"{"type":"string"}"#),
        ("Cfc<string, { confidentiality: readonly [] }>", r#"{"type":"string"}"#),
        ("Cfc<string, { integrity: readonly ['x'] }>", r#"{"type":"string"}"#),
        ("Integrity<string, ['x']>", r#"{"type":"string"}"#),
        ("Partial<{ a: string }>", r#"{"type":"object","properties":{"a":{"type":"string"}}}"#),
        ("Omit<{ a: 1; b: 2 }, 'a'>", r#"{"type":"object","properties":{"b":{"const":2}},"required":["b"]}"#),
        (
            "{ a: 1 } & { b: 2 }",
            r#"{"type":"object","properties":{"a":{"const":1},"b":{"const":2}},"required":["a","b"]}"#,
        ),
        ("() => void", "{}"),
        ("any", "{}"),
    ] {
        assert_eq!(schema("", ty), serde_json::from_str::<serde_json::Value>(expected).expect(ty), "{ty}");
    }
}

#[test]
fn named_types_of_the_file_are_unfolded_also_generic_and_circular_ones() {
    let declarations = "
        interface Base { id: string }
        interface Mail extends Base { subject: string }
        interface Mail { read: boolean }
        type List<T, U = number> = { items: T[]; total: U };
        type Tree = { children: Tree[] };
        enum Level { A = 'a', B = 'b' }
        export type Kept = Cell<List<Mail>>;";
    let mail = r#"{"type":"object","properties":{"id":{"type":"string"},"subject":{"type":"string"},"read":{"type":"boolean"}},"required":["id","subject","read"]}"#;
    for (ty, expected) in [
        ("Mail", mail.to_owned()),
        (
            "Kept",
            format!(
                r#"{{"type":"object","properties":{{"items":{{"type":"array","items":{mail}}},"total":{{"type":"number"}}}},"required":["items","total"],"asCell":true}}"#
            ),
        ),
        (
            "Tree",
            r#"{"type":"object","properties":{"children":{"type":"array","items":{}}},"required":["children"]}"#.into(),
        ),
        ("Level", r#"{"type":"string"}"#.into()),
    ] {
        assert_eq!(schema(declarations, ty), serde_json::from_str::<serde_json::Value>(&expected).expect(ty), "{ty}");
    }
}

#[test]
fn a_type_that_unfolds_to_far_more_than_it_spells_is_refused() {
    let doubling: String = repeated(40, |n| format!("type T{} = {{ a: T{n}; b: T{n} }};\n", n + 1));
    let generic = format!("type P<T> = {{ a: T; b: T }};\ntype Q = {}string{};\n", "P<".repeat(30), ">".repeat(30));
    for (declarations, ty) in [(format!("type T0 = string;\n{doubling}"), "T40"), (generic, "Q")] {
        let error = error(
            "charm.ts",
            &format!("{declarations}import {{ pattern }} from 'commontools'; export default pattern<{ty}>((i) => i);"),
        );
        assert!(error.contains("unfolds to too much"), "{error}");
    }
}

#[test]
fn what_is_refused_is_named_with_file_line_and_column() {
    let rest = "\nexport default pattern(() => ({}));";
    let import = "import { pattern } from 'commontools';\n";
    for (source, expected) in [
        (
            format!("{import}import lodash from \"lodash\";{rest}"),
            "charm.tsx:2:1: the package \"lodash\" is not available",
        ),
        (
            format!("{import}import type {{ A }} from './a.ts';{rest}"),
            "charm.tsx:2:1: there is no file \"./a.ts\" beside this one",
        ),
        (
            format!("{import}export * from './a.ts';{rest}"),
            "charm.tsx:2:1: there is no file \"./a.ts\" beside this one",
        ),
        (format!("{import}  const x = await import('x');{rest}"), "charm.tsx:2:19: `import(…)` is not available"),
        (
            format!("{import}import * as ct from 'commontools';{rest}"),
            "charm.tsx:2:8: import from \"commontools\" by name",
        ),
        (
            format!("{import}import {{ h, teleport }} from 'commontools'; teleport();{rest}"),
            "charm.tsx:2:13: \"commontools\" has no \"teleport\" here",
        ),
        (format!("{import}const a = 1;\nconst a = 2;{rest}"), "charm.tsx:2:7: "),
        (format!("{import}const = 2;{rest}"), "charm.tsx:2:7: "),
        (format!("{import}const s = 'abc{rest}"), "charm.tsx:2:11: "),
        (
            format!("{import}export const x = pattern(() => ({{}}));"),
            "charm.tsx:2:38: a charm needs an `export default pattern(…)`",
        ),
        (String::new(), "charm.tsx:1:1: a charm needs"),
    ] {
        let error = error("charm.tsx", &source);
        assert!(error.starts_with(expected), "{error}\n{source}");
    }
    for name in ["charm.py", "charm", "charm.d.ts", "charm.cts", "charm.json"] {
        assert!(error(name, "").contains("a charm's file ends in"), "{name}");
    }
    assert!(
        error("charm.js", "import { pattern } from 'commontools'; const x: number = 1;").starts_with("charm.js:1:")
    );
}

#[test]
fn types_that_cells_cannot_be_made_from_are_refused_where_they_stand() {
    for (ty, expected) in [
        ("() => void", "a cell can't hold a function"),
        ("(() => void) | (() => string)", "a cell can't hold a function"),
        ("Date", "a cell holds JSON, and `Date` is none"),
        ("Map<string, number>", "a cell holds JSON, and `Map` is none"),
        ("Account", "an object of the class `Account` would not come back"),
        ("Missing[]", "the type `Missing` is declared in none of the charm's files"),
        ("bigint", "a bigint is no JSON"),
        ("1n", "this literal is no JSON"),
        ("Base extends string ? 1 : bigint", "a bigint is no JSON"),
        ("{ [K in keyof Base]: Date }", "a cell holds JSON, and `Date` is none"),
        ("typeof import('x')", "the type `import(…)`"),
        ("import('x').Y", "the type `import(…)`"),
        ("Ns.Inner", "a type of a namespace"),
        ("string & number", "an intersection of what no value can be at once"),
        ("Base['gone']", "this part of a type is not there"),
        ("Default<number, typeof value>", "a default is spelled out as literals"),
        ("Default<number, typeof undeclared>", "a default is spelled out as literals"),
        ("Tree", "a type that contains itself can't have secrets in it"),
        ("[string, ...number[]]", "a rest element of a tuple"),
    ] {
        let source = format!(
            "import {{ handler, pattern, Cell, Secret }} from 'commontools';
class Account {{}}
interface Base {{ id: string }}
interface Tree {{ token: Secret<string>; below: Tree[] }}
const value = Number('1');
const f = handler<unknown, {{
  kept: Cell<{ty}>;
}}>(() => {{}});
export default pattern(() => ({{ f: f({{}}) }}));"
        );
        let error = error("charm.ts", &source);
        let (place, message) = error.split_once(": ").expect("a place");
        assert!(place.starts_with("charm.ts:7:") || ty == "Tree", "{ty}: {error}");
        assert!(message.contains(expected), "{ty}: {error}");
        // Of events, everything is taken.
        let event = source.replace("unknown, {", "{").replace("}>(() => {})", "}, unknown>(() => {})");
        module("charm.ts", &event);
    }
}

#[test]
fn files_that_declare_secrets_as_aliases_for_the_compiler_mean_them() {
    let declarations = "type CFC<T, C extends string> = T; type Secret<T> = CFC<T, 'secret'>;";
    let secret: serde_json::Value =
        serde_json::from_str(r#"{"type":"string","ifc":{"classification":["secret"]}}"#).expect("JSON");
    assert_eq!(schema(declarations, "Secret<string>"), secret);
    assert_eq!(schema("type Secret<T> = T;", "Secret<string>"), secret);
}

#[test]
fn every_label_that_is_not_public_makes_a_secret_and_no_way_around_a_type_loses_it() {
    let attempt = bg_abuse::Attempt::begin("secrets", "types that mark them, in every written form");
    let declarations = "
        declare const LABEL: unique symbol;
        type Cfc<T, Meta> = T & { readonly __ct_cfc__?: Meta };
        type Hidden<T> = Confidential<T, readonly ['x']>;
        type Either = 'public' | 'x';
        type Meta = { confidentiality: readonly [{ type: 'https://example.com/atom' }] };
        interface Vault extends Secret<Box> { more: string }
        interface Box { pin: string; list: string[] }
        type Secret<T> = T;";
    for ty in [
        "Secret<string>",
        "Confidential<string>",
        "Confidential<string, readonly [typeof LABEL]>",
        "Confidential<string, []>",
        "CFC<string>",
        "CFC<string, 'topsecret'>",
        "CFC<string, Either>",
        "CFC<string, 'medical'>",
        "Cfc<string, { confidentiality: readonly ['secret'] }>",
        "Cfc<string, { confidentiality: readonly ['public', 'x'] }>",
        "Cfc<string, Meta>",
        "Cfc<string, unknown>",
        "Hidden<string>",
        "Integrity<Secret<string>, ['x']>",
        "Secret<Box>['pin']",
        "Secret<Box>['list'][number]",
        "Secret<string[]>[number]",
        "Vault",
        "Vault['pin']",
        "Secret<string> | Default<''>",
        "Default<Hidden<string>, ''>",
        "Partial<Secret<Box>>",
        "Pick<Secret<Box>, 'pin'>",
        "Secret<Box> & { a: string }",
    ] {
        let schema = schema(declarations, ty);
        assert_eq!(schema["ifc"], serde_json::json!({"classification": ["secret"]}), "{ty}: {schema}");
    }
    attempt.ended("no mark is lost");
}

#[test]
fn a_mark_that_another_file_exports_by_another_name_is_one() {
    let files = BTreeMap::from(
        [
            ("marks.ts", "export type Secret<T> = T;\ntype CFC<T, C> = T;\nexport type { CFC as Label };"),
            ("index.ts", "export { type Secret as Hidden, type Label } from './marks';"),
        ]
        .map(|(name, source)| (name.to_owned(), source.to_owned())),
    );
    let source = "import { pattern } from 'commontools';
import type { Hidden as H, Label as L } from './index';
export default pattern<{ a: H<string>; b: { c: L<string, 'x'> }; d: L<string, 'public'> }>(({ a, b, d }) => ({ a, b, d }));";
    let made = transpile_files(&Sources { file_name: "main.tsx", source, files: &files }).expect("a charm");
    assert_eq!(made.module.matches("\"classification\": [\"secret\"]").count(), 2, "{}", made.module);
}

#[test]
fn a_schema_that_is_a_constant_is_named() {
    let source = "import { cell, pattern, type Schema } from 'commontools';
const Item = { type: 'object', properties: {} } as const;
type Item = Schema<typeof Item>;
export default pattern(() => ({ items: cell<Item[]>([]) }));";
    let code: String = code("charm.ts", source).split_whitespace().collect();
    assert!(code.contains("cell([],{\"items\":{...Item},\"type\":\"array\"})"), "{code}");
}

#[test]
fn names_that_nobody_declares_are_refused_where_they_stand() {
    for (name, expected) in [
        ("document.title", "charms run on the server, where there is no page"),
        ("localStorage.x", "in cells"),
        ("process.env", "nothing of the machine"),
        ("new WebSocket('x')", "use fetch()"),
        ("WebAssembly.compile()", "one thread of JavaScript"),
        ("Buffer.from('x')", "use Uint8Array"),
        ("new FormData()", "texts, URLSearchParams, bytes or Blobs"),
        ("teleport()", "neither declared in this file nor imported"),
    ] {
        let source =
            format!("import {{ pattern }} from 'commontools';\nexport default pattern(() => ({{ a: () => {name} }}));");
        let error = error("charm.ts", &source);
        assert!(error.starts_with("charm.ts:2:") && error.contains(expected), "{name}: {error}");
    }
    let guarded = "import { pattern } from 'commontools';\nexport default pattern(() => ({ a: typeof window }));";
    module("charm.ts", guarded);
}

#[test]
fn files_import_one_another_with_their_types() {
    let files = BTreeMap::from(
        [
            (
                "lib/types.ts",
                "export interface Auth { token: Secret<string> }\nimport type { Secret } from 'commontools';",
            ),
            ("lib/index.ts", "export type { Auth as Login } from './types';\nexport * from './client.js';"),
            ("lib/client.ts", "export const fetchMail = (token: string) => token;\nexport default 1;"),
        ]
        .map(|(name, source)| (name.to_owned(), source.to_owned())),
    );
    let source = "import { Cell, handler, pattern } from 'commonfabric';
import { fetchMail, type Login } from './lib';
import one from './lib/client';
const f = handler<unknown, { auth: Cell<Login> }>((_, { auth }) => { fetchMail(auth.get().token + one); });
export default pattern<{ auth: Login }>(({ auth }) => ({ f: f({ auth }) }));";
    let made = transpile_files(&Sources { file_name: "main.tsx", source, files: &files }).expect("a charm");
    assert_eq!(made.module.matches("\"classification\": [\"secret\"]").count(), 2, "{}", made.module);
    for import in ["from \"commontools\"", "from \"lib/index.ts\"", "from \"lib/client.ts\""] {
        assert!(made.module.contains(import), "{import}: {}", made.module);
    }
    assert!(made.files["lib/index.ts"].contains("from \"lib/client.ts\""), "{}", made.files["lib/index.ts"]);
    assert_eq!(made.files.len(), 3);

    let gone = source.replace("import { fetchMail,", "import { gone,").replace("fetchMail(", "gone(");
    let error = transpile_files(&Sources { file_name: "main.tsx", source: &gone, files: &files }).expect_err("gone");
    assert_eq!(error.to_string(), "main.tsx:2:10: lib/index.ts exports no \"gone\"");

    let mut broken = files;
    broken.insert("lib/client.ts".into(), "import x from 'left-pad';\nexport const fetchMail = x;".into());
    let error = transpile_files(&Sources { file_name: "main.tsx", source, files: &broken }).expect_err("a package");
    assert!(error.to_string().starts_with("lib/client.ts:1:1: the package \"left-pad\""), "{error}");
}

#[test]
fn computed_cells_and_pages_are_handed_the_values_of_what_they_use() {
    let source = "import { computed, handler, pattern, UI } from 'commontools';
const remove = handler<unknown, {}>(() => {});
const format = (date: string) => date;
export default pattern<{ count: number; mails: { date: string }[] }>(({ count, mails }) => {
  const twice = computed(() => count * 2 + mails.get().length);
  const limit = 3;
  return {
    twice,
    [UI]: <ul title={count > limit ? 'many' : 'few'} onClick={remove({ count })}>
      {count}{mails.map((mail) => <li>{format(mail.date)}{mail.key}</li>)}{limit}
    </ul>,
  };
});";
    let (polled, paged) = both("charm.tsx", source);
    assert!(polled.contains("[UI]:void0") && !polled.contains("__value("), "{polled}");
    let code = paged;
    for expected in [
        "computed([{count},{mails}],({count,mails})=>count*2+",
        "title:__value([{count,limit},{}],({count,limit})=>count>limit?\"many\":\"few\")",
        "onClick:remove({count})",
        "__value([{mail},{}],({mail})=>format((mail??__none(\"reading\",\"date\",\"mail\",mail)).date))",
        "__value([{mail},{}],({mail})=>(mail??__none(\"reading\",\"key\",\"mail\",mail)).key)",
        "[UI]:__page(()=>",
    ] {
        assert!(code.contains(expected), "{expected}\n{code}");
    }
    assert_eq!(code.matches("__value(").count(), 3, "{code}");
}

#[test]
fn a_charm_without_its_pages_has_everything_else_where_it_was() {
    let source = "import { handler, pattern, UI } from 'commontools';
const run = handler(() => {});
export default pattern(() => ({ [UI]: <ul title={\"ü😀\"}>
  <li>{[1].map((n) => n)}</li> {(() => { const inner = pattern(() => ({ [UI]: <b>deep</b> })); return inner; })()}
</ul>, short: 1, [UI + \"\"]: <p/>, bgUpdater: run({}) }));";
    let module = module("charm.tsx", source);
    assert!(!module.contains("\"ul\"") && !module.contains("deep") && module.contains("\"p\""), "{module}");
    let (code, map) = module.split_once("//# sourceMappingURL=data:application/json;base64,").expect("a map");
    let map: serde_json::Value =
        serde_json::from_slice(&BASE64.decode(map.trim().as_bytes()).expect("base64")).expect("JSON");
    let mappings = decode(map["mappings"].as_str().expect("a text"));
    for needle in ["short: 1", "bgUpdater: run"] {
        let emitted = place(code, code.find(needle).expect(needle));
        let (_, original) = mappings
            .iter()
            .filter(|(at, _)| at.line == emitted.line && at.column <= emitted.column)
            .max_by_key(|(at, _)| at.column)
            .expect(needle);
        assert_eq!(*original, place(source, source.find(needle).expect(needle)), "{needle}");
    }
}

#[test]
fn a_name_that_is_exported_as_default_will_do() {
    let code = code(
        "charm.js",
        "import { pattern } from 'commontools';\nconst p = pattern(() => ({}));\nexport { p as default };",
    );
    assert!(code.contains("as default"), "{code}");
}

#[test]
fn the_source_map_tells_the_authors_places() {
    let source = "import { handler, pattern } from 'commontools';\ninterface S { a: number }\n\nconst f = handler<S, S>((e, s) => { Number(s); });\nexport default pattern<S>((i) => ({ f: f({}), ui: <b>{i}</b> }));\n";
    let module = module("charm.tsx", source);
    let (code, map) = module.split_once("//# sourceMappingURL=data:application/json;base64,").expect("a map");
    let map = BASE64.decode(map.trim().as_bytes()).expect("base64");
    let map: serde_json::Value = serde_json::from_slice(&map).expect("JSON");
    assert_eq!(map["sources"], serde_json::json!(["charm.tsx"]));
    let mappings = decode(map["mappings"].as_str().expect("a text"));
    for needle in ["Number(s)", "(e, s)", "f({})", "export default"] {
        let emitted = place(code, code.find(needle).expect(needle));
        let (_, original) = mappings
            .iter()
            .filter(|(at, _)| at.line == emitted.line && at.column <= emitted.column)
            .max_by_key(|(at, _)| at.column)
            .expect(needle);
        assert_eq!(*original, place(source, source.find(needle).expect(needle)), "{needle}");
    }
}

fn decode(mappings: &str) -> Vec<(Place, Place)> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut decoded = Vec::new();
    let mut original = [0i64; 3];
    for (line, pieces) in mappings.split(';').enumerate() {
        let mut column = 0i64;
        for piece in pieces.split(',').filter(|piece| !piece.is_empty()) {
            let mut values = Vec::new();
            let (mut value, mut shift) = (0i64, 0);
            for char in piece.chars() {
                let digit = i64::try_from(DIGITS.find(char).expect("a digit")).expect("small");
                value |= (digit & 31) << shift;
                shift += 5;
                if digit & 32 == 0 {
                    values.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
                    (value, shift) = (0, 0);
                }
            }
            column += values[0];
            for (total, value) in original.iter_mut().zip(&values[1..]) {
                *total += value;
            }
            let number = |value: i64| u32::try_from(value).expect("not negative");
            decoded.push((
                Place { line: u32::try_from(line).expect("few"), column: number(column) },
                Place { line: number(original[1]), column: number(original[2]) },
            ));
        }
    }
    decoded
}

/// What nests, by what it may follow.
const NESTS: [(&str, &[(&str, &str)]); 3] = [
    (
        "x = ",
        &[
            ("(", ""),
            ("(", ")"),
            ("[", "]"),
            ("!", ""),
            ("- ", ""),
            ("a=>", ""),
            ("a?", ""),
            ("a?b:", ""),
            ("`${", "}`"),
            ("<a>", "</a>"),
            ("<a>{", "}</a>"),
            ("a+", ""),
            ("a.", ""),
            ("a(", ")"),
            ("new ", ""),
            ("a=", ""),
            ("a**", ""),
            ("await ", ""),
            ("typeof ", ""),
            ("function f(){", "}"),
            ("class A{b=", "}"),
            ("{a:", "}"),
            ("[...", "]"),
            ("async()=>", ""),
            ("()=>{", "}"),
            ("a??", ""),
            ("a?.", ""),
            ("", "``"),
            ("class extends ", ""),
            ("(a=", ")=>1"),
            ("(a:", ")=>b"),
            ("<T>(", ")"),
            ("", " as b"),
            ("", "!"),
        ],
    ),
    (
        "",
        &[
            ("{", "}"),
            ("if(1)", ""),
            ("if(1){}else ", ""),
            ("a:", ""),
            ("for(;;)", ""),
            ("do ", ""),
            ("try{", "}finally{}"),
        ],
    ),
    (
        "type A = ",
        &[
            ("{a:", "}"),
            ("A<", ">"),
            ("keyof ", ""),
            ("(a:", ")=>b"),
            ("[", "]"),
            ("", "[]"),
            ("", "|a"),
            ("a extends b?", ":c"),
            ("(", ")"),
        ],
    ),
];

/// Each is the longest source there may be, nested as deep as its syntax can.
#[test]
fn the_deepest_sources_are_refused_and_end_no_process() {
    for (before, nests) in NESTS {
        for (open, close) in nests {
            let levels = (MAX_SOURCE - before.len() - 1) / (open.len() + close.len());
            let source = format!("{before}{}1{}", open.repeat(levels), close.repeat(levels));
            let file = if close.ends_with("</a>") { "charm.tsx" } else { "charm.ts" };
            assert!(transpile(file, &source).is_err(), "{before}{open}{close}");
        }
    }
}

#[test]
fn a_source_full_of_angle_brackets_is_refused_before_the_parser_tries_them_all() {
    let message = error("charm.ts", &format!("x = {}1", "a<".repeat(MAX_ANGLES + 1)));
    let refused = format!("more than {MAX_ANGLES} `<`");
    assert!(message.contains(&refused), "{message}");
    assert!(!error("charm.ts", &format!("x = {}1", "a<".repeat(1_000))).contains(&refused));
}

#[test]
fn an_oversized_source_is_refused_by_its_size() {
    assert!(error("charm.ts", &" ".repeat(MAX_SOURCE + 1)).contains("a charm's file may have 524288"));
    let file = |number: usize| (format!("file{number}.ts"), " ".repeat(MAX_SOURCE));
    let files = (0..MAX_SOURCES / MAX_SOURCE).map(file).collect();
    let all = transpile_files(&Sources { file_name: "charm.ts", source: "1", files: &files }).unwrap_err();
    assert!(all.to_string().contains("the charm's files have 4194305 bytes; they may have 4194304"), "{all}");
}

#[test]
fn all_that_is_wrong_is_found_at_once_in_all_files() {
    let files = BTreeMap::from([
        (
            "a.ts".to_owned(),
            "import { nobody, type Some } from 'commontools';\nexport const a = nobody(1), b = window;".to_owned(),
        ),
        (
            "b.ts".to_owned(),
            "import { unused } from 'commontools';\nimport x from 'elsewhere';\nexport const c = x;".to_owned(),
        ),
    ]);
    let first = "import { a } from './a';\nimport { c } from './b';\nimport { neither } from 'commontools';\nexport default neither(a, c);";
    let message =
        transpile_files(&Sources { file_name: "charm.ts", source: first, files: &files }).unwrap_err().to_string();
    for part in [
        "charm.ts:3:10: \"commontools\" has no \"neither\"",
        "a.ts:1:10: \"commontools\" has no \"nobody\"",
        "a.ts:2:",
        "b.ts:2:",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("unused") && !message.contains("Some"), "{message}");
    // What cannot be read is named in each file as well.
    let files = BTreeMap::from([("a.ts".to_owned(), "export const a = (;".to_owned())]);
    let message = transpile_files(&Sources { file_name: "charm.ts", source: "let = 1 +;", files: &files })
        .unwrap_err()
        .to_string();
    assert!(message.contains("charm.ts:1:") && message.contains("a.ts:1:"), "{message}");
}

#[test]
fn what_gets_events_stays_a_cell_unless_its_values_are_used_as_well() {
    for (body, expected) in [
        ("list.add.send(1)", "[{}, { list }]"),
        ("{ if (list.items.length > 1) list.add.send(1); }", "[{ list }, {}]"),
        ("{ list.add.send(list.items.length); list.set(1); }", "[{}, { list }]"),
        ("list.send(1)", "[{}, { list }]"),
    ] {
        let source = format!(
            "import {{ action, pattern }} from 'commontools';\nexport default pattern(() => {{ const list = {{}} as any; return {{ a: action(() => {body}) }}; }});"
        );
        let module = transpile("charm.ts", &source).unwrap().module.replace(['\n', ' '], "");
        assert!(module.contains(&expected.replace(' ', "")), "{body}: {module}");
    }
}

#[test]
fn the_guide_names_the_limits_of_sources() {
    let guide = include_str!("../../../docs/charms.md");
    let (file, all) = (MAX_SOURCE / 1024, MAX_SOURCES / 1024 / 1024);
    let limits = format!("A charm may have {MAX_FILES} files of {file} KiB, {all} MiB in all");
    assert!(guide.contains(&limits), "docs/charms.md does not say: {limits}");
}

proptest! {
    #[test]
    fn no_text_ends_in_a_panic(text in ".{0,200}", file in prop::sample::select(vec!["a.ts", "a.tsx", "a.js"])) {
        let _ = transpile(file, &text);
        let _ = transpile(file, &format!("import {{ pattern }} from 'commontools';\nexport default pattern<{{ a: {text} }}>(() => 1);"));
    }
}

/// The warnings about a handler with that body, and cells of these types.
fn warnings(body: &str) -> Vec<String> {
    let source = format!(
        "import {{ Cell, Default, handler, pattern, Secret }} from \"commontools\";\n\
         interface Reading {{ at: string; value?: number; tags: string[]; kind: \"a\" | \"b\"; by?: Cell<string> }}\n\
         enum Level {{ Low, High = \"high\" }}\n\
         interface State {{ list: Cell<number[]>; n: Cell<number>; name: Cell<string | null>; readings: Cell<Reading[]>; open: Cell<unknown>;\n\
           one: Cell<Default<Reading, {{ at: \"\"; tags: []; kind: \"a\" }}>>; stats: Cell<Record<string, number>>; pair: Cell<[string, number]>;\n\
           key: Cell<Secret<string>>; level: Cell<Level>; given: string[]; either: Cell<string[] | {{ count: number }}>; is: Cell<boolean> }}\n\
         const poll = handler<{{ by: number }}, State>(async (event, {{ list, n, name, readings, open, one, stats, pair, key, level, given, either, is }}) => {{\n\
         {body}\n}});\n\
         export default pattern<{{ list: number[] }}>(({{ list }}) => ({{ list, bgUpdater: poll({{ list }}) }}));"
    );
    let found = transpile("charm.ts", &source).unwrap_or_else(|error| panic!("{body}: {error}"));
    found.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn writes_that_contradict_the_type_of_a_cell_are_named_where_they_are() {
    for (body, place, stores) in [
        (
            "list.set(list.get().push(1));",
            10,
            "a number (what `push` returns) in `list`, which is declared as `number[]`",
        ),
        ("list.set((list.get() as number[]).unshift(1));", 10, "a number (what `unshift` returns) in `list`"),
        ("list.send(list.get().indexOf(1));", 11, "a number (what `indexOf` returns) in `list`"),
        ("list.set(list.get().length);", 10, "a number (what `length` returns) in `list`"),
        ("n.set(list.get().splice(0, 1));", 7, "an array in `n`, which is declared as `number`"),
        ("const all = list.get();\nlist.set(all.push(1));", 10, "a number (what `push` returns)"),
        ("const count = list.get().push(1);\nlist.set(count);", 10, "a number (what `push` returns)"),
        ("list.update((all) => all.push(1));", 22, "a number (what `push` returns) in `list`"),
        ("list.update((all) => { if (all) return all; return all.push(1); });", 52, "a number"),
        ("list.update(function (all) { return all.length; });", 37, "a number"),
        ("list.push(\"four\");", 11, "a string in `list[…]`, which is declared as `number`"),
        ("list.set([1, \"two\"]);", 14, "a string in `list[1]`, which is declared as `number`"),
        ("list.set(1);", 10, "a number in `list`"),
        ("list.set(null);", 10, "null in `list`"),
        ("n.set(\"1\");", 7, "a string in `n`"),
        ("n.set(`${event.by}`);", 7, "a string in `n`"),
        ("n.set(event.by + \"\");", 7, "a string in `n`"),
        ("n.set(event.by > 1);", 7, "a boolean in `n`"),
        ("n.set(given.length > 0 ? 1 : null);", 30, "null in `n`"),
        ("n.set(String(n.get()));", 7, "a string in `n`"),
        ("n.set(new Date().toISOString());", 7, "a string in `n`"),
        ("n.set(given.join());", 7, "a string in `n`"),
        ("n.set(given);", 7, "an array in `n`"),
        ("n.set({});", 7, "an object in `n`"),
        ("n.push(1);", 1, "`push` is for cells of arrays, and `n` is declared as `number`"),
        ("name.set(event.by);", 10, "a number in `name`, which is declared as `string | null`"),
        (
            "readings.push({ at: Date.now(), tags: [], kind: \"a\" });",
            21,
            "a number in `readings[…].at`, which is declared as `string`",
        ),
        ("readings.push({ at: \"\", tags: [1], kind: \"a\" });", 32, "a number in `readings[…].tags[0]`"),
        (
            "readings.set([{ at: \"\", tags: [], kind: \"c\" }]);",
            41,
            "another string in `readings[0].kind`, which is declared as `\"a\" | \"b\"`",
        ),
        (
            "readings.key(0).key(\"at\").set(5);",
            31,
            "a number in `readings.key(0).key(\"at\")`, which is declared as `string`",
        ),
        ("for (let i = 0; i < 2; i++) readings.key(i as number).key(\"value\").set(\"5\");", 72, "a string in"),
        ("readings.get().forEach((_, i: number) => readings.key(i).key(\"tags\").set(\"\"));", 74, "a string in"),
        ("one.key(\"tags\").push(5);", 22, "a number in `one.key(\"tags\")[…]`"),
        ("one.at.set(5);", 12, "a number in `one.at`"),
        ("one.update({ value: null });", 21, "null in `one.value`, which is declared as `number`"),
        ("one.set({ ...one.get(), at: 1 });", 29, "a number in `one.at`"),
        ("stats.key(\"a\").set(\"b\");", 20, "a string in"),
        ("stats.set({ a: 1, b: [] });", 22, "an array in `stats.b`, which is declared as `number`"),
        ("pair.set([1, 2]);", 11, "a number in `pair[0]`, which is declared as `string`"),
        ("key.set(5);", 9, "a number in `key`"),
        ("level.set([]);", 11, "an array in `level`, which is declared as `number | string`"),
        ("either.set({ count: \"5\" });", 21, "a string in `either.count`, which is declared as `number`"),
        ("either.set(true);", 12, "a boolean in `either`, which is declared as `string[] | { count: number }`"),
        ("is.set(list.get().indexOf(1));", 8, "a number"),
        ("const made = Cell.of<number[]>(5);", 32, "a number in"),
        ("const made = new Cell<string>(\"\");\nmade.set(1);", 10, "a number in `made`"),
        ("const add = (cell: Cell<string[]>) => cell.set(cell.get().push(\"\"));", 48, "a number"),
        ("list.set(list.get()?.push(1));", 10, "a number"),
        ("list.set(list.get()!.push(1));", 10, "a number"),
        ("n.set((0, \"x\"));", 7, "a string"),
    ] {
        let found = warnings(body);
        let line = 7 + body.matches('\n').count() + 1;
        assert!(
            found.len() == 1
                && found[0].starts_with(&format!("charm.ts:{line}:{place}: "))
                && found[0].contains(stores),
            "{body}: {found:#?}"
        );
    }
}

#[test]
fn writes_that_may_be_right_are_not_warned_about() {
    for body in [
        "n.set(list.get().push(1)); n.set(list.get().length); n.set(n.get() + 1); n.set(Number(name.get()));",
        "list.set([...list.get(), 1]); list.set(list.get().filter(Boolean)); list.set(list.get().splice(0, 1)); list.set([]);",
        "list.update((all) => { all.push(1); return all; }); list.update((all) => all.concat(1)); list.update(async (all) => all.push(1) as any);",
        "list.update((all) => { all.map(() => { return \"x\"; }); return all; });",
        "list.set(undefined); list.key(0).set(undefined); n.set(undefined as any); n.set(\"x\" as any); n.set(JSON.parse(\"1\"));",
        "let value: any = 1; value = []; list.set(value); let other = 5; other = given as any; list.set(other);",
        "const item = { at: null as any, tags: [] as string[], kind: \"a\" as const }; item.at = \"now\"; readings.push(item);",
        "const item = { at: null, tags: [], kind: \"a\" }; item.at = \"now\"; readings.push(item);",
        "readings.push({ at: 5, ...one.get() }); readings.push({ at: \"\", tags: [...given], kind: \"b\", value: undefined, by: name });",
        "readings.push({ at: \"\", tags: given.map(String), kind: given[0], more: 5 }); readings.set([{ ...one.get(), value: Math.max(1, 2) }]);",
        "open.set(5); open.set([]); open.key(\"a\").set(null); name.set(null); name.set(\"a\"); name.set(name.get() || null); name.set(given[0]);",
        "stats.set({}); stats.set({ a: 1, [name.get()]: 2 }); stats.key(given[0]).set(1); pair.set([\"a\", 1]); key.set(`${n.get()}`);",
        "level.set(Level.High); level.set(0); level.set(\"high\"); either.set([]); either.set({ count: 1 }); either.set({ any: 1 });",
        "const add = <T,>(cell: Cell<T>, value: T) => cell.set(value); add(list, 5 as any); is.set(!n.get()); is.set(n.get() === 1);",
        "const { n: renamed } = { n: name }; renamed.set(\"x\"); const n2 = n; { const n = name; n.set(\"x\"); } n2.set(2);",
        "const list2 = { set(_: unknown) {} }; list2.set(5); new Map<string, number>().set(\"a\", 1); const s = new Set(); s.add(5);",
        "n.set(await Promise.resolve(5)); n.set(event.by ?? 0); n.set(-1); n.set(+name.get()); n.set(given.findIndex(() => true));",
        "const String = (x: unknown) => 5; n.set(String(1)); is.set(Array.isArray(given)); name.set(given.at(0)); name.set(given.pop());",
        "one.set({ at: \"\", tags: [], kind: \"a\", toJSON() { return 1; } }); one.update({ value: 5 }); one.key(\"by\").set(name); one.by.set(\"x\");",
    ] {
        assert_eq!(warnings(body), [] as [&str; 0], "{body}");
    }
}

#[test]
fn names_that_stand_for_one_of_several_values_take_no_more_memory_with_each_line() {
    let doubled = |first: &str, line: &dyn Fn(usize) -> String| {
        let lines: String = (1..=64).map(line).collect();
        warnings(&format!("const a0 = {first}; {lines} n.set(a64);"))
    };
    let is_not_a_number = |found: &[String], written: &str| {
        let expected = format!("this stores {written} in `n`, which is declared as `number`");
        assert!(matches!(found, [one] if one.contains(&expected)), "{found:#?}");
    };
    let same = |n: usize| format!("const a{n} = event ? a{0} : a{0};", n - 1);
    is_not_a_number(&doubled("'x'", &same), "a string");
    is_not_a_number(&doubled("event ? 'x' : 5", &same), "a string");
    is_not_a_number(&doubled("['x']", &|n| format!("const a{n} = a{0} || (a{0} && a{0});", n - 1)), "an array");
    // More than are kept, in one line and in several.
    let several = repeated(16, |n| format!("event ? '{n}' : "));
    assert_eq!(warnings(&format!("n.set({several} 5);")), [] as [&str; 0]);
    is_not_a_number(&doubled("'x'", &|n| format!("const a{n} = event ? a{0} : '{n}';", n - 1)), "a string");
    // Arrays in arrays, by names and without.
    is_not_a_number(&doubled("'x'", &|n| format!("const a{n} = [a{0}, a{0}];", n - 1)), "an array");
    let deep = format!("n.set({}'x'{});", "[".repeat(24), "]".repeat(24));
    is_not_a_number(&warnings(&deep), "an array");
}

/// The charms in a folder, and in what is written about charms there.
fn charms_in(folder: &std::path::Path) -> Vec<(std::path::PathBuf, String, String)> {
    let (mut open, mut charms) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let (Some(name), Ok(text)) = (path.file_name().and_then(|name| name.to_str()), std::fs::read_to_string(&path))
        else {
            continue;
        };
        let is_text = path.extension().is_some_and(|end| end == "md");
        let examples = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        let sources: Vec<_> = if is_text { examples.map(|(_, code)| code).collect() } else { vec![text.as_str()] };
        for source in sources {
            if source.contains("export default pattern") || source.contains("export default recipe") {
                let name = if is_text { "example.tsx" } else { name };
                charms.push((path.clone(), name.to_owned(), source.to_owned()));
            }
        }
    }
    charms
}

/// The warnings about a charm there, if it can be deployed.
fn warnings_of(path: &std::path::Path, file_name: &str, source: &str) -> Option<Vec<Finding>> {
    let read = |import: Import<'_>| Ok::<_, ()>(std::fs::read_to_string(path.with_file_name(import.path)).ok());
    let files = gather(file_name, source, read).unwrap();
    transpile_files(&Sources { file_name, source, files: &files }).ok().map(|found| found.warnings)
}

#[test]
fn no_charm_of_the_repository_is_warned_about() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut looked_at = 0;
    for folder in ["tests/fixtures", "tests/demo", "tests/bench", "host/cli/templates", "integrations", "docs"] {
        for (path, name, source) in charms_in(&root.join(folder)) {
            if let Some(warnings) = warnings_of(&path, &name, &source) {
                assert_eq!(warnings, [], "{}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 15, "{looked_at}");
}

/// For charms of others, in the folder that `BG_CHARMS` names.
#[test]
#[ignore = "prints what to look at"]
fn warnings_about_other_charms() {
    let Some(folder) = std::env::var_os("BG_CHARMS") else { return };
    let (mut looked_at, mut count) = (0, 0);
    for (path, name, source) in charms_in(folder.as_ref()) {
        let Some(warnings) = warnings_of(&path, &name, &source) else { continue };
        looked_at += 1;
        for warning in warnings {
            count += 1;
            println!("{}: {warning}", path.display());
        }
    }
    println!("{count} warnings about {looked_at} charms");
}

#[test]
fn what_may_be_missing_is_named_and_nothing_else_changes() {
    let source = "import { pattern } from 'commontools';
const o = { a: () => [1] }, k = 'x'
function f(x) { return x.y }
const { p } = o.a()
for (const x of o.list) o?.b.c(x)
o.a().push(...o.list); o.b[k] = 1
new f().x; JSON.parse('1').a; [1].map(f); ({ ...o })
export default pattern(() => ({}));";
    let code: String = code("charm.js", source).split_whitespace().collect();
    for expected in [
        "(x??__none(\"reading\",\"y\",\"x\",x)).y",
        "const{p}=(__nil=(o??__none(\"reading\",\"a\",\"o\",o)).a())??__none(\"destructure\",\"p\",\"o.a()\",__nil);",
        "forofx",
        "(__nil=o)==null?void0:(__nil.b??__none(\"reading\",\"c\",\"o?.b\",__nil.b)).c(x);",
        "(...__items(\"o.list\",",
        "((o??__none(\"reading\",\"b\",\"o\",o)).b??__none(\"setting\",k,\"o.b\",o.b))[k]=1",
        "newf().x;",
        "[1].map(f);",
        "({...o});",
    ] {
        let expected = expected.replace("forofx", "for(constxof__items(\"o.list\",");
        assert!(code.contains(&expected), "{expected}\n{code}");
    }
}

#[test]
fn functions_that_wait_say_when_they_end() {
    let source = "import { pattern } from 'commontools';
const a = async () => await 1;
async function b() { try { await a(); } catch { a(); } finally { a(); } }
async function c() { return () => 1; }
export default pattern(() => ({}));";
    let code: String = code("charm.js", source).split_whitespace().collect();
    for expected in [
        "consta=async()=>{var__waited;try{return__waited=await1;}finally{__end();}};",
        "asyncfunctionb(){var__waited;try{try{__waited=awaita();}catch{a();}finally{a();}}finally{__end();}}",
        "asyncfunctionc(){return()=>1;}",
    ] {
        assert!(code.contains(expected), "{expected}\n{code}");
    }
}

#[test]
fn functions_that_functions_declare_which_wait_may_share_their_names() {
    let source = "import { pattern } from 'commontools';
async function a() { g(); await 1; function g() {} async function g() { await 2 } var g; }
export default pattern(() => ({}));";
    let code: String = code("charm.js", source).split_whitespace().collect();
    let expected = "asyncfunctiona(){var__waited;try{varg=function(){};varg=asyncfunction(){var__waited;try{__waited=await2;}\
                    finally{__end();}};g();__waited=await1;varg;}finally{__end();}}";
    assert!(code.contains(expected), "{code}");
}

#[test]
fn what_is_assigned_is_evaluated_before_its_object_is_looked_at() {
    let source = "import { pattern } from 'commontools';
export function f(a, o, k) {
  a.b = f();
  a[k] = f();
  a[f()] = f();
  o.a.b = f();
  o.a[f()] = f();
  a.b = 1;
  [a.b, ...a[k]] = f();
  ({ x: a.b = f() } = f());
  a.b += f();
  f().b = f();
  this.b = f();
  let c = {}; c.next = c = f();
}
export default pattern(() => ({}));";
    let code: String = code("charm.js", source).split_whitespace().collect();
    for expected in [
        "a.b=(__nil=f(),a??__none(\"setting\",\"b\",\"a\",a),__nil);",
        "a[k]=(__nil=f(),a??__none(\"setting\",k,\"a\",a),__nil);",
        "a[f()]=(__nil=f(),a??__none(\"setting\",\"[f()]\",\"a\",a),__nil);",
        "__put((o??__none(\"reading\",\"a\",\"o\",o)).a,\"b\",f(),\"o.a\");",
        "__put((o??__none(\"reading\",\"a\",\"o\",o)).a,f(),f(),\"o.a\");",
        "(a??__none(\"setting\",\"b\",\"a\",a)).b=1;",
        "[a.b,...a[k]]=__items(\"f()\",f());",
        "({x:a.b=f()}=",
        "(a??__none(\"reading\",\"b\",\"a\",a)).b+=f();",
        "__put(f(),\"b\",f(),\"f()\");",
        "this.b=f();",
        "__put(c,\"next\",c=f(),\"c\");",
    ] {
        assert!(code.contains(expected), "{expected}\n{code}");
    }
}

#[test]
fn a_parameter_that_its_function_declares_again_is_warned_of_where_defaults_are() {
    let warnings = |code: &str| {
        let source = format!("import {{ pattern }} from 'commontools';\n{code}\nexport default pattern(() => ({{}}));");
        let transpiled = transpile("charm.js", &source).unwrap_or_else(|error| panic!("{code}: {error}"));
        transpiled.warnings.into_iter().map(|one| (one.column, one.message)).collect::<Vec<_>>()
    };
    for (code, column) in [
        ("function f(a, b = 1) { var a; }", 28),
        ("async function f(a, b = () => a, [c] = [a]) { function a() {} function a() {} }", 56),
        ("function f({ [g]: a }) { if (a) { var a = 1; } } var g;", 39),
        ("const f = (a, b = 1) => { var a; };", 31),
    ] {
        let found = warnings(code);
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), [column], "{code}: {found:?}");
        assert!(found[0].1.contains("the parameter `a` is declared again"), "{found:?}");
    }
    for code in [
        "function f(a, b) { var a; function b() {} }",
        "function f(a, b = () => a, [c] = [a]) { function a() {} function a() {} }",
        "function f(a, b = () => { var a; }) { let c = a; { let a; } }",
        "function f(a, b = (a) => a) { var c; }",
    ] {
        assert_eq!(warnings(code), [], "{code}");
    }
}

/// What `part` makes of each number below `count`.
fn repeated(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().concat()
}

#[test]
fn what_a_file_does_with_types_beyond_a_budget_is_not_checked() {
    let parts = repeated(900, |n| format!("p{n}: {{ a: string; b: number[] }};"));
    let warnings = |reads: usize| {
        let reads = repeated(reads, |n| format!("const a{n} = t.big;"));
        let source = format!(
            "import {{ Cell, pattern }} from 'commontools';\ntype T = {{ big: {{ {parts} }}; count: number }};\n\
             export const f = (t: T, cell: Cell<T>) => {{ {reads} cell.set({{ big: t.big, count: 'one' }}); }};\n\
             export default pattern(() => ({{}}));"
        );
        transpile("charm.ts", &source).expect("a charm").warnings.len()
    };
    assert_eq!(warnings(10), 1);
    // Each read is a copy of most of the type.
    assert_eq!(warnings(2_000), 0);
}

#[test]
fn schemas_are_refused_only_where_the_modules_would_be_too_long() {
    const PARTS: usize = 8_500;
    let parts = repeated(PARTS, |n| format!("p{n}?: any;"));
    let source = |streams: usize| {
        let streams = repeated(streams, |n| format!("const h{n} = handler<T, T>(() => {{}});\n"));
        format!(
            "import {{ handler, pattern }} from 'commontools';\ntype T = {{ {parts} }};\n{streams}export default pattern(() => ({{}}));"
        )
    };
    // Some 425,000 schemas.
    let many = transpile("charm.ts", &source(25)).expect("a charm");
    assert!(many.module.len() < ANSWER_BYTES, "{}", many.module.len());
    assert_eq!(many.module.matches("p8499").count(), 2 * 25);
    let message = error("charm.ts", &source(200));
    assert_eq!(message.matches("unfold to too much; use smaller or fewer ones").count(), 1, "{message}");
}

/// Sources of which a part is repeated, with how the parts are put together: the repetitions of two runs differ by 8.
const GROWING: &[(&str, &str, &str, &str)] = &[
    (
        "reads of parts of a type",
        "type T = { big: {PARTS} };\nexport const f = (t: T) => {",
        "const a# = t.big; ",
        "};",
    ),
    ("reads of items", "type T = { big: {PARTS} }[];\nexport const f = (t: T) => {", "const a# = t[#]; ", "};"),
    ("reads of alternatives", "type T = {UNION};\nexport const f = (t: T) => {", "const a# = t.x; ", "};"),
    (
        "writes",
        "type T = { big: {PARTS} };\nexport const f = (c: Cell<T>, t: T) => {",
        "c.set(t); c.update({ big: t.big });",
        "};",
    ),
    ("literals", "type T = {UNION};\nexport const f = (c: Cell<T[]>) => {c.set([", "{ x: 1 },", "]);};"),
    ("warnings", "type T = {UNION};\nexport const f = (c: Cell<T>) => {", "c.set(5);", "};"),
    ("streams of a large type", "type T = { big: {PARTS} };\n", "export const h# = handler<T, T>(() => {});", ""),
    ("computed cells", "export const p = pattern<{ a: number }>(({ a }) => ({", "x#: computed(() => a),", "}));"),
    (
        "pages",
        "export const p = pattern<{ a: number }>(({ a }) => ({[UI]: h('div', null, ",
        "<p>{a + 1}</p>,",
        ") }));",
    ),
    ("types", "", "type T# = string; ", ""),
    ("types of blocks", "{", "type T# = string; ", "}"),
    ("exports", "", "export const a# = 1; ", ""),
    ("imports", "import {", "a#,", "} from './other';"),
    ("imports that are not there", "import {", "a#,", "} from 'commontools';"),
    ("names that are not there", "export const f = () => {", "a#;", "};"),
    ("assignments", "export const f = (a: any) => {", "a.b.c = f(a); ", "};"),
    ("calls", "export const f = (a: any) => {", "a.b().c().d(); ", "};"),
    ("interfaces", "", "interface T { a#: string } ", "export const f = (c: Cell<T>) => c.set(1);"),
    ("extended", "interface T0 { a: string }\n", "interface T#1 extends T# { a#: string } ", ""),
    ("unions", "type T = ", "'a#' | ", "'b';\nexport const f = (c: Cell<T>) => c.set(1);"),
    ("recursive", "", "type T# = { a: T#1[]; b: T#[] }; ", "export const f = (c: Cell<T1>) => c.set(1);"),
];

#[test]
#[ignore = "prints times"]
fn how_long_sources_take() {
    for &(what, head, part, tail) in GROWING {
        for size in [8 * 1024, 60 * 1024] {
            let source = growing(head, part, tail, size);
            let other = BTreeMap::from([("other.ts".to_owned(), "export const a0 = 1;".to_owned())]);
            let began = std::time::Instant::now();
            let sources = Sources { file_name: "charm.tsx", source: &source, files: &other };
            let done = transpile_files(&sources);
            let module = done.as_ref().map_or(0, |done| done.module.len());
            let error = done.err().map(|error| error.0[0].message.clone()).unwrap_or_default();
            println!("{what}: {} bytes, {:?}, module of {module} bytes {error}", source.len(), began.elapsed());
        }
    }
}

fn growing(head: &str, part: &str, tail: &str, size: usize) -> String {
    let parts = repeated(1_000, |n| format!("p{n}: {{ a: string; b: number[] }};"));
    let union = repeated(1_000, |n| format!("| {{ x: 'v{n}' }}"));
    let head = head.replace("{PARTS}", &format!("{{{parts}}}")).replace("{UNION}", &union);
    let part = |n: usize| part.replace("#1", &(n + 1).to_string()).replace('#', &n.to_string());
    let parts: String = (0..)
        .scan(0, |length, n| {
            let part = part(n);
            *length += part.len();
            (*length < size).then_some(part)
        })
        .collect();
    format!(
        "import {{ Cell, UI, computed, h, handler, pattern }} from 'commontools';\n{head}{parts}{tail}\nexport default pattern(() => ({{}}));"
    )
}
