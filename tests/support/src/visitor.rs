//! A person's browser without a window: it keeps cookies and follows redirects.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use url::Url;

use crate::http::request;

/// No sign-in has more redirects.
const MAX_REDIRECTS: usize = 20;

/// Follows `from` until a redirect leads to a URL that starts with `until`, and returns that URL without opening it: as
/// a browser does that cannot reach the redirect URL. Servers on loopback only.
pub fn follow_redirects(from: &str, until: &str) -> anyhow::Result<String> {
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let mut url: Url = from.parse()?;
    for _ in 0..MAX_REDIRECTS {
        let address = url.socket_addrs(|| None)?.into_iter().find(|address| address.ip().is_loopback());
        let address = address.with_context(|| format!("{url} is not on this machine"))?;
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = request(address, "GET", &target, &[("Cookie", &pairs.join("; "))], b"")?;
        for (_, value) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let Some(location) = reply.header("location") else {
            bail!("{} answers {} and leads nowhere: {}", url.path(), reply.status, reply.text());
        };
        let next = url.join(location)?;
        if next.as_str().starts_with(until) {
            return Ok(next.into());
        }
        url = next;
    }
    bail!("there are more than {MAX_REDIRECTS} redirects")
}
