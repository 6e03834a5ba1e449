//! Completions and manual pages, generated from the program's own arguments, so they are complete.

use std::process::Command;

use bg_test_support::TestHost;

use crate::common::host;

/// The commands that a help text lists under `Commands:`.
fn commands(host: &TestHost, of: &[&str]) -> Vec<String> {
    let help = host.command(of.iter().chain(&["--help"])).unwrap().success().unwrap().stdout;
    let Some(listed) = help.split("\nCommands:\n").nth(1) else { return Vec::new() };
    let names = listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn bash_completes_commands_and_options_after_sourcing_the_output() {
    let host = host();
    let script = host.command(["completions", "bash"]).unwrap().success().unwrap().stdout;
    let script = host.write("completions.bash", script).unwrap();
    let complete = |words: &str| {
        let code = format!(
            "set -u; source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $(complete -p bg-wasm-host | sed 's/.*-F \\([^ ]*\\).*/\\1/') bg-wasm-host \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &code]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = commands(&host, &[]);
    assert!(all.len() > 20, "{all:?}");
    let completed = complete("bg-wasm-host ''");
    assert!(all.iter().all(|command| completed.contains(command)), "{completed:?}");
    assert_eq!(complete("bg-wasm-host doc"), ["doctor"]);
    assert_eq!(complete("bg-wasm-host run --max-co"), ["--max-concurrent"]);
    assert_eq!(complete("bg-wasm-host completions z"), ["zsh"]);
    assert!(!completed.iter().any(|command| command == "compile-component"), "{completed:?}");
}

#[test]
fn zsh_and_fish_get_scripts_that_name_every_command() {
    let host = host();
    for (shell, start) in [("zsh", "#compdef bg-wasm-host"), ("fish", "#")] {
        let script = host.command(["completions", shell]).unwrap().success().unwrap().stdout;
        assert!(script.starts_with(start), "{script}");
        for command in commands(&host, &[]) {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        let Ok(checked) = Command::new(shell).arg("-n").arg(host.write("script", script).unwrap()).output() else {
            // This shell is not installed.
            continue;
        };
        assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    host.command(["completions", "cmd"]).unwrap().failure().unwrap();
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let host = host();
    let folder = host.dir().join("man");
    host.command(["man", folder.to_str().unwrap()]).unwrap().success().unwrap();
    let page = |name: &str| {
        let file = folder.join(format!("{name}.1"));
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    assert_eq!(page("bg-wasm-host"), host.command(["man"]).unwrap().success().unwrap().stdout);
    let mut pages = 1;
    let mut ahead = vec![Vec::new()];
    while let Some(command) = ahead.pop() {
        for below in commands(&host, &command.iter().map(String::as_str).collect::<Vec<_>>()) {
            let below = [&command[..], &[below]].concat();
            let section = if command.is_empty() { ".SH NAME" } else { ".SH OPTIONS" };
            assert!(page(&format!("bg-wasm-host-{}", below.join("-"))).contains(section), "{below:?}");
            pages += 1;
            ahead.push(below);
        }
    }
    assert!(page("bg-wasm-host-run").contains("max\\-concurrent"));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), pages);
    if let Ok(shown) =
        Command::new("man").arg("--warnings").arg(folder.join("bg-wasm-host-run.1")).env("MANPAGER", "cat").output()
    {
        let (out, err) = (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
        assert!(shown.status.success() && out.contains("SYNOPSIS"), "{out}{err}");
    }
    let refused = host.command(["man", "/proc/man"]).unwrap().failure().unwrap();
    assert!(refused.stderr.contains("name a folder that you can write to"), "{refused}");
}
