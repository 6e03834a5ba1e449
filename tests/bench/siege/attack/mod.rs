//! The attacks, and the process that they come from: its memory and processor time are not the server's.

mod bodies;
mod calls;
mod client;
mod deploys;
mod idle;
mod logins;
mod nonces;
mod pages;
mod refreshes;
mod registrations;
mod replays;
mod storage;
mod tally;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bg_identity::{Identity, SpaceDid};
use bg_poller::CharmRef;
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use client::Client;
pub(crate) use tally::Tallies;
use tally::Tally;

/// How often the attackers report results.
const SAY: Duration = Duration::from_millis(500);
/// Real attackers would have their own processors elsewhere: here they get what the server and its service leave over.
const NICE: i32 = 10;
/// The number of tenants, each with a key and a space.
pub(crate) const TENANTS: usize = 8;

/// One kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attack {
    /// Silent or very slow connections, renewed all the time.
    Idle,
    /// Sources that are far more expensive to parse than to send, by a stranger and by a tenant.
    Deploys,
    /// Valid signatures of a key without any rights, to fill the memory of nonces.
    Nonces,
    /// Captured requests of the service, sent again.
    Replays,
    /// Large, slow bodies, with bogus and with valid signatures.
    Bodies,
    /// Events for charms that loop forever or take all memory, by one signer.
    Calls,
    /// The page of a large charm, over and over.
    Pages,
    /// New spaces, charms and values, as fast as they are accepted.
    Storage,
    /// Unsigned registrations.
    Registrations,
    /// Wrong login tokens.
    Logins,
    /// Renewals of an OAuth token.
    Refreshes,
}

/// What attackers know of the server's charms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Targets {
    /// Charms that the service polls, in spaces that only it may write in.
    pub(crate) healthy: Vec<CharmRef>,
    /// The space of each tenant. The charms that follow are in the first one's.
    pub(crate) own: Vec<SpaceDid>,
    pub(crate) looping: Vec<CharmRef>,
    pub(crate) growing: Vec<CharmRef>,
    pub(crate) large: CharmRef,
    pub(crate) account: CharmRef,
}

/// The task of the attackers' process, until it is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) server: SocketAddr,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) addresses: u8,
    pub(crate) targets: Targets,
    pub(crate) service_key: PathBuf,
}

/// The key of a tenant.
pub(crate) fn tenant(number: usize) -> Identity {
    Identity::from_passphrase(&format!("tenant {number} of the siege"))
}

/// A key without any rights.
fn stranger() -> Identity {
    Identity::from_passphrase("a stranger of the siege")
}

/// The inputs of an attack.
struct Field {
    client: Client,
    targets: Targets,
    /// The key of the service. It stands for an attacker who captures what the service sends: it only signs requests
    /// that the service itself would sign.
    service: Identity,
}

impl Field {
    fn tally(&self) -> &Tally {
        &self.client.tally
    }
}

impl Attack {
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The attack's own loopback addresses.
    fn addresses(self, count: u8) -> Vec<Ipv4Addr> {
        (1..=count.max(1)).map(|last| Ipv4Addr::new(127, 0, 100 + self as u8, last)).collect()
    }

    async fn run(self, field: Arc<Field>) {
        match self {
            Self::Idle => idle::run(field).await,
            Self::Deploys => deploys::run(field).await,
            Self::Nonces => nonces::run(field).await,
            Self::Replays => replays::run(field).await,
            Self::Bodies => bodies::run(field).await,
            Self::Calls => calls::run(field).await,
            Self::Pages => pages::run(field).await,
            Self::Storage => storage::run(field).await,
            Self::Registrations => registrations::run(field).await,
            Self::Logins => logins::run(field).await,
            Self::Refreshes => refreshes::run(field).await,
        }
    }
}

/// Runs `count` workers concurrently, each with its number.
async fn at_once<W>(count: usize, worker: impl Fn(usize) -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    let mut workers: JoinSet<()> = (0..count).map(worker).collect();
    while workers.join_next().await.is_some() {}
}

/// The attackers' process: attacks and reports results, until it is killed or nobody reads the reports.
pub(crate) fn main(orders: &Path) -> anyhow::Result<()> {
    let orders: Orders = serde_json::from_str(&std::fs::read_to_string(orders)?)?;
    nice(NICE)?;
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tallies: BTreeMap<Attack, Arc<Field>> = orders
        .attacks
        .iter()
        .map(|attack| anyhow::Ok((*attack, Arc::new(field(&orders, *attack)?))))
        .collect::<Result<_, _>>()?;
    for (attack, field) in &tallies {
        runtime.spawn(attack.run(field.clone()));
    }
    loop {
        std::thread::sleep(SAY);
        let counts: BTreeMap<_, _> = tallies.iter().map(|(attack, field)| (attack, field.tally().counts())).collect();
        if writeln!(std::io::stdout(), "{}", serde_json::to_string(&counts)?).is_err() {
            runtime.shutdown_background();
            return Ok(());
        }
    }
}

fn field(orders: &Orders, attack: Attack) -> anyhow::Result<Field> {
    Ok(Field {
        client: Client::new(orders.server, attack.addresses(orders.addresses))?,
        targets: orders.targets.clone(),
        service: Identity::load(&orders.service_key)?,
    })
}
