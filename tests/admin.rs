//! The admin page, in a real browser.

use bg_test_support::{Browser, ELSEWHERE, FakeSite, Key, Running, TestHost};
use serde_json::json;

use crate::common::{SOON, component, deploy, fixture, host, pictures, register};

/// A service with its admin page, and the operator's browser.
struct Desk {
    browser: Browser,
    service: Running,
    host: TestHost,
    url: String,
    token: String,
}

/// Starts a service that polls rarely, with these options, and a browser; `None` without a browser.
fn desk(options: &[&str]) -> Option<Desk> {
    let browser = Browser::start(pictures())?;
    let host = host();
    let (service, url, token) = start(&host, &[&["run", "--listen", "127.0.0.1:0"], options].concat());
    Some(Desk { browser, service, host, url, token })
}

/// The page's address, and the token printed with it.
fn start(host: &TestHost, args: &[&str]) -> (Running, String, String) {
    let mut service = host.spawn(args).unwrap();
    let line = service.wait_for_line(|line| line.starts_with("The admin page: "), SOON).unwrap();
    let (page, token) = line.trim_start_matches("The admin page: ").split_once("/login#").unwrap();
    (service, page.to_owned(), token.to_owned())
}

impl Desk {
    fn log_in(&self) {
        self.browser.go(&format!("{}/login#{}", self.url, self.token));
        self.browser.wait_for_text("Registrations");
    }

    /// The row of a charm.
    fn row(&self, name: &str) -> String {
        let rows = self.browser.js(
            "return [...document.querySelectorAll('#rows tr')].map((row) => [row.querySelector('th a')?.innerText, row.id])",
        );
        let rows = rows.as_array().unwrap();
        let found = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("no row {name}: {rows:?}"));
        format!("#{}", found[1].as_str().unwrap())
    }

    fn end(self) {
        drop(self.browser);
        self.service.terminate().unwrap().success().unwrap();
    }
}

fn counter(host: &TestHost, space: &str) -> String {
    let charm = deploy(host, &fixture("counter.tsx"), space, &json!({}));
    register(host, &charm, "my-test");
    charm
}

#[test]
fn login_requires_the_token() {
    let Some(desk) = desk(&[]) else { return };
    let Desk { browser, url, token, .. } = &desk;
    browser.go(url);
    assert!(browser.url().ends_with("/admin/login"), "{}", browser.url());
    browser.type_into("#token", "a-wrong-token-of-that-length");
    browser.press([Key::Enter]);
    browser.wait_for_text("That is not the login token.");
    browser.screenshot("login");
    // Reloading this page sends nothing again.
    assert!(browser.url().ends_with("/admin/login?said=wrong-token"), "{}", browser.url());
    browser.js("document.body.textContent = ''; location.reload()");
    browser.wait_for_text("That is not the login token.");
    browser.type_into("#token", token);
    browser.click("button");
    browser.wait_for_text("No charm is registered yet.");
    assert_eq!(browser.url(), *url);
    // The token is in no address that the browser keeps.
    browser.click("header form button");
    browser.wait_for_text("Login token");
    browser.go(&format!("{url}/integrations"));
    browser.wait_for_text("Login token");
    browser.go(&format!("{}#{token}", browser.url()));
    browser.js("location.reload()");
    browser.wait_for_text("Integrations");
    assert!(browser.url().ends_with("/admin/integrations"), "{}", browser.url());
    desk.end();
}

