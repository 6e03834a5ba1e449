//! The guide for charm developers: a shell runs its commands in order.

use std::path::Path;
use std::process::Command;

use crate::common::host;

#[test]
fn its_commands_work_in_order() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap();
    let guide = std::fs::read_to_string(root.join("docs/charms.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect();
    let commands = script.lines().filter(|line| line.contains("bg-wasm-host ")).count();
    assert!(commands >= 10, "{script}");

    let host = host();
    let folder = Path::new(env!("CARGO_BIN_EXE_bg-wasm-host")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-eux", "-c", &script])
        .current_dir(&root)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", host.dir().to_str().unwrap())])
        .env("TMPDIR", host.dir().join("tmp"))
        .env("BG_WASM_HOST_DATA", host.data_dir())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for shown in
        ["count: 0 -> 1", "count: 1 -> 2", "# Counter", "[register for background updates: my-test]", "\"count\": 1"]
    {
        assert!(out.contains(shown), "{shown}\n{out}\n{err}");
    }
    assert!(err.contains("Successfully executed charm"), "{err}");
    // 41, one more by the button, and the poll of `run --once`.
    let shown = host.command(["charm", "list", "--space", "my-space"]).unwrap().success().unwrap().stdout;
    let charm = shown.lines().find_map(|line| line.split_whitespace().find(|word| word.contains("/baedrei"))).unwrap();
    let shown = host.command(["charm", "show", charm]).unwrap().success().unwrap().stdout;
    assert!(shown.contains("\"count\": 43"), "{shown}");
}
