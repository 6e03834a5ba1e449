//! Runs the component in bg-wasm-host, with a temporary charm runtime and a fake API on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use serde_json::Value;

const COMPONENT: &str = "{{name}}.wasm";

#[test]
fn a_charm_is_polled_if_and_only_if_the_api_names_its_topic() {
    let (api, host) = (Api::start(), Host::new());
    let (weather, trains) = (host.deploy("weather"), host.deploy("trains"));
    for (news, polls) in [
        (r#"["weather"]"#, [1, 0]),
        (r#"["trains"]"#, [1, 1]),
        ("[]", [1, 1]),
    ] {
        api.says(news);
        host.run_once(&api);
        assert_eq!([host.polls(&weather), host.polls(&trains)], polls, "{news}");
    }
}

/// The program, from the variable `BG_WASM_HOST` or the path, with a temporary data directory.
struct Host {
    data: PathBuf,
}

impl Host {
    fn new() -> Self {
        let changed = |file| fs::metadata(file).and_then(|file| file.modified()).ok();
        let is_old = |source| changed(source) > changed(COMPONENT);
        let old = ["src/lib.rs", "src/http.rs"].into_iter().any(is_old);
        assert!(
            !old,
            "{COMPONENT} is not up to date: build it, as README.md says"
        );
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data");
        // Left over from an earlier run.
        let _ = fs::remove_dir_all(&data);
        Self { data }
    }

    /// Runs a command, and returns its output.
    fn command(&self, args: &[&str]) -> String {
        let program = std::env::var("BG_WASM_HOST").unwrap_or_else(|_| "bg-wasm-host".to_owned());
        let output = Command::new(&program)
            .args(args)
            .env("BG_WASM_HOST_DATA", &self.data)
            .env_remove("API_URL")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; set BG_WASM_HOST to the path of bg-wasm-host")
            });
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bg-wasm-host {args:?}\n{log}");
        println!("bg-wasm-host {args:?}\n{log}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Deploys a charm about that topic, registers it, and returns its name.
    fn deploy(&self, topic: &str) -> String {
        let inputs = format!(r#"{{"topic": "{topic}"}}"#);
        let id = self.command(&[
            "charm",
            "deploy",
            "tests/charm.tsx",
            "--space",
            "test",
            "--inputs",
            &inputs,
        ]);
        let charm = format!("{}/{id}", self.command(&["space-did", "test"]));
        self.command(&["register", &charm, "--integration", "{{name}}"]);
        charm
    }

    /// Asks the component which charms have news, and polls those once.
    fn run_once(&self, api: &Api) {
        let set = format!("{{name}}.api-base-url={}", api.url);
        let run = ["run", "--once", "--component", COMPONENT, "--set", &set];
        let grants = ["--allow-http", &api.url, "--allow-private", &api.url];
        self.command(&[&run[..], &grants].concat());
    }

    /// How often a charm was polled, by its own count.
    fn polls(&self, charm: &str) -> u64 {
        let shown: Value = serde_json::from_str(&self.command(&["charm", "show", charm])).unwrap();
        shown["cells"]["polls"].as_u64().unwrap()
    }
}

/// The fake API.
struct Api {
    url: String,
    answer: Arc<Mutex<String>>,
}

impl Api {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(String::new()));
        let api = Self {
            url,
            answer: answer.clone(),
        };
        thread::spawn(move || {
            listener
                .incoming()
                .for_each(|stream| respond(stream.unwrap(), &answer.lock().unwrap()))
        });
        api
    }

    /// Sets the answer to `GET /v1/news`.
    fn says(&self, answer: &str) {
        *self.answer.lock().unwrap() = answer.to_owned();
    }
}

fn respond(mut stream: TcpStream, answer: &str) {
    let mut head = BufReader::new(&stream)
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty());
    let (status, body) = match head.next().unwrap_or_default().as_str() {
        "GET /v1/news HTTP/1.1" => ("200 OK", answer),
        _ => ("404 Not Found", ""),
    };
    head.for_each(drop);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
}