#[test]
fn the_list_updates_itself_and_controls_registrations() {
    let Some(desk) = desk(&["--interval", "1h"]) else { return };
    let Desk { browser, host, .. } = &desk;
    desk.log_in();
    // It appears without a reload, and so does the result of its poll.
    let charm = counter(host, "my-space");
    browser.wait_for_text("Counter");
    let row = desk.row("Counter");
    browser.wait("its first poll", |browser| browser.text_of(&row).contains("Success"));
    assert_eq!(browser.text_of("#counts .running b"), "1");
    assert_eq!(browser.count(&format!("{row} svg path.ok")), 1);

    let polls = || crate::common::cell(host, &charm, "count").as_u64().unwrap();
    let before = polls();
    browser.click(&format!("{row} [formaction$='/run']"));
    browser.wait_for_text("It runs now");
    browser.wait("another poll", |_| polls() == before + 1);
    let label = |browser: &Browser| {
        browser.js(&format!("return document.querySelector('{row} svg')?.getAttribute('aria-label') ?? ''"))
    };
    browser
        .wait("it on the page", |browser| label(browser).as_str().unwrap().starts_with("2 newest runs: 2 succeeded"));

    browser.click(&format!("{row} [formaction$='/disable']"));
    browser.wait_for_text("Disabled; it is no longer polled.");
    assert!(browser.text_of(&row).contains("disabled by hand"), "{}", browser.text());
    assert_eq!(browser.count(&format!("{row} [formaction$='/run']")), 0);
    let shown = host.command(["show", &charm]).unwrap().success().unwrap();
    assert!(shown.stdout.contains("Disabled: by hand"), "{shown}");
    // Changes made elsewhere show up as well.
    host.command(["enable", &charm]).unwrap().success().unwrap();
    browser.wait("that it is enabled", |browser| browser.text_of(&row).contains("running"));
    host.command(["disable", &charm]).unwrap().success().unwrap();
    browser.wait("that it is disabled", |browser| browser.text_of(&row).contains("disabled by hand"));
    browser.click(&format!("{row} [formaction$='/enable']"));
    browser.wait_for_text("Enabled; it is polled at once.");
    browser.wait("its poll", |_| polls() >= before + 2);

    browser.click(&format!("{row} a[href$='/remove']"));
    browser.wait_for_text("Remove the registration of Counter?");
    browser.click(".danger");
    browser.wait_for_text("Removed; it is no longer polled.");
    browser.wait_for_text("No charm is registered yet.");
    assert_eq!(host.command(["list"]).unwrap().success().unwrap().stdout.lines().count(), 1);
    register(host, &charm, "my-test");
    browser.wait("the charm again", |browser| browser.text().contains("Counter"));
    browser.go(&format!("{}/charms/{charm}/delete", desk.url));
    browser.wait_for_text("Delete Counter?");
    browser.click(".danger");
    browser.wait_for_text("Deleted, with its registration, cells, log and runs.");
    host.command(["charm", "show", &charm]).unwrap().failure().unwrap();
    // A page whose server is gone does not look up to date.
    let Desk { browser, service, .. } = desk;
    assert_eq!(browser.text_of("#live"), "Live");
    service.terminate().unwrap().success().unwrap();
    browser.wait_for_text("Connection lost");
}

#[test]
fn the_list_is_searched_and_filtered() {
    let Some(desk) = desk(&["--interval", "1h"]) else { return };
    let Desk { browser, host, .. } = &desk;
    let charms = ["one", "two"].map(|space| counter(host, space));
    let chatty = deploy(host, &fixture("chatty.tsx"), "one", &json!({}));
    register(host, &chatty, "news");
    desk.log_in();
    browser.wait("the rows", |browser| browser.count("#rows tr") == 3);
    let names = |browser: &Browser| {
        browser.js("return [...document.querySelectorAll('#rows th a')].map((link) => link.innerText).filter((name) => !name.startsWith('z6Mk')).sort()")
    };

    browser.type_into("[name=search]", "chat");
    browser.press([Key::Enter]);
    browser.wait("the search", |browser| names(browser) == json!(["Chatty"]));
    browser.click(".filter a");
    browser.wait("all", |browser| browser.count("#rows tr") == 3);
    browser.click(&format!("{} td a[href*='integration=']", desk.row("Chatty")));
    browser.wait("the integration", |browser| names(browser) == json!(["Chatty"]));
    let (space, _) = charms[1].split_once('/').unwrap();
    browser.go(&format!("{}?space={space}", desk.url));
    browser.wait("the space", |browser| names(browser) == json!(["Counter"]));
    host.command(["disable", &charms[0]]).unwrap().success().unwrap();
    browser.go(&desk.url);
    browser.choose("[name=state]", "disabled-by-hand");
    browser.click(".filter button");
    browser.wait("the state", |browser| names(browser) == json!(["Counter"]));
    // It leaves the list when it leaves that state.
    host.command(["enable", &charms[0]]).unwrap().success().unwrap();
    browser.wait_for_text("No registration matches.");
    browser.go(&format!("{}?space=my-space", desk.url));
    browser.wait_for_text("the space: ");
    // There is nothing to update; a page that tried would reload endlessly.
    assert_eq!(browser.count("[data-live]"), 0);
    desk.end();
}

