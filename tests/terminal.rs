//! How commands print texts of strangers: no text moves a terminal's cursor, reverses text, or is invisible.

use bg_abuse::Attempt;
use bg_test_support::{Finished, TestHost};
use serde_json::{Value, json};

use crate::common::{host, register};

/// One character of each kind, in JavaScript's notation: C0, DEL, C1, bidi, separators, invisible ones, tags, line
/// breaks.
const HOSTILE: &str = r"<\u001b[2J\u001b]0;x\u0007\u007f\u009b31m\u0085\u202e\u2066\u200f\u061c\u2028\u2029\u200b\ufeff\u00ad\u3164\u{e0041}\t\r\n>";

/// A charm with this text in its name, its page, its log, its cells, their keys, and its errors.
fn charm() -> String {
    format!(
        r#"import {{ Cell, Default, handler, NAME, pattern, UI }} from "commontools";
const bad = "{HOSTILE}";
const poll = handler<unknown, {{ value: Cell<any[]> }}>((_event, {{ value }}) => {{
  console.log("says", bad);
  console.error(bad);
  value.set([{{ [bad]: bad }}]);
}});
const fail = handler<unknown, {{ value: Cell<any[]> }}>(() => {{
  throw new Error(bad);
}});
export default pattern<{{ value: Default<any[], []> }}>(({{ value }}) => ({{
  [NAME]: bad, [UI]: <div title={{bad}}><h1>{{bad}}</h1><p>{{value}}</p></div>, value, [bad]: 1, bgUpdater: poll({{ value }}), fail: fail({{ value }}),
}}));
"#
    )
}

/// The actual characters, not JavaScript's notation, without line breaks, which cannot be in an argument of a command.
fn hostile() -> String {
    serde_json::from_str(&format!("\"{}\"", HOSTILE.replace(r"\u{e0041}", r"\udb40\udc41").replace(r"\t\r\n", "")))
        .unwrap()
}

/// Checks both outputs of a command, and returns them.
fn checked(printed: &Finished) -> String {
    for (name, text) in [("stdout", &printed.stdout), ("stderr", &printed.stderr)] {
        let found = text.chars().find(|&c| c != '\n' && bg_identity::is_hidden(c));
        assert_eq!(found, None, "{} prints it on its {name}: {text:?}", printed.command);
        // No line begins with foreign text.
        assert!(!text.lines().any(|line| line.starts_with('>')), "{}: {text:?}", printed.command);
    }
    format!("{}{}", printed.stdout, printed.stderr)
}

/// Runs a command, and checks its output, which contains the hostile text in one of its escaped forms.
fn shows(host: &TestHost, args: &[&str]) -> String {
    let printed = checked(&host.command(args).unwrap());
    assert!(printed.contains(r"\u{202e}") || printed.contains(r"\u202e"), "{args:?} does not show it: {printed}");
    printed
}

