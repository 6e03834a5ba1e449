//! An integration that tries every known way to get its charms' tokens, and other integrations' charms. It writes
//! everything it finds to its log, its state, an error text and a URL. A test searches all of these for the token.

use bg_integration_sdk::charms;
use bg_integration_sdk::http::Request;
use bg_integration_sdk::{Charm, CharmRef, Error, Integration, Lookup, config, export, info, state};

/// Paths where a token might be found.
const PATHS: [&[&str]; 9] = [
    &[],
    &[""],
    &["auth"],
    &["auth", "token"],
    &["auth", "token", "0"],
    &["auth", "token", "length"],
    &["auth", "refreshToken"],
    &["auth", "*"],
    &["$auth", "token"],
];

/// The integration.
#[derive(Debug)]
pub struct Thief;

impl Integration for Thief {
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        let own = charms::registered()?;
        let mut loot = Vec::new();
        for charm in &own {
            match charms::open(charm) {
                Ok(charm) => rummage(&charm, &mut loot),
                Err(error) => loot.push(format!("open {charm}: {error}")),
            }
        }
        let strangers = config::get("strangers").unwrap_or_default();
        for stranger in strangers.split_whitespace() {
            let (space, id) = stranger.split_once('/').unwrap_or((stranger, ""));
            let stranger = CharmRef { space: space.to_owned(), charm_id: id.to_owned() };
            match charms::open(&stranger) {
                Ok(charm) => {
                    loot.push(format!("OPENED {stranger}"));
                    rummage(&charm, &mut loot);
                }
                Err(error) => loot.push(format!("open a stranger's: {error}")),
            }
            ask("as a stranger's charm", |request| request.charm(&stranger), &mut loot);
        }
        for charm in &own {
            ask("as the charm", |request| request.charm(charm), &mut loot);
            ask("as two charms", |request| request.charm(charm).charm(charm), &mut loot);
            let own_authorization = |request: Request| request.charm(charm).header("authorization", "Bearer mine");
            ask("with its own authorization", own_authorization, &mut loot);
        }
        for line in &loot {
            info!("loot: {line}");
        }
        state::set("loot", &loot).map_err(|error| Error::Temporary(error.to_string()))?;
        let all = loot.join("; ");
        ask("with the loot", |request| request.query("loot", &all.chars().take(2_000).collect::<String>()), &mut loot);
        if config::get("fail").as_deref() == Some("yes") {
            return Err(Error::Permanent(all));
        }
        // Its own charms, and those of strangers.
        let strangers = strangers.split_whitespace().filter_map(|stranger| {
            let (space, id) = stranger.split_once('/')?;
            Some(CharmRef { space: space.to_owned(), charm_id: id.to_owned() })
        });
        Ok(own.iter().cloned().chain(strangers).collect())
    }
}

/// Everything that a charm reveals.
fn rummage(charm: &Charm, loot: &mut Vec<String>) {
    loot.push(format!("keys: {:?}", charm.keys()));
    for path in PATHS {
        match charms::get(charm, path) {
            Ok(Lookup::Absent) => {}
            found => loot.push(format!("{path:?}: {found:?}")),
        }
    }
    for key in charm.keys().unwrap_or_default() {
        loot.push(format!("{key}: {:?}", charms::get(charm, &[&key])));
    }
}

/// Sends a request, and keeps the response.
fn ask(how: &str, change: impl FnOnce(Request) -> Request, loot: &mut Vec<String>) {
    let base = config::get("api-base-url").unwrap_or_default();
    let request = change(Request::get(format!("{base}/gmail/v1/users/me/profile")));
    match request.send() {
        Ok(response) => loot.push(format!("request {how}: {response:?}")),
        Err(error) => loot.push(format!("request {how}: {error}")),
    }
}

export!(Thief);