#[test]
fn a_charms_page_shows_what_went_wrong_and_where() {
    let Some(desk) = desk(&["--interval", "1h", "--failures", "1"]) else { return };
    let Desk { browser, host, .. } = &desk;
    let source = std::fs::read_to_string(fixture("counter.tsx")).unwrap();
    let broken = source.replace(
        "count.set(count.get() + 1);",
        "console.warn('about to <b>fail</b>'); throw new Error('no <script>alert(1)</script> today');",
    );
    assert_ne!(broken, source);
    let file = host.write("broken.tsx", broken).unwrap();
    let charm = deploy(host, file.to_str().unwrap(), "my-space", &json!({}));
    register(host, &charm, "my-test");
    desk.log_in();
    browser.wait_for_text("disabled by failures");
    browser.screenshot("list-failures");
    browser.click(&format!("{} th a", desk.row("Counter")));
    browser.wait_for_text("disabled by failures");
    // As text, and with the place in the source.
    assert!(browser.text_of("#runs").contains("no <script>alert(1)</script> today"), "{}", browser.text());
    assert!(browser.text_of("#runs .stack").contains("broken.tsx:"), "{}", browser.text());
    assert!(browser.text_of("#log").contains("about to <b>fail</b>"), "{}", browser.text());
    assert!(browser.text_of("#summary").contains("Disabled: 1 failures in a row"), "{}", browser.text());
    for (dark, name) in [(false, "charm-light"), (true, "charm-dark")] {
        browser.dark(dark);
        browser.screenshot(name);
    }
    browser.click("#able");
    browser.wait("a second run", |browser| browser.count("#runs tbody tr") == 2);
    desk.end();
}

#[test]
fn an_integrations_page_shows_its_manifest_and_denied_requests() {
    let gmail = component("gmail");
    let Some(desk) = desk(&["--interval", "1", "--component", &gmail]) else { return };
    let Desk { browser, host, .. } = &desk;
    let inputs = json!({
        "auth": { "token": "ya29.a-secret-token", "user": { "email": "a@example.com" } },
        "settings": { "gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": "7" },
    });
    let mail = deploy(host, &fixture("gmail.tsx"), "mail", &inputs);
    register(host, &mail, "gmail");
    let nosy = deploy(host, &fixture("nosy.tsx"), "nosy", &json!({}));
    register(host, &nosy, "my-test");
    desk.log_in();
    browser.go(&format!("{}/integrations", desk.url));
    browser.wait("the gate's answer", |browser| {
        browser.text_of("#integrations").contains("Charms' handlers") && browser.count("#integrations .failing") >= 1
    });
    browser.screenshot("integrations");
    browser.click("#integrations a[href$='/gmail']");
    // What it asks for and does not get; and what it tried anyway, with the option that would allow it.
    let option = "--allow-http gmail=https://gmail.googleapis.com/gmail/v1/";
    assert!(browser.text().contains(option), "{}", browser.text());
    browser
        .wait("a denied request", |browser| browser.text_of("#activity tr.bad").contains("/gmail/v1/users/me/history"));
    assert!(browser.text_of("#activity tr.bad").contains(option), "{}", browser.text());
    assert!(
        browser.text().contains("charm.auth.token") && browser.text().contains("is-valid-charm"),
        "{}",
        browser.text()
    );
    for (dark, name) in [(false, "integration-light"), (true, "integration-dark")] {
        browser.dark(dark);
        browser.screenshot(name);
    }
    browser.go(&format!("{}/handlers", desk.url));
    browser.wait_for_text("https://other.example/secrets");
    assert!(browser.text().contains("--allow-charm-http"), "{}", browser.text());
    assert!(browser.text().contains("169.254.169.254"), "{}", browser.text());
    assert!(!browser.text().contains("ya29"), "{}", browser.text());
    desk.end();
}

