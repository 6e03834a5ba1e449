//! The browser, on a page that keeps changing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bg_test_support::{Browser, FakeSite};

/// A page that reloads itself continuously, like a page that updates itself.
const RESTLESS: &str = "<p id=p>restless</p><script>
    sessionStorage.times = 1 + (+sessionStorage.times || 0);
    if (sessionStorage.times < 100) setTimeout(() => location.reload(), 5);
    else p.textContent = 'at rest';
</script>";

#[test]
fn a_page_that_reloads_meanwhile_is_still_read() {
    let Some(browser) = Browser::start(env!("CARGO_TARGET_TMPDIR")) else { return };
    let site = FakeSite::start().unwrap();
    site.put("/restless", "text/html", RESTLESS);
    browser.go(&site.url("/restless"));
    browser.wait_for_text("at rest");
    assert_eq!(browser.js("return sessionStorage.times"), "100");
}
