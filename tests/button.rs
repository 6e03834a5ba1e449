//! `<ct-updater>`, on pages of other origins, in a real browser.

use bg_test_support::{Browser, ELSEWHERE, FakeSite, Running, TestHost};
use serde_json::{Value, json};

use crate::common::{self, deploy, fixture, host, pictures};

fn serve(host: &TestHost, options: &[&str]) -> (Running, String) {
    let (server, address) = common::serve(host, "127.0.0.1:0", options);
    host.command(["add-admin-charm"]).unwrap().success().unwrap();
    (server, format!("http://{address}"))
}

fn registered(host: &TestHost) -> Vec<Value> {
    let listed = host.command(["list", "--json"]).unwrap().success().unwrap();
    serde_json::from_str(&listed.stdout).unwrap()
}

/// Presses the button of a page, and returns its final text and state.
fn press(browser: &Browser, url: &str) -> (String, String) {
    browser.go(url);
    browser.wait("the button", |browser| {
        browser.js("return document.querySelector('ct-updater')?.shadowRoot?.querySelector('button') !== null") == true
    });
    browser.js(
        "window.states = []; const element = document.querySelector('ct-updater');
         new MutationObserver(() => states.push(element.getAttribute('state'))).observe(element, { attributeFilter: ['state'] });
         element.shadowRoot.querySelector('button').click();",
    );
    browser.wait("its end", |browser| browser.js("return ['success', 'failure'].includes(states.at(-1))") == true);
    assert_eq!(browser.js("return states[0]"), "pending");
    let said =
        browser.js("return document.querySelector('ct-updater').shadowRoot.querySelector('[role=status]').textContent");
    let state = browser.js("return states.at(-1)");
    (said.as_str().unwrap().to_owned(), state.as_str().unwrap().to_owned())
}

#[test]
fn the_button_registers_its_charm_from_allowed_pages() {
    let Some(browser) = Browser::start(pictures()) else { return };
    let host = host();
    let site = FakeSite::start().unwrap();
    let elsewhere = site.base_url().replace("127.0.0.1", ELSEWHERE);
    let (server, url) = serve(&host, &["--allow-origin", &elsewhere]);
    let script = format!("<script src='{url}/ct-updater.js'></script>");
    let (one, two) = (
        deploy(&host, &fixture("counter.tsx"), "one", &json!({})),
        deploy(&host, &fixture("counter.tsx"), "two", &json!({})),
    );
    let (space, id) = one.split_once('/').unwrap();
    let full =
        format!("<ct-updater charm-id='{id}' space='{space}' integration='my-test'>Keep it fresh</ct-updater>{script}");
    site.put("/full.html", "text/html", &full);
    // The original's markup, on a page that names its charm.
    let (space, id) = two.split_once('/').unwrap();
    let original = format!(
        "<div data-charm-id='{id}' data-space='{space}'><ct-updater integration='news'></ct-updater></div>{script}"
    );
    site.put("/original.html", "text/html", &original);

    assert_eq!(press(&browser, &format!("{elsewhere}/full.html")), ("Registered".to_owned(), "success".to_owned()));
    browser.screenshot("button-success");
    assert_eq!(press(&browser, &format!("{elsewhere}/original.html")), ("Registered".to_owned(), "success".to_owned()));
    let entries = registered(&host);
    let integration = |charm: &str| {
        let entry = entries.iter().find(|entry| {
            charm.ends_with(entry["charmId"].as_str().unwrap()) && charm.starts_with(entry["space"].as_str().unwrap())
        });
        entry.map(|entry| entry["integration"].clone())
    };
    assert_eq!((integration(&one), integration(&two)), (Some(json!("my-test")), Some(json!("news"))));
    drop(browser);
    server.terminate().unwrap().success().unwrap();
}

#[test]
fn the_button_shows_why_it_was_refused_or_failed() {
    let Some(browser) = Browser::start(pictures()) else { return };
    let host = host();
    let site = FakeSite::start().unwrap();
    let elsewhere = site.base_url().replace("127.0.0.1", ELSEWHERE);
    let (server, url) = serve(&host, &[]);
    let charm = deploy(&host, &fixture("no-updater.tsx"), "one", &json!({}));
    let (space, id) = charm.split_once('/').unwrap();
    let script = format!("<script src='{url}/ct-updater.js'></script>");
    let page = |element: String| format!("{element}{script}");
    site.put(
        "/full.html",
        "text/html",
        &page(format!("<ct-updater charm-id='{id}' space='{space}' integration='a'></ct-updater>")),
    );
    site.put("/none.html", "text/html", &page("<ct-updater integration='a'></ct-updater>".to_owned()));
    let nowhere = format!(
        "<ct-updater api-url='http://127.0.0.1:9' charm-id='{id}' space='{space}' integration='a'></ct-updater>"
    );
    site.put("/nowhere.html", "text/html", &page(nowhere));

    let (said, state) = press(&browser, &format!("{elsewhere}/full.html"));
    assert_eq!(state, "failure");
    assert!(said.contains(&format!("--allow-origin {elsewhere}")), "{said}");
    browser.screenshot("button-failure");
    // A page on this machine is allowed, and gets the error about the charm.
    let (said, state) = press(&browser, &site.url("/full.html"));
    assert_eq!(state, "failure");
    assert!(said.contains("bgUpdater"), "{said}");
    let (said, _) = press(&browser, &site.url("/nowhere.html"));
    assert_eq!(said, "http://127.0.0.1:9 cannot be reached");
    browser.go(&site.url("/none.html"));
    browser.js("document.querySelector('ct-updater').shadowRoot.querySelector('button').click()");
    let said =
        browser.js("return document.querySelector('ct-updater').shadowRoot.querySelector('[role=status]').textContent");
    assert_eq!(said, "the page does not say: charm-id, space");
    assert_eq!(registered(&host), Vec::<Value>::new());
    drop(browser);
    server.terminate().unwrap().success().unwrap();
}
