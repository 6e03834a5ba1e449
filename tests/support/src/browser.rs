//! A real browser: Debian's Chromium, headless.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as its test does")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
pub use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::available;

const DRIVER: &str = "chromedriver";
/// How long to wait for something that should happen at once: generous, since a test must not fail on a slow machine.
pub const SOON: Duration = Duration::from_mins(3);
/// Between two checks of a page.
const PAUSE: Duration = Duration::from_millis(50);
/// A host name that nobody owns (RFC 2606), and that leads to this machine in these browsers.
pub const ELSEWHERE: &str = "pages.example";

/// A browser with an empty profile; closed when dropped.
pub struct Browser {
    driver: Child,
    client: Option<Client>,
    runtime: Runtime,
    pictures: PathBuf,
}

impl Browser {
    /// Starts one; installs it first, if needed and allowed. `None` if there is none. [Screenshots](Self::screenshot)
    /// go into the folder `pictures`.
    #[track_caller]
    pub fn start(pictures: impl Into<PathBuf>) -> Option<Self> {
        available(installed())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        // "ChromeDriver was started successfully on port 12345."
        let port = lines.map_while(Result::ok).find_map(|line| {
            let port = line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned();
            port.parse::<u16>().ok()
        });
        let port = port.expect("the driver says on which port it is");
        let arguments = json!([
            "--headless=new",
            // Tests may run as root, where Chromium's own sandbox does not work. The browser only sees this machine's
            // pages.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--window-size=1280,900",
            format!(
                "--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
            ),
        ]);
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": arguments } });
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(capabilities.as_object().unwrap().clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap()
        });
        Some(Self { driver, client: Some(client), runtime, pictures: pictures.into() })
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it is there until it is dropped")
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap();
    }

    /// The address of the page that is open.
    pub fn url(&self) -> String {
        self.runtime.block_on(self.client().current_url()).unwrap().to_string()
    }

    /// The value of a script's `return`. If the page changes meanwhile, the script runs again in the next one.
    #[track_caller]
    pub fn js(&self, script: &str) -> Value {
        let run = || self.runtime.block_on(self.client().execute(script, Vec::new()));
        Self::settled(run).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The result of `ask`, repeated until the page does not change meanwhile: a page that updates itself may be
    /// reloaded, or have an element replaced, at any time. `ask` must not change anything.
    fn settled<T>(ask: impl Fn() -> Result<T, CmdError>) -> Result<T, CmdError> {
        let until = Instant::now() + SOON;
        loop {
            match ask() {
                Err(error) if is_passing(&error) && Instant::now() < until => std::thread::sleep(PAUSE),
                answer => return answer,
            }
        }
    }

    /// Acts on the first matching element, once there is one. If it is replaced before anything was done, acts on the
    /// new one.
    #[track_caller]
    fn with(&self, selector: &str, act: impl AsyncFn(Element) -> Result<(), CmdError>) {
        let find = async || act(self.client().find(Locator::Css(selector)).await?).await;
        let done = Self::settled(|| self.runtime.block_on(find()));
        done.unwrap_or_else(|error| panic!("{selector}: {error}\n{}", self.text()));
    }

    /// All visible text.
    pub fn text(&self) -> String {
        self.text_of("body")
    }

    /// The visible text of the first matching element; empty if there is none.
    pub fn text_of(&self, selector: &str) -> String {
        let found = self.js(&format!("return document.querySelector({})?.innerText ?? ''", json!(selector)));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// The number of matching elements.
    pub fn count(&self, selector: &str) -> u64 {
        self.js(&format!("return document.querySelectorAll({}).length", json!(selector))).as_u64().unwrap()
    }

    /// Clicks an element, which must be clickable for a person.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.with(selector, async |element| element.click().await);
    }

    /// Puts the cursor into a field and types.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.with(selector, async |field| {
            field.clear().await?;
            field.send_keys(text).await
        });
    }

    /// Selects one of a field's values.
    #[track_caller]
    pub fn choose(&self, selector: &str, value: &str) {
        self.with(selector, async |field| field.select_by_value(value).await);
    }

    /// Presses keys in order, wherever the focus is.
    pub fn press(&self, keys: impl IntoIterator<Item: Into<char>>) {
        for key in keys {
            let value = key.into();
            let press =
                KeyActions::new("keyboard".to_owned()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
            self.runtime.block_on(self.client().perform_actions(press)).unwrap();
        }
    }

    /// Presses Tab until a matching element has the focus.
    pub fn tab_to(&self, selector: &str) {
        for _ in 0..200 {
            self.press([Key::Tab]);
            if self.js(&format!("return document.activeElement?.matches({}) === true", json!(selector))) == true {
                return;
            }
        }
        panic!("no Tab leads to {selector}");
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + SOON;
        while !holds(self) {
            assert!(Instant::now() < until, "{what} does not come; the page at {} is:\n{}", self.url(), self.text());
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until this text is visible.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        self.wait(text, |browser| browser.text().contains(text));
    }

    /// Prefers dark colours, or light ones.
    pub fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        let command = DevTools { cmd: "Emulation.setEmulatedMedia", params: features };
        self.runtime.block_on(self.client().issue_cmd(command)).unwrap();
    }

    /// Sets the size of the screen, like a phone's or a desktop's.
    pub fn size(&self, width: u32, height: u32) {
        let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = DevTools { cmd: "Emulation.setDeviceMetricsOverride", params };
        self.runtime.block_on(self.client().issue_cmd(command)).unwrap();
    }

    /// Stores a screenshot for people to look at.
    pub fn screenshot(&self, name: &str) {
        std::fs::create_dir_all(&self.pictures).unwrap();
        let png = self.runtime.block_on(self.client().screenshot()).unwrap();
        std::fs::write(self.pictures.join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // If this fails, the browser still ends with the driver.
            let _ =
                self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), client.close()).await });
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Whether the error is due to a page or an element that was just replaced; nothing was done in that case.
fn is_passing(error: &CmdError) -> bool {
    let CmdError::Standard(error) = error else { return false };
    match error.error {
        ErrorStatus::NoSuchElement | ErrorStatus::StaleElementReference | ErrorStatus::DetachedShadowRoot => true,
        // For these the driver reports no error.
        _ => ["aborted by navigation", "execution context", "target frame detached", "loader has changed"]
            .iter()
            .any(|text| error.message.contains(text)),
    }
}

/// A command of Chromium's own tools.
#[derive(Debug)]
struct DevTools {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.cmd, "params": self.params }).to_string()))
    }
}

/// Whether there is a browser, after an attempt to install it.
fn installed() -> Result<(), String> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let works = || Command::new(DRIVER).arg("--version").output().is_ok_and(|output| output.status.success());
    let install = || {
        if works() {
            return Ok(());
        }
        bg_build::install_packages("tests of pages need a browser", &["chromium", "chromium-driver"])?;
        if works() { Ok(()) } else { Err(format!("{DRIVER} cannot be started")) }
    };
    INSTALLED.get_or_init(install).clone()
}
