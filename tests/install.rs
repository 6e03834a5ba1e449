//! Installed files: the systemd unit, and the files of the image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bg_test_support::available;

use crate::common::{component, fixture, host};

/// The highest allowed exposure of the unit, in tenths: systemd calls anything below 2.0 fine.
const EXPOSURE: &str = "15";

fn install(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../install")).join(name)
}

/// The output of a program, or why there is none.
fn output(command: &mut Command) -> Result<Output, String> {
    command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out)).concat()
}

#[test]
fn systemd_accepts_the_unit_and_it_gives_the_service_few_rights() {
    let host = host();
    let unit = std::fs::read_to_string(install("bg-wasm-host.service")).unwrap();
    let reads = "ExecStart=/usr/bin/bg-wasm-host run --config /etc/bg-wasm-host/config.toml\n";
    assert!(unit.contains(reads) && unit.contains("ExecReload=/bin/sh -c 'kill -HUP $MAINPID'\n"), "{unit}");
    assert!(!unit.contains("\nMemoryDenyWriteExecute="), "components are compiled");
    let unit = unit.replace("/usr/bin/bg-wasm-host", env!("CARGO_BIN_EXE_bg-wasm-host"));
    let unit = host.write("bg-wasm-host.service", unit).unwrap();
    // The manual page that it names.
    host.command(["man", "man1"]).unwrap().success().unwrap();
    let verify = output(Command::new("systemd-analyze").arg("verify").arg(&unit).env("MANPATH", host.dir()));
    let Some(verified) = available(verify) else { return };
    assert!(verified.status.success() && verified.stdout.is_empty(), "{}", text(&verified));
    let threshold = format!("--threshold={EXPOSURE}");
    let args = ["security", "--no-pager", "--offline=true", &threshold];
    let Some(rated) = available(output(Command::new("systemd-analyze").args(args).arg(&unit))) else { return };
    assert!(rated.status.success(), "{}", text(&rated));
    for kept in ["NoNewPrivileges=", "ProtectSystem=", "CapabilityBoundingSet=~CAP_SYS_ADMIN", "PrivateDevices="] {
        let line = text(&rated).lines().find(|line| line.contains(kept)).unwrap().to_owned();
        assert!(line.contains('✓'), "{line}");
    }
    let users = std::fs::read_to_string(install("bg-wasm-host.sysusers")).unwrap();
    assert!(users.contains("\nu bg-wasm-host "), "the user of the unit: {users}");
}

#[test]
fn the_image_has_what_ldd_names_and_the_program_runs_in_it_without_a_shell_or_rights() {
    let host = host();
    let dist = PathBuf::from(component("gmail")).parent().unwrap().to_owned();
    let root = host.dir().join("image");
    let program = env!("CARGO_BIN_EXE_bg-wasm-host");
    let made = Command::new(install("rootfs")).arg(program).arg(&dist).arg(&root).output().unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let files: BTreeSet<String> = files(&root, &root);
    let ldd = Command::new("ldd").arg(program).output().unwrap();
    let libraries = text(&ldd).split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect();
    let own = [
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/passwd",
        "/usr/bin/bg-wasm-host",
        "/usr/share/bg-wasm-host/gcal.wasm",
        "/usr/share/bg-wasm-host/gmail.wasm",
        "/usr/share/bg-wasm-host/script.wasm",
    ];
    let expected: BTreeSet<String> =
        own.map(str::to_owned).into_iter().collect::<BTreeSet<_>>().union(&libraries).cloned().collect();
    assert_eq!(files, expected);

    let is_root = is_root().then_some(()).ok_or_else(|| "only root can enter the image".to_owned());
    if available(is_root).is_none() {
        return;
    }
    // As in a container: with /proc, and as the image's user without any capabilities.
    let inside = |args: &[&str]| {
        let enter = "mkdir -p \"$0/proc\" && mount -t proc proc \"$0/proc\" && \
                     exec env -i BG_WASM_HOST_DATA=/data BG_WASM_HOST_CACHE=/cache \
                     \"$(command -v chroot)\" --userspec=65532:65532 \"$0\" /usr/bin/bg-wasm-host \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", enter]).arg(&root).args(args);
        command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    };
    let found = inside(&["doctor", "--listen", "127.0.0.1:0", "--component", "/usr/share/bg-wasm-host/gmail.wasm"]);
    assert!(found.contains("ok     charms' engine: /usr/share/bg-wasm-host/script.wasm"), "{found}");
    std::fs::copy(fixture("counter.tsx"), root.join("counter.tsx")).unwrap();
    let deployed = inside(&["charm", "deploy", "/counter.tsx", "--space", "my-space"]);
    let charm = deployed.lines().find(|line| line.starts_with("baedrei")).unwrap();
    let space = inside(&["space-did", "my-space"]);
    let charm = format!("{}/{charm}", space.trim());
    inside(&["register", &charm, "--integration", "mine"]);
    let polled = inside(&["run", "--once"]);
    assert!(polled.contains(&format!("Successfully executed charm {charm}")), "{polled}");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The files below a folder, by their relative names.
fn files(root: &Path, folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(root, &path)
            } else {
                BTreeSet::from([format!("/{}", path.strip_prefix(root).unwrap().display())])
            }
        })
        .collect()
}

#[test]
fn the_dockerfile_copies_the_files_tested_here_into_an_image_without_a_shell() {
    let text = std::fs::read_to_string(install("Dockerfile")).unwrap();
    let last = text.split("\nFROM ").last().unwrap();
    assert!(last.starts_with("scratch\n") && !last.contains("RUN "), "{last}");
    for line in ["COPY --from=build /root-of-image /", "USER 65532:65532", "ENTRYPOINT [\"/usr/bin/bg-wasm-host\"]"] {
        assert!(last.lines().any(|found| found == line), "{line}: {last}");
    }
    assert!(text.contains("install/rootfs target/release/bg-wasm-host dist /root-of-image"), "{text}");
    // No registry is named: the builder chooses it.
    assert!(text.lines().filter(|line| line.starts_with("FROM ")).all(|line| !line.contains('/')), "{text}");
}