#[test]
fn no_command_prints_a_strangers_text_unescaped() {
    let attempt = Attempt::begin(
        "terminal",
        "names, values, keys, pages, logs, errors and file names of a charm, in every command",
    );
    let host = host();
    let name = format!("evil{}.tsx", hostile().replace(['/', '\0'], ""));
    let file = host.write(&name, charm()).unwrap().to_str().unwrap().to_owned();
    let deployed =
        checked(&host.command(["charm", "deploy", &file, "--space", "my-space"]).unwrap().success().unwrap());
    let id = deployed.lines().next().unwrap();
    let space = host.command(["space-did", "my-space"]).unwrap().stdout;
    let charm = format!("{}/{id}", space.trim());
    register(&host, &charm, "my-test");

    let mut tried = 0;
    let mut shows = |args: &[&str]| {
        tried += 1;
        shows(&host, args)
    };
    shows(&["charm", "trigger", &charm]);
    shows(&["charm", "trigger", &charm, "--stream", "fail"]);
    shows(&["charm", "trigger", &charm, "--stream", &hostile()]);
    shows(&["charm", "list", "--space", "my-space"]);
    shows(&["charm", "logs", &charm]);
    shows(&["charm", "logs", &charm, "--json"]);
    shows(&["charm", "show", &charm, "--ui"]);
    let cells: Value = serde_json::from_str(&shows(&["charm", "show", &charm])).unwrap();
    assert!(cells["name"].as_str().is_some_and(|name| name.contains('\u{9b}')), "JSON means what it meant: {cells}");
    shows(&["charm", "test", &file]);
    shows(&["charm", "test", &file, "--stream", "fail"]);
    shows(&["charm", "test", &file, "--json"]);
    shows(&["charm", "set", &charm, &format!("/value/{}", hostile()), "1"]);
    checked(&host.command(["charm", "set", &charm, "value", &json!([hostile()]).to_string()]).unwrap());
    shows(&["egress", "check", &format!("https://example.com/{}", hostile())]);
    shows(&["register", &hostile(), "--integration", "my-test"]);
    shows(&["inspect", &file]);
    shows(&["config", "check", &file]);
    let broken = host.write(&format!("broken{name}"), format!("import x from \"{HOSTILE}\";")).unwrap();
    shows(&["charm", "deploy", broken.to_str().unwrap(), "--space", "my-space"]);
    let far = host.write(&format!("far{name}"), format!("import x from \"../{HOSTILE}\";\nexport default x;")).unwrap();
    shows(&["charm", "deploy", far.to_str().unwrap(), "--space", "my-space"]);

    let source = format!(
        "import {{ pattern }} from \"commontools\";\nconsole.log(\"{HOSTILE}\");\nthrow new Error(\"{HOSTILE}\");\nexport default pattern(() => ({{}}));"
    );
    let throws = host.write("throws.ts", source).unwrap();
    shows(&["charm", "deploy", throws.to_str().unwrap(), "--space", "my-space"]);

    // Its polls fail from now on, as the log and the registration's record show.
    let failing = host.write("failing.tsx", charm_that_fails()).unwrap();
    let deployed = host.command(["charm", "deploy", failing.to_str().unwrap(), "--space", "my-space"]).unwrap();
    let failing = format!("{}/{}", space.trim(), deployed.success().unwrap().stdout.trim());
    register(&host, &failing, "my-test");
    shows(&["run", "--once"]);
    shows(&["run", "--once", "--integration", "my-test", "--log-format", "json"]);
    shows(&["runs", &failing]);
    shows(&["runs", &failing, "--json"]);
    shows(&["show", &failing]);
    shows(&["show", &failing, "--json"]);
    shows(&["list"]);
    shows(&["list", "--wide"]);
    shows(&["list", "--json"]);
    shows(&["status"]);
    shows(&["status", "--json"]);
    checked(&host.command(["doctor"]).unwrap());
    attempt.ended(format!("escaped, by {tried} commands"));
}

fn charm_that_fails() -> String {
    format!(
        r#"import {{ handler, pattern }} from "commontools";
const poll = handler<unknown, {{}}>(() => {{ console.warn("{HOSTILE}"); throw new Error("{HOSTILE}"); }});
export default pattern<{{}}>(() => ({{ bgUpdater: poll({{}}) }}));
"#
    )
}

#[test]
fn a_charm_consists_only_of_files_in_its_folder() {
    let attempt = Attempt::begin("imports", "charm deploy and charm test, by .. and by symbolic links");
    let host = host();
    let main = |name: &str, import: &str| {
        let source = format!(
            "import {{ x }} from \"{import}\";\nimport {{ pattern }} from \"commontools\";\nexport default pattern(() => ({{ x }}));"
        );
        host.write(&format!("charm/{name}"), source).unwrap().to_str().unwrap().to_owned()
    };
    std::fs::create_dir_all(host.dir().join("charm/lib")).unwrap();
    std::fs::create_dir(host.dir().join("outside")).unwrap();
    // What a parser would quote in its error.
    host.write("outside/key.ts", "SECRET-WORDS of another file").unwrap();
    host.write("key.ts", "SECRET-WORDS of another file").unwrap();
    host.write("charm/lib/fine.ts", "export const x = 1;").unwrap();
    host.write("charm/package.json", "{}").unwrap();
    for (link, to) in
        [("charm/linked.ts", "../key.ts"), ("charm/folder", "../outside"), ("charm/lib/alias.ts", "fine.ts")]
    {
        std::os::unix::fs::symlink(to, host.dir().join(link)).unwrap();
    }
    for (number, import) in ["../key", "./lib/../../key.ts", "./linked", "./folder/key"].iter().enumerate() {
        let file = main(&format!("main{number}.ts"), import);
        for command in [&["charm", "deploy", &file, "--space", "my-space"][..], &["charm", "test", &file]] {
            let error = host.command(command).unwrap().failure().unwrap();
            assert!(!error.stderr.contains("SECRET") && !error.stdout.contains("SECRET"), "{error}");
            let expected = format!("main{number}.ts cannot import \"{import}\": this path leaves the charm's root");
            assert!(error.stderr.contains(&expected), "{error}");
        }
    }
    for (number, import) in ["./lib/fine", "./lib/alias"].iter().enumerate() {
        let file = main(&format!("fine{number}.ts"), import);
        host.command(["charm", "deploy", &file, "--space", "my-space"]).unwrap().success().unwrap();
    }
    attempt.ended("refused, nothing of them shown");
}

