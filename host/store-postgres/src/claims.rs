//! Which host polls which charms: spaces are claimed by leases that end.
//!
//! Hosts do not know of each other. Each claims spaces whose first charm is due, by a lease with a number that no other
//! has, and keeps what its polls did by that number: of a lease that has ended nothing is kept. All times are the
//! database's; a host only subtracts.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bg_identity::{SpaceDid, SpaceReader};
use bg_poller::{CharmRef, Outcome, RuntimeError};
use bg_store::Finished;

use super::charms::charm_ref;
use super::error::Failure;
use super::keeper::Keeper;
use super::session::{Database, Locks, Session};
use super::values::{Columns as _, number, text, texts};

/// How long a lease lasts that is not renewed.
pub const LEASE: Duration = Duration::from_secs(10);
/// How much sooner than its first charm is due a space is claimed: the poll then starts on the host's own tick.
pub const AHEAD: Duration = Duration::from_millis(500);
/// How many charms of a space are answered with a claim. More are, once these are settled and the space is released.
const OF_A_SPACE: i64 = 16;
/// How much sooner than what was overdue at the last claim another may be: rows whose transaction was under way.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How often it is not relied on that nothing is sooner: a transaction may be under way for longer.
const UNBOUNDED_EVERY: u32 = 32;

/// The right to poll the charms of a space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceLease {
    /// Which space.
    pub space: SpaceDid,
    /// A number that no other lease has.
    pub number: i64,
}

/// A charm that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCharm {
    /// Which.
    pub charm: CharmRef,
    /// The version of its cells: a host that has them in this version reads nothing.
    pub version: i64,
    /// In how many milliseconds it is due; less than nothing if it is overdue.
    pub in_ms: i64,
    /// Failed polls in a row.
    pub failures: u32,
}

/// A space that was claimed, with those of its charms that are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The right to it.
    pub lease: SpaceLease,
    /// The first of its charms that are due.
    pub charms: Vec<DueCharm>,
}

/// A poll that has ended, and when the next one is due.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it did.
    pub finished: Finished,
    /// By which lease it was made.
    pub lease: i64,
    /// In how long its charm is due again.
    pub next_in: Duration,
    /// Failed polls in a row, with this one.
    pub failures: u32,
}

/// What became of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is kept, as [`keep`](bg_store::Charms::keep) says.
    Kept(Option<Outcome>),
    /// Its lease had ended: nothing of it is kept.
    Lost,
}

/// The claims of one host, which claims again after each [`pause`], renews its leases at a third of [`LEASE`], and starts
/// no poll in the last second of one, by its own clock since it *sent* the claim.
pub struct Claims {
    database: Arc<Database>,
    keeper: Arc<Keeper>,
    host: String,
    /// The oldest time that was found at the last claim, less [`UNDER_WAY`]: where a transaction was left open, the
    /// dead rows before that are not looked at again and again.
    from: i64,
    made: u32,
}

/// Between two claims of a host, on average.
const EVERY: Duration = Duration::from_millis(100);

/// How long a host waits before it claims again: half as long to half as much again, at random. Hosts that claim in step
/// would have one of them first each time, and most of the work.
pub fn pause() -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 1_001).unwrap_or_default();
    EVERY / 2 + EVERY * part / 1_000
}

/// Picks the spaces, before anything is joined: as a join it may be planned over the whole table.
const CLAIM: &str = "WITH before AS MATERIALIZED (SELECT space, vt FROM turns WHERE vt <= bg_began() + $3 AND vt >= $4 ORDER \
                     BY vt LIMIT $1 FOR UPDATE SKIP LOCKED), claimed AS (UPDATE turns SET vt = bg_began() + $5, lease = \
                     nextval('leases'), host = $2 WHERE space = ANY (ARRAY (SELECT space FROM before)) RETURNING space, \
                     lease) SELECT c.space, c.lease, b.vt FROM claimed c JOIN before b ON b.space = c.space";

const DUE: &str = "SELECT c.space, c.id, c.version, d.at - bg_began(), d.failures FROM unnest($1::text[]) AS of (space) CROSS \
                   JOIN LATERAL (SELECT * FROM due x WHERE x.space = of.space AND x.at <= bg_began() + $2 ORDER BY x.at \
                   LIMIT $3) d JOIN charms c ON c.row = d.charm ORDER BY d.at";

const RENEW: &str = "UPDATE turns SET vt = bg_began() + $3 FROM unnest($1::text[], $2::bigint[]) AS of (space, lease) WHERE \
                     turns.space = of.space AND turns.lease = of.lease AND turns.vt > bg_began() RETURNING turns.space";

/// Computes when the space is due in the statement after the one that has locked it: what was registered meanwhile
/// counts.
const RELEASE: &str = "UPDATE turns SET lease = 0, host = NULL, vt = greatest(bg_now(), coalesce((SELECT min(d.at) FROM due \
                       d WHERE d.space = turns.space), bg_now() + $3)) FROM unnest($1::text[], $2::bigint[]) AS of (space, \
                       lease) WHERE turns.space = of.space AND turns.lease = of.lease";

