//! An operator who looks at the admin page once a second.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::stage::{LOGIN_TOKEN, Stage};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the operator waits for a page.
const PATIENCE: Duration = Duration::from_secs(10);

/// A page that was asked for.
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    /// The status; none if there was no answer.
    pub(crate) status: Option<u16>,
}

/// Looks on, until it is ended.
pub(crate) struct Operator {
    pages: Arc<Mutex<Vec<Page>>>,
    task: JoinHandle<()>,
}

impl Operator {
    /// Begins to look: at the list, the page of a charm, and the metrics, each by a connection of its own.
    pub(crate) fn watch(stage: &Stage, server: SocketAddr) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build()?;
        let charm = &stage.targets.healthy[0];
        let addresses = [
            ("list", format!("http://{server}/admin")),
            ("charm", format!("http://{server}/admin/charms/{}/{}", charm.space, charm.charm)),
            ("metrics", format!("http://{server}/metrics")),
        ];
        let pages = Arc::new(Mutex::new(Vec::new()));
        let noted = pages.clone();
        let task = stage.runtime.spawn(async move {
            let mut every = interval(EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                every.tick().await;
                for (name, address) in addresses.clone() {
                    let (client, noted) = (client.clone(), noted.clone());
                    tokio::spawn(async move {
                        let began = Instant::now();
                        let status = fetch(&client, &address).await.ok();
                        let page = Page { name, took: began.elapsed(), status };
                        noted.lock().unwrap_or_else(PoisonError::into_inner).push(page);
                    });
                }
            }
        });
        Ok(Self { pages, task })
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Vec<Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The siege begins: what was before does not count.
    pub(crate) fn begin(&self) {
        self.pages().clear();
    }

    /// Whether each page was seen.
    pub(crate) fn has_seen_all(&self) -> bool {
        let pages = self.pages();
        ["list", "charm", "metrics"]
            .iter()
            .all(|name| pages.iter().any(|page| page.name == *name && page.status == Some(200)))
    }

    /// Ends; all pages that were asked for, as far as their answer or the end of patience came.
    pub(crate) fn end(self) -> Vec<Page> {
        self.task.abort();
        std::mem::take(&mut *self.pages())
    }
}

/// The whole page.
async fn fetch(client: &reqwest::Client, address: &str) -> reqwest::Result<u16> {
    let response = client.get(address).bearer_auth(LOGIN_TOKEN).send().await?;
    let status = response.status().as_u16();
    response.bytes().await?;
    Ok(status)
}
