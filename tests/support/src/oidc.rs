//! A certified `OpenID` provider on loopback.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as its test does")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use crate::http::request;
use crate::{available, follow_redirects, skipped};

/// The files of the peer, from `tests/support/oidc`.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../oidc/package.json")),
    ("package-lock.json", include_str!("../oidc/package-lock.json")),
    ("provider.mjs", include_str!("../oidc/provider.mjs")),
];

/// `oidc-provider`, a certified implementation, on a free port of 127.0.0.1. It insists on PKCE, replaces a refresh
/// token with each renewal, and revokes all of a grant if an old one is used. It ends when dropped.
///
/// Its clients are `desktop` (secret `desktop-secret`, in the body) and `basic` (`basic/secret+with:signs`, in the
/// header); redirect URLs are `/callback` on any port of 127.0.0.1. A browser that opens its authorization URL is
/// signed in at once.
pub struct OidcProvider {
    child: Child,
    issuer: String,
}

/// How it behaves.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// How long access tokens are good for.
    pub access_seconds: u32,
    /// Whether renewals replace the refresh token.
    pub rotate: bool,
    /// The redirect URLs of its clients, in place of its own.
    pub redirects: Option<Vec<String>>,
}

impl Default for OidcOptions {
    fn default() -> Self {
        Self { access_seconds: 3600, rotate: true, redirects: None }
    }
}

impl OidcProvider {
    /// Starts one; installs it first, by npm, if needed. `None` if this machine has no Node.js, or no registry.
    #[track_caller]
    pub fn start(options: &OidcOptions) -> Option<Self> {
        let folder = available(installed())?;
        let mut settings = json!({ "accessSeconds": options.access_seconds, "rotate": options.rotate });
        if let Some(redirects) = &options.redirects {
            settings["redirects"] = redirects.clone().into();
        }
        let mut child = Command::new("node")
            .arg(folder.join("provider.mjs"))
            .arg(settings.to_string())
            // It ends with this pipe.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = lines.map_while(Result::ok).find(|line| line.starts_with("http://127.0.0.1:"));
        Some(Self { child, issuer: issuer.expect("the provider prints its URL") })
    }

    /// Its URL, which is its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    fn address(&self) -> SocketAddr {
        self.issuer.strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn control(&self, changes: &Value) {
        let reply = request(self.address(), "POST", "/control", &[], changes.to_string().as_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// From now on this account signs in. Its mail address is `<account>@example.com`.
    pub fn be(&self, account: &str) {
        self.control(&json!({ "account": account }));
    }

    /// From now on the person refuses, or does not.
    pub fn deny(&self, on: bool) {
        self.control(&json!({ "deny": on }));
    }

    /// From now on these scopes are not granted.
    pub fn withhold(&self, scopes: &[&str]) {
        self.control(&json!({ "withhold": scopes }));
    }

    /// The person types a code of the device flow, and agrees.
    pub fn approve(&self, user_code: &str) {
        self.control(&json!({ "approve": user_code }));
    }

    /// Opens an authorization URL as a person does, and returns where the browser ends up: the redirect URL, which
    /// starts with `redirect`.
    pub fn sign_in(&self, authorization: &str, redirect: &str) -> String {
        follow_redirects(authorization, redirect).unwrap()
    }

    /// How many requests came, by method and path.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let reply = request(self.address(), "GET", "/control", &[], b"").unwrap().json().unwrap();
        let requests = reply["requests"].as_object().unwrap();
        requests.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the installed peer, after an attempt to install it.
fn installed() -> Result<PathBuf, String> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    INSTALLED.get_or_init(install).clone()
}

/// Several test programs may do this at once: each installs into its own folder, and the first one's is kept.
fn install() -> Result<PathBuf, String> {
    let folder = skipped::folder().parent().expect("it is in cargo's target folder").join("oidc-provider");
    if is_current(&folder) {
        return Ok(folder);
    }
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("the OpenID provider needs {what}: {error}");
    let own = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&own).map_err(|error| failed("a folder", &error))?;
    for (name, text) in FILES {
        fs::write(own.join(name), text).map_err(|error| failed("its files", &error))?;
    }
    let npm =
        Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&own).output();
    let npm = npm.map_err(|error| failed("Node.js and npm", &error))?;
    if !npm.status.success() {
        return Err(failed("npm's registry", &String::from_utf8_lossy(&npm.stderr)));
    }
    if folder.exists() && !is_current(&folder) {
        let _ = fs::remove_dir_all(&folder);
    }
    if fs::rename(&own, &folder).is_err() {
        let _ = fs::remove_dir_all(&own);
    }
    if is_current(&folder) { Ok(folder) } else { Err(failed("a folder", &folder.display())) }
}

/// Whether this version of the peer is there. The folder gets its name when all is in it.
fn is_current(folder: &Path) -> bool {
    FILES.iter().all(|(name, text)| fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text))
}