/// Spaces without charms that are due at any time go.
const FORGET: &str = "DELETE FROM turns USING unnest($1::text[]) AS of (space) WHERE turns.space = of.space AND lease = 0 AND \
                      NOT EXISTS (SELECT 1 FROM due d WHERE d.space = turns.space)";

impl Claims {
    pub(crate) fn new(database: Arc<Database>, keeper: Arc<Keeper>, host: &str) -> Self {
        Self { database, keeper, host: host.to_owned(), from: 0, made: 0 }
    }

    /// Claims at most `room` spaces whose first charm is due. `room` is what the caller can *finish*: its limit, less
    /// all that it has claimed and not settled. Who claims what can only wait loses the leases before it is settled,
    /// and with them all of the work.
    pub async fn claim(&mut self, room: usize) -> Result<Vec<Turn>, RuntimeError> {
        let failed = |failure| self.database.failed(failure);
        let session = self.database.session().await.map_err(failed)?;
        self.made = self.made.wrapping_add(1);
        let from = if self.made.is_multiple_of(UNBOUNDED_EVERY) { 0 } else { self.from };
        let (turns, oldest) = claim(&session, &self.host, room, from).await.map_err(failed)?;
        if let Some(oldest) = oldest {
            self.from = oldest - millis(UNDER_WAY);
        }
        Ok(turns)
    }

    /// The time from which the next claim looks.
    pub fn oldest_seen(&self) -> i64 {
        self.from
    }

    /// Extends leases, each by the full time from now on; answers those that have ended.
    pub async fn renew(&self, leases: &[SpaceLease]) -> Result<Vec<SpaceLease>, RuntimeError> {
        let renewed = async {
            let session = self.database.session().await?;
            let (spaces, numbers) = columns(leases);
            let rows = session.query(RENEW, &[&texts(spaces), &numbers, &millis(LEASE)]).await?;
            rows.iter().map(|row| row.text(0)).collect::<Result<BTreeSet<String>, Failure>>()
        };
        let held = renewed.await.map_err(|failure| self.database.failed(failure))?;
        Ok(leases.iter().filter(|lease| !held.contains(lease.space.as_str())).cloned().collect())
    }

    /// Gives back spaces: each is due again with the first of its charms. Leases that have ended are ignored.
    pub async fn release(&self, leases: &[SpaceLease]) -> Result<(), RuntimeError> {
        let leases = leases.to_vec();
        let spaces = leases.iter().map(|lease| lease.space.to_string()).collect();
        let released = self.database.write(Locks::Spaces { spaces, maker: None }, move |session| {
            Box::pin(async move {
                let (spaces, numbers) = columns(&leases);
                let spaces = texts(spaces);
                session.execute(RELEASE, &[&spaces, &numbers, &millis(LEASE)]).await?;
                session.execute(FORGET, &[&spaces]).await?;
                Ok(())
            })
        });
        released.await.map(drop)
    }

    /// Keeps polls that have ended, with when their charms are due next, in one transaction with others. Of a lease that
    /// has ended, nothing is kept.
    pub async fn settle(&self, ended: Vec<Ended>) -> Vec<Result<Settled, RuntimeError>> {
        self.keeper.settle(ended).await
    }
}

async fn claim(session: &Session, host: &str, room: usize, from: i64) -> Result<(Vec<Turn>, Option<i64>), Failure> {
    let rows =
        session.query(CLAIM, &[&number(room as u64), &text(host), &millis(AHEAD), &from, &millis(LEASE)]).await?;
    let (mut leases, mut oldest) = (BTreeMap::new(), None);
    let mut spaces = SpaceReader::default();
    for row in &rows {
        let time: i64 = row.column(2)?;
        oldest = Some(oldest.map_or(time, |oldest: i64| oldest.min(time)));
        // One whose name is damaged stays leased, and hides no other.
        let Ok(space) = row.parse(0, |text| spaces.read(text).ok()) else { continue };
        leases.insert(space.clone(), Turn { lease: SpaceLease { space, number: row.column(1)? }, charms: Vec::new() });
    }
    if leases.is_empty() {
        return Ok((Vec::new(), oldest));
    }
    let names = texts(leases.keys().map(SpaceDid::as_str));
    for row in session.query(DUE, &[&names, &millis(AHEAD), &OF_A_SPACE]).await? {
        let Ok(charm) = charm_ref(&row, 0, &mut spaces) else { continue };
        if let Some(turn) = leases.get_mut(&charm.space) {
            turn.charms.push(DueCharm {
                charm,
                version: row.column(2)?,
                in_ms: row.column(3)?,
                failures: row.unsigned(4)?,
            });
        }
    }
    Ok((leases.into_values().collect(), oldest))
}

fn columns(leases: &[SpaceLease]) -> (impl Iterator<Item = &str>, Vec<i64>) {
    (leases.iter().map(|lease| lease.space.as_str()), leases.iter().map(|lease| lease.number).collect())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
