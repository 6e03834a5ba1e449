//! `new`, and how an author continues from its files, according to the guide.

use std::fs;
use std::net::TcpListener;

use bg_test_support::available;

use crate::common::host;
use crate::integrations::blocks;
use crate::workshop::{JAVASCRIPT, Language, NAME, PYTHON, RUST, Workshop, run};

#[test]
fn an_integration_in_rust_is_created_built_and_tested_by_the_guide_and_polls() {
    follow_the_guide(RUST);
}

#[test]
fn an_integration_in_javascript_is_created_built_and_tested_by_the_guide_and_polls() {
    follow_the_guide(JAVASCRIPT);
}

#[test]
fn an_integration_in_python_is_created_built_and_tested_by_the_guide_and_polls() {
    follow_the_guide(PYTHON);
}

fn follow_the_guide(language: Language) {
    if available(run(std::process::Command::new("python3").arg("--version"))).is_none() {
        return;
    }
    let (host, workshop) = (host(), Workshop::enter(language));
    workshop.clear();
    let make = blocks("Make one", "sh").concat().replace("--lang rust", &format!("--lang {}", language.lang));
    let printed = run(workshop.shell_with(&host).current_dir(&workshop.place).arg(&make)).unwrap();
    workshop.bring_tools();
    let digest = workshop.digest();
    if workshop.install().is_none() {
        return;
    }
    let component = workshop.built(NAME, &digest).unwrap_or_else(|| workshop.build(NAME, &digest));
    fs::copy(component, workshop.project().join("my-news.wasm")).unwrap();
    let test = &workshop.blocks()[2];
    run(workshop.shell_with(&host).arg(test)).unwrap();

    // The test refuses a component that is older than its source.
    let source = fs::File::options().append(true).open(workshop.project().join(language.source)).unwrap();
    source.set_modified(std::time::SystemTime::now()).unwrap();
    let refused = run(workshop.shell_with(&host).arg(test)).unwrap_err();
    assert!(refused.contains("my-news.wasm is not up to date"), "{refused}");

    // `new` prints the same commands.
    let guide: String = workshop.blocks().concat();
    let then = ["bg-wasm-host inspect my-news.wasm", "bg-wasm-host run --component my-news.wasm"];
    let commands: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(commands, ["cd my-news"].into_iter().chain(guide.lines()).chain(then).collect::<Vec<_>>(), "{printed}");

    // The guide's port may not be free.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (poll, pin) = ("Poll a charm with it", "Pin it");
    let script = [blocks(poll, "sh"), blocks(pin, "sh")].concat().concat().replace("8099", &port);
    let script = format!("exec 2>&1\ntrap 'kill $! 2>/dev/null || true' EXIT\n{script}");
    let said = run(workshop.shell_with(&host).arg(&script)).unwrap_or_else(|said| panic!("{said}"));
    let mut rest = said.as_str();
    for line in blocks(poll, "text").concat().replace("8099", &port).lines() {
        for part in line.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            rest = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("{part}, of {line}, is missing in:\n{rest}\nof:\n{said}"))
                .1;
        }
    }
    // Denied twice, and once with news.
    assert!(rest.contains("\"polls\": 3"), "{said}");
    if language == PYTHON {
        let [_, typings] = &blocks("Languages", "sh")[..] else { panic!("two blocks") };
        run(workshop.shell().arg(typings)).unwrap();
        assert!(workshop.project().join("typings/wit_world/__init__.py").is_file());
    }
}

#[test]
fn an_invalid_name_and_an_unknown_language_are_reported_with_the_valid_ones() {
    let host = host();
    for (args, expected) in [
        (&["new", "a b", "--lang", "js"][..], &["\"a b\" is not the name of an integration", "looks like gmail"][..]),
        (&["new", "../up", "--lang", "js"], &["is not the name of an integration"]),
        (&["new", "--lang", "js"], &["<NAME>"]),
        (&["new", "my-news"], &["--lang <rust|js|python>"]),
        (&["new", "my-news", "--lang", "go"], &["'go'", "rust, js, python"]),
    ] {
        let refused = host.command(args).unwrap().failure().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused}");
        assert!(expected.iter().all(|part| refused.stderr.contains(part)), "{expected:?}: {refused}");
    }
    let mut left: Vec<_> = fs::read_dir(host.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["data", "tmp"]);
}

#[test]
fn existing_files_are_not_overwritten() {
    let host = host();
    let new = ["new", "my-news", "--lang", "js"];
    host.command(new).unwrap().success().unwrap();
    let source = host.dir().join("my-news/integration.js");
    fs::write(&source, "// mine").unwrap();
    let refused = host.command(new).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("my-news is not empty") && refused.stderr.contains("--dir"), "{refused}");
    assert_eq!(fs::read_to_string(source).unwrap(), "// mine");

    host.write("file", "mine").unwrap();
    let refused = host.command(new.into_iter().chain(["--dir", "file"])).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("cannot create the folder file; choose another with --dir"), "{refused}");
    assert_eq!(fs::read_to_string(host.dir().join("file")).unwrap(), "mine");
}

#[test]
fn an_empty_folder_of_another_name_can_be_used() {
    let host = host();
    fs::create_dir(host.dir().join("my folder")).unwrap();
    let made = host.command(["new", "7.My_news", "--lang", "rust", "--dir", "my folder"]).unwrap().success().unwrap();
    assert!(made.stdout.contains("cd 'my folder'"), "{made}");
    let manifest = fs::read_to_string(host.dir().join("my folder/integration.toml")).unwrap();
    assert_eq!(bg_manifest::Manifest::parse(&manifest).unwrap().integration.id.as_str(), "7.My_news");
    let package = fs::read_to_string(host.dir().join("my folder/Cargo.toml")).unwrap();
    assert!(package.contains("name = \"integration-7-my_news\""), "{package}");
}