#[test]
fn a_server_shows_what_the_service_that_polls_its_charms_reports() {
    let Some(browser) = Browser::start(pictures()) else { return };
    let (host, gmail) = (host(), component("gmail"));
    let (service, url, token) = start(&host, &["serve", "--listen", "127.0.0.1:0"]);
    let desk = Desk { browser, service, host, url, token };
    let Desk { browser, host, url, .. } = &desk;
    let inputs = json!({
        "auth": { "token": "ya29.a-secret-token", "user": { "email": "a@example.com" } },
        "settings": { "gmailFilterQuery": "in:INBOX", "limit": 100, "historyId": "7" },
    });
    let mail = deploy(host, &fixture("gmail.tsx"), "mail", &inputs);
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    register(host, &mail, "gmail");
    let source = std::fs::read_to_string(fixture("counter.tsx")).unwrap();
    let broken = source.replace("count.set(count.get() + 1);", "throw new Error('not today');");
    assert_ne!(broken, source);
    let file = host.write("broken.tsx", broken).unwrap();
    let charm = deploy(host, file.to_str().unwrap(), "my-space", &json!({}));
    register(host, &charm, "my-test");
    desk.log_in();
    browser.go(&format!("{url}/integrations"));
    browser.wait_for_text("no service polls its charms");

    let polls = host.spawn(["run", "--interval", "1h", "--component", &gmail]).unwrap();
    browser.wait("its component", |browser| browser.text_of("#integrations").contains("gmail.wasm"));
    browser.go(&format!("{url}/integrations/gmail"));
    let option = "--allow-http gmail=https://gmail.googleapis.com/gmail/v1/";
    assert!(browser.text().contains(option) && browser.text().contains("every 1 h"), "{}", browser.text());
    browser
        .wait("a denied request", |browser| browser.text_of("#activity tr.bad").contains("/gmail/v1/users/me/history"));
    assert!(browser.text_of("#activity tr.bad").contains(option), "{}", browser.text());
    assert!(browser.text_of("#activity").contains("is-valid-charm"), "{}", browser.text());
    assert!(!browser.text().contains("ya29"), "{}", browser.text());

    browser.go(url);
    let row = desk.row("Counter");
    browser.wait("that it backs off", |browser| browser.text_of(&row).contains("backing off"));
    assert!(!browser.text().contains("no service polls"), "{}", browser.text());
    assert_eq!(browser.count(&format!("{row} time[data-due]")), 1, "{}", browser.text());
    browser.click(&format!("{row} [formaction$='/run']"));
    browser.wait_for_text("It runs now");
    browser.wait("that it has run again", |browser| browser.text_of(&row).contains("2 in a row"));

    polls.terminate().unwrap().success().unwrap();
    browser.go(url);
    browser.wait_for_text("no service polls its charms");
    assert_eq!(browser.count("time[data-due]"), 0, "{}", browser.text());
    browser.screenshot("list-nobody-polls");
    // Its last state is still shown.
    browser.go(&format!("{url}/integrations/gmail"));
    browser.wait_for_text("no longer polls");
    assert!(browser.text_of("#activity tr.bad").contains(option), "{}", browser.text());
    browser.screenshot("integration-gone");
    browser.go(&format!("{url}/integrations/none-of-that-name"));
    browser.wait_for_text("Not found");
    desk.end();
}

