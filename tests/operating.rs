//! The operator's guide: a shell runs its commands in order. Everything is installed below a temporary folder, and
//! `systemctl` is a stand-in, since tests have no systemd: it starts, reloads and stops the service by the installed
//! unit, and prints systemd's messages.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use bg_test_support::TestHost;

use crate::common::{component, deploy, fixture, host, register};
use crate::configuration::docs;

/// Adapts the guide to this machine. `$ROOT` is where everything is installed.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
said() { grep -c "$1" "$ROOT/journal" || true; }
wait_for() { while [ "$(said "$1")" -le "$2" ]; do sleep 0.1; done; }
unit() { sed -n "s/^$1=-\{0,1\}//p" "$ROOT/etc/systemd/system/bg-wasm-host.service" | sed "s,\(/usr/bin\|/etc\|/var\)/,$ROOT\1/,g"; }
polling='enabled charms, each every'
start() {
    before=$(said "$polling")
    mkdir -p "$ROOT/var/lib/bg-wasm-host" "$ROOT/var/cache"
    env $(unit Environment) $(unit ExecStart) >>"$ROOT/journal" 2>&1 </dev/null &
    echo $! >"$ROOT/pid"
    wait_for "$polling" "$before"
}
stop() { before=$(said 'run: stopped'); kill -TERM "$(cat "$ROOT/pid")"; wait_for 'run: stopped' "$before"; rm "$ROOT/pid"; }
touch "$ROOT/journal"
case "$*" in
    daemon-reload) test -f "$ROOT/etc/systemd/system/bg-wasm-host.service" ;;
    'enable --now bg-wasm-host' | 'start bg-wasm-host') start ;;
    'stop bg-wasm-host') stop ;;
    'restart bg-wasm-host') stop; start ;;
    'reload bg-wasm-host')
        before=$(said "$polling")
        MAINPID=$(cat "$ROOT/pid") sh -c "$(sed -n 's/^ExecReload=//p' "$ROOT/etc/systemd/system/bg-wasm-host.service")"
        wait_for "$polling" "$before" ;;
    *) echo "systemctl $*?" >&2; exit 1 ;;
esac
"#;

fn program(host: &TestHost, name: &str, text: &str) {
    let path = host.write(&format!("bin/{name}"), text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn its_commands_work_in_order() {
    let (host, root) = (host(), Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap());
    component("gmail");
    let below = host.dir().to_str().unwrap().to_owned();
    for folder in ["bin", "usr/share/bash-completion/completions", "var/lib"] {
        std::fs::create_dir_all(host.dir().join(folder)).unwrap();
    }
    program(&host, "systemctl", SYSTEMCTL);
    program(&host, "sudo", "#!/bin/sh\n[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n");
    program(&host, "systemd-sysusers", "#!/bin/sh\nexec test -f \"$ROOT/usr/lib/sysusers.d/bg-wasm-host.conf\"\n");
    // The tested program replaces a release build, which would take ten minutes.
    program(
        &host,
        "cargo",
        "#!/bin/sh\n[ \"$*\" = 'build --release --package bg-wasm-host' ] || [ \"$*\" = guests ]\n",
    );
    let config = std::fs::read_to_string(docs("config.toml")).unwrap();
    host.write("config.toml", config.replace("/usr/share", &format!("{below}/usr/share"))).unwrap();

    let guide = std::fs::read_to_string(docs("operating.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let script = blocks.concat();
    assert!(script.lines().count() >= 25, "{script}");
    let mut script = script
        .replace("target/release/bg-wasm-host", env!("CARGO_BIN_EXE_bg-wasm-host"))
        .replace(" docs/config.toml", &format!(" {below}/config.toml"))
        .replace("-o bg-wasm-host ", "");
    for folder in ["usr", "etc", "var"] {
        script = script.replace(&format!(" /{folder}/"), &format!(" {below}/{folder}/"));
    }
    script.insert_str(0, "trap 'test ! -e \"$ROOT/pid\" || systemctl stop bg-wasm-host' EXIT\n");
    let path = format!("{below}/bin:{below}/usr/bin:{}", std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-eux", "-o", "pipefail", "-c", &script])
        .current_dir(&root)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", &below), ("ROOT", &below)])
        .env("TMPDIR", host.dir().join("tmp"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let journal = std::fs::read_to_string(host.dir().join("journal")).unwrap_or_default();
    assert!(output.status.success(), "{out}\n{err}\n{journal}");
    for shown in
        ["config.toml has no problems", "gmail 0.1.0 loads", "`bg-wasm-host run` (process ", "complete and was checked"]
    {
        assert!(out.contains(shown), "{shown}\n{out}\n{err}");
    }
    assert!(!out.contains("\nwrong  "), "{out}");
    assert!(journal.contains("restarting with the changed configuration file; changed: no option"), "{journal}");
    // At the start, after the reload, after the restore, after the upgrade.
    assert_eq!(journal.matches("enabled charms, each every").count(), 4, "{journal}");
    for file in ["usr/share/man/man1/bg-wasm-host-run.1", "usr/share/bash-completion/completions/bg-wasm-host"] {
        assert!(host.dir().join(file).is_file(), "{file}");
    }
}

/// Its troubleshooting table quotes the program's messages.
#[test]
fn the_symptoms_quote_the_programs_messages() {
    let guide = std::fs::read_to_string(docs("operating.md")).unwrap();
    let quotes = |symptom: &str, said: &str| {
        assert!(guide.contains(&format!("`{symptom}`")), "{symptom} is not in the guide");
        let parts: Vec<&str> = symptom.split(" … ").collect();
        assert!(parts.iter().all(|part| said.contains(part)), "{symptom}: {said}");
    };
    let host = host();
    let refused = |args: &[&str]| host.command(args).unwrap().failure().unwrap().stderr;
    quotes("does not answer: Connection refused", &refused(&["--api-url", "http://127.0.0.1:9", "list"]));
    let key = host.write("key.pem", "no key").unwrap();
    quotes("is not a usable key file", &refused(&["--identity", key.to_str().unwrap(), "list"]));
    let inputs = serde_json::json!({"auth": {"token": "t", "refreshToken": "r", "expiresAt": 1}});
    let charm = deploy(&host, &fixture("gmail.tsx"), "my-space", &inputs);
    register(&host, &charm, "mine");
    let failed = refused(&["run", "--once"]);
    quotes("its OAuth token has expired and cannot be renewed", &failed);
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"]).unwrap();
    server.wait_for_line(|line| line.contains("listening on"), crate::common::SOON).unwrap();
    quotes("AuthorizationError", &refused(&["list"]));
    quotes("the database … is in use by", &refused(&["serve", "--listen", "127.0.0.1:0"]));
    server.terminate().unwrap().success().unwrap();
}