#[test]
fn a_charm_may_import_files_of_its_package_and_of_a_named_root_and_of_nothing_above() {
    let attempt = Attempt::begin("imports", "files above a charm's package, and above --root, by .. and by links");
    let host = host();
    let write = |path: &str, text: &str| host.write(path, text).unwrap().to_str().unwrap().to_owned();
    let main = "import { total } from \"../lib/total.ts\";\nimport { pattern } from \"commontools\";\n\
                export default pattern(() => ({ total }));";
    for folder in ["repository/package/charms", "repository/package/lib"] {
        std::fs::create_dir_all(host.dir().join(folder)).unwrap();
    }
    write("key.ts", "SECRET-WORDS of another file");
    write("repository/step.ts", "export const step = 2;");
    let file = write("repository/package/charms/main.ts", main);
    let total = |import: &str| {
        let text = format!("import {{ step }} from \"{import}\"; export const total = step + 1;");
        write("repository/package/lib/total.ts", &text);
    };
    let refused = |arguments: &[&str], expected: &str| {
        let error = host.command(arguments).unwrap().failure().unwrap();
        assert!(error.stderr.contains(expected) && !error.stderr.contains("SECRET"), "{expected}\n{error}");
    };
    let deploy = |root: &[&str]| {
        let command = [&["charm", "deploy", file.as_str(), "--space", "my-space"], root].concat();
        host.command(command).unwrap().success().unwrap().stdout
    };

    // Without a package, the charm's own folder is all there is.
    total("./step");
    write("repository/package/lib/step.ts", "export const step = 4;");
    refused(&["charm", "test", &file], "main.ts cannot import \"../lib/total.ts\": this path leaves the charm's root");
    write("repository/package/package.json", "{}");
    let id = deploy(&[]);
    let charm = format!("{}/{}", bg_identity::space_did("my-space"), id.trim());
    let cells = host.command(["charm", "show", &charm]).unwrap().success().unwrap().stdout;
    assert!(cells.contains("total") && cells.contains('5'), "{cells}");
    // Where the package is makes no difference to the charm's identity.
    assert_eq!(deploy(&["--root", host.dir().join("repository").to_str().unwrap()]), id);

    // Above the package, only by name.
    total("../../step");
    refused(&["charm", "test", &file], "total.ts cannot import \"../../step\": this path leaves the charm's root");
    let root = host.dir().join("repository");
    assert_ne!(deploy(&["--root", root.to_str().unwrap()]), id);
    let lib = root.join("package/lib");
    refused(&["charm", "test", &file, "--root", lib.to_str().unwrap()], "is not below --root");
    refused(&["charm", "test", &file, "--root", root.join("gone").to_str().unwrap()], "cannot find --root");

    for (link, to) in [("linked.ts", "../../../key.ts"), ("folder", "../../.."), ("self", "/proc/self/cwd")] {
        std::os::unix::fs::symlink(to, lib.join(link)).unwrap();
    }
    for import in ["../../../key", "./linked", "./folder/key", "./self/key", "/etc/hosts.ts"] {
        total(import);
        for command in
            [&["charm", "test", file.as_str(), "--root", root.to_str().unwrap()][..], &["charm", "test", &file]]
        {
            let error = host.command(command).unwrap().failure().unwrap();
            assert!(!error.stderr.contains("SECRET") && !error.stdout.contains("SECRET"), "{import}: {error}");
            assert!(
                error.stderr.contains("leaves the charm's root") || error.stderr.contains("is not available"),
                "{error}"
            );
        }
    }
    attempt.ended("refused, nothing of them shown");
}