#[test]
fn everything_can_be_done_by_keyboard() {
    let Some(desk) = desk(&["--interval", "1h"]) else { return };
    let Desk { browser, host, token, url, .. } = &desk;
    let charm = counter(host, "my-space");
    browser.go(url);
    // The field has the focus already.
    browser.press(token.chars());
    browser.press([Key::Enter]);
    browser.wait_for_text("Counter");
    let row = desk.row("Counter");
    browser.wait("its first poll", |browser| browser.text_of(&row).contains("Success"));
    browser.press([Key::Tab, Key::Enter]);
    assert_eq!(browser.js("return document.activeElement.id"), "main", "the first Tab leads past the navigation");
    // A row that is replaced while it has the focus keeps the focus.
    browser.tab_to(&format!("{row} [formaction$='/disable']"));
    let focused = browser.js("return document.activeElement.id");
    host.command(["trigger", &charm]).unwrap().success().unwrap();
    browser.wait("another run", |browser| {
        let label =
            browser.js(&format!("return document.querySelector('{row} svg')?.getAttribute('aria-label') ?? ''"));
        label.as_str().unwrap().starts_with("2 newest runs")
    });
    assert_eq!(browser.js("return document.activeElement.id"), focused);
    browser.press([Key::Enter]);
    // The name of the state is on the previous page, too.
    browser.wait_for_text("it is no longer polled");
    browser.tab_to(&format!("{row} a[href$='/remove']"));
    browser.press([Key::Enter]);
    browser.wait_for_text("Remove the registration of Counter?");
    browser.tab_to(".danger");
    browser.press([Key::Enter]);
    browser.wait_for_text("No charm is registered yet.");
    desk.end();
}

#[test]
fn another_host_name_and_the_forms_of_other_pages_are_refused_with_the_reason() {
    let Some(desk) = desk(&["--interval", "1h"]) else { return };
    let Desk { browser, host, url, .. } = &desk;
    let charm = counter(host, "my-space");
    desk.log_in();
    let port = url.split(':').nth(2).unwrap().split('/').next().unwrap();
    browser.go(&format!("http://{ELSEWHERE}:{port}/admin"));
    browser.wait_for_text("does not answer to the host name");
    assert!(browser.text().contains("--allow-host"), "{}", browser.text());

    let site = FakeSite::start().unwrap();
    let form = format!("<form method=post action='{url}/charms/{charm}/remove'><button>Free mail</button></form>");
    site.put("/trap.html", "text/html", &form);
    // On this machine, which browsers treat as the same site: the cookie is sent.
    browser.go(&site.url("/trap.html"));
    browser.click("button");
    browser.wait_for_text("a page of another origin");
    // On another machine it is not.
    browser.go(&site.url("/trap.html").replace("127.0.0.1", ELSEWHERE));
    browser.click("button");
    browser.wait_for_text("only the operator may do this");
    assert!(host.command(["list"]).unwrap().success().unwrap().stdout.contains(&charm));
    desk.end();
}

#[test]
fn the_list_fits_the_screen_in_light_and_dark() {
    let Some(desk) = desk(&["--interval", "1"]) else { return };
    let Desk { browser, host, .. } = &desk;
    for space in ["one", "two", "three"] {
        counter(host, space);
    }
    let chatty = deploy(host, &fixture("chatty.tsx"), "one", &json!({}));
    register(host, &chatty, "news");
    let off = counter(host, "four");
    host.command(["disable", &off]).unwrap().success().unwrap();
    desk.log_in();
    browser.wait("several polls", |browser| browser.count("#rows svg path.ok") >= 3);
    for (dark, name) in [(false, "list-light"), (true, "list-dark")] {
        browser.dark(dark);
        browser.screenshot(name);
    }
    // Nothing is cut off, and nothing overlaps.
    let wide = browser.js("return document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(wide, true);
    desk.end();
}
