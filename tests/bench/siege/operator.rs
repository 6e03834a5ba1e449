//! An operator who views the admin page once a second.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::stage::{LOGIN_TOKEN, Stage};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the operator waits for a page.
const PATIENCE: Duration = Duration::from_secs(10);

/// A requested page.
pub(crate) struct Page {
    pub(crate) name: &'static str,
    asked: Instant,
    pub(crate) took: Duration,
    /// The status; `None` if there was no answer.
    pub(crate) status: Option<u16>,
}

/// Keeps viewing pages until stopped.
pub(crate) struct Operator {
    pages: Arc<Mutex<Vec<Page>>>,
    began: Instant,
    goes: CancellationToken,
    task: JoinHandle<()>,
}

impl Operator {
    /// Starts viewing: the list, the page of a charm, and the metrics, each over its own connection.
    pub(crate) fn watch(stage: &Stage, server: SocketAddr) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build()?;
        let charm = &stage.targets.healthy[0];
        let addresses = [
            ("list", format!("http://{server}/admin")),
            ("charm", format!("http://{server}/admin/charms/{}/{}", charm.space, charm.charm)),
            ("metrics", format!("http://{server}/metrics")),
        ];
        let pages = Arc::new(Mutex::new(Vec::new()));
        let (noted, goes) = (pages.clone(), CancellationToken::new());
        let task = stage.runtime.spawn(look(client, addresses, noted, goes.clone()));
        Ok(Self { pages, began: Instant::now(), goes, task })
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Vec<Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The siege begins: earlier requests do not count.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Whether each page was delivered.
    pub(crate) fn has_seen_all(&self) -> bool {
        let pages = self.pages();
        ["list", "charm", "metrics"].iter().all(|name| {
            pages.iter().any(|page| page.asked >= self.began && page.name == *name && page.status == Some(200))
        })
    }

    /// Stops, once each requested page has arrived or timed out.
    pub(crate) fn end(self, stage: &Stage) -> anyhow::Result<Vec<Page>> {
        self.goes.cancel();
        stage.runtime.block_on(self.task)?;
        let pages = std::mem::take(&mut *self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(pages.into_iter().filter(|page| page.asked >= self.began).collect())
    }
}

async fn look(
    client: reqwest::Client,
    addresses: [(&'static str, String); 3],
    noted: Arc<Mutex<Vec<Page>>>,
    goes: CancellationToken,
) {
    let (mut every, mut asked) = (interval(EVERY), JoinSet::new());
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while goes.run_until_cancelled(every.tick()).await.is_some() {
        for (name, address) in addresses.clone() {
            let (client, noted) = (client.clone(), noted.clone());
            asked.spawn(async move {
                let asked = Instant::now();
                let status = fetch(&client, &address).await.ok();
                let page = Page { name, asked, took: asked.elapsed(), status };
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(page);
            });
        }
    }
    while asked.join_next().await.is_some() {}
}

/// Fetches the whole page.
async fn fetch(client: &reqwest::Client, address: &str) -> reqwest::Result<u16> {
    let response = client.get(address).bearer_auth(LOGIN_TOKEN).send().await?;
    let status = response.status().as_u16();
    response.bytes().await?;
    Ok(status)
}
