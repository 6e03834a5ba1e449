//! What calls of charms have done, kept together: two round trips for as many as 256 of them, whatever they are.

use std::collections::{BTreeMap, BTreeSet};

use bg_charm_api::AccessLevel;
use bg_identity::Secret;
use bg_poller::{LogLine, Outcome, Run, RuntimeError};
use bg_seal::Key;
use bg_store::{
    Cause, CellTexts, Excess, Finished, Room, Rules, Size, Sizes, StoredCharm, leave_out, redact, said_bytes,
};
use tokio_postgres::Row;

use super::cells::{self, UPSERT, Upsert, secret_texts_in};
use super::charms::updated_at;
use super::claims::Settled;
use super::error::Failure;
use super::logs::{ADD_LINES, ADD_RUNS, DROP_LINES, DROP_RUNS, Lines, Runs, lines_kept};
use super::registrations::{self, NOTE_RUNS, Noted};
use super::session::{Asked, Locks, Session};
use super::tenants::Tenants;
use super::values::{Columns as _, text, texts};

/// How a call ended.
pub(crate) type Kept = Result<Settled, RuntimeError>;

/// A call that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) finished: Finished,
    /// By which lease it was made, if it was made by one.
    pub(crate) fence: Option<Fence>,
}

/// What a call is kept by, and when its charm is due next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    pub(crate) lease: i64,
    pub(crate) next_in: i64,
    pub(crate) failures: u32,
}

/// What is known of a charm before a call is kept.
struct Before {
    version: i64,
    updated_at: u64,
    /// The key that made its space.
    creator: Option<String>,
    /// What anyone may do there.
    anyone: Option<AccessLevel>,
    size: Size,
    /// The sealed cells, if what the call says may quote them.
    sealed: Result<CellTexts, Failure>,
}

const BEFORE: &str = "SELECT of.at, c.version, c.updated_at, h.creator, (SELECT a.level FROM acl a WHERE a.space = c.space \
                      AND a.subject = '*'), s.cells, s.bytes, ARRAY (SELECT x.name FROM cells x WHERE of.quotes AND \
                      x.charm = c.row AND x.sealed ORDER BY x.name), ARRAY (SELECT x.document FROM cells x WHERE \
                      of.quotes AND x.charm = c.row AND x.sealed ORDER BY x.name) FROM unnest($1::bigint[], $2::bool[]) \
                      WITH ORDINALITY AS of (charm, quotes, at) JOIN charms c ON c.row = of.charm LEFT JOIN holdings h ON \
                      h.space = c.space CROSS JOIN LATERAL (SELECT count(*) AS cells, \
                      coalesce(sum(octet_length(x.document)), 0)::bigint AS bytes FROM cells x WHERE x.charm = c.row) s";

/// What the cells take that are to be written.
const WRITTEN: &str = "SELECT of.at, x.name, octet_length(x.document)::bigint FROM unnest($1::bigint[], $2::text[], \
                       $3::bigint[]) AS of (charm, name, at) JOIN cells x ON x.charm = of.charm AND x.name = of.name";

/// What those keep in all who made these spaces.
const KEPT_BY: &str = "SELECT creator, sum(bytes)::bigint FROM holdings WHERE creator IN (SELECT creator FROM holdings \
                       WHERE space = ANY ($1)) GROUP BY creator";

/// The leases that are held of these spaces: nobody claims one of them until this transaction has ended.
const HELD: &str = "SELECT space, lease FROM turns WHERE space = ANY ($1) AND vt > bg_now() ORDER BY space FOR UPDATE";

const PLAN: &str = "UPDATE due SET at = bg_now() + n.next_in, failures = n.failures FROM unnest($1::bigint[], $2::bigint[], \
                    $3::bigint[]) AS n (charm, next_in, failures) WHERE due.charm = n.charm";

const ADVANCE: &str = concat!(
    "UPDATE charms c SET version = c.version + CASE WHEN n.wrote THEN 1 ELSE 0 END, updated_at = CASE WHEN n.wrote THEN ",
    updated_at!(),
    " ELSE c.updated_at END, changed = CASE WHEN n.followed THEN '[]' ELSE c.changed END FROM unnest($1::bigint[], \
     $2::bool[], $3::bool[]) AS n (charm, wrote, followed) WHERE c.row = n.charm"
);

/// One call of a group.
struct Call {
    charm: std::sync::Arc<StoredCharm>,
    run: Run,
    /// What is to be written; nothing if that was refused.
    writes: CellTexts,
    log: Vec<LogLine>,
    cause: Cause,
    runs_kept: u32,
    fence: Option<Fence>,
    /// What comes of it.
    kept: Kept,
    /// Whether its cells are to be written.
    wrote: bool,
    /// Whether what others wrote was followed.
    followed: bool,
    /// Whether it wakes its charm, and whether only after its run is noted.
    wakes: Option<AfterNoting>,
}

type AfterNoting = bool;

impl Call {
    fn is_kept(&self) -> bool {
        matches!(self.kept, Ok(Settled::Kept(Some(_))))
    }

    /// Whether what it says may have secrets in it.
    fn quotes(&self) -> bool {
        !self.run.outcome.is_success() || !self.run.outcome.servers.is_empty() || !self.log.is_empty()
    }
}

impl From<Pending> for Call {
    fn from(Pending { finished, fence }: Pending) -> Self {
        let Finished { charm, run, writes, log, cause, runs_kept } = finished;
        let kept = Ok(Settled::Lost);
        Self { charm, run, writes, log, cause, runs_kept, fence, kept, wrote: false, followed: false, wakes: None }
    }
}

/// Keeps calls of different charms in one transaction, or none of them. Answers how each ended, in their order, and the
/// revision of the registrations, if it changed.
pub(crate) async fn keep(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    pending: Vec<Pending>,
) -> Result<(Vec<Kept>, Option<u64>), Failure> {
    let mut calls: Vec<Call> = pending.into_iter().map(Call::from).collect();
    let read = read(session, key, &calls).await?;
    decide(session, tenants, &mut calls, read).await?;
    let revision = write(session, key, &calls).await?;
    Ok((calls.into_iter().map(|call| call.kept).collect(), revision))
}

/// What is known before anything is written.
#[derive(Default)]
struct Read {
    /// By the place of each call that has a charm yet, with the bytes of those cells that it writes.
    before: BTreeMap<usize, (Before, BTreeMap<String, u64>)>,
    /// What makers of spaces keep in all.
    held: BTreeMap<String, u64>,
    /// The leases of spaces.
    leases: BTreeMap<String, i64>,
}

/// Locks the spaces, and reads what there is to know: one round trip.
async fn read(session: &mut Session, key: &Key, calls: &[Call]) -> Result<Read, Failure> {
    let spaces: BTreeSet<&str> = calls.iter().map(|call| call.charm.summary.charm.space.as_str()).collect();
    let locks = Locks::Spaces { spaces: spaces.iter().map(|space| (*space).to_owned()).collect(), maker: None };
    let spaces = texts(spaces);
    let rows: Vec<i64> = calls.iter().map(|call| call.charm.row).collect();
    let quotes: Vec<bool> = calls.iter().map(Call::quotes).collect();
    let (mut charms, mut names, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (place, call) in (1_i64..).zip(calls) {
        for name in call.writes.keys() {
            charms.push(call.charm.row);
            names.push(text(name));
            places.push(place);
        }
    }
    let mut asked = vec![
        Asked { sql: BEFORE, params: vec![&rows, &quotes] },
        Asked { sql: WRITTEN, params: vec![&charms, &names, &places] },
        Asked { sql: KEPT_BY, params: vec![&spaces] },
    ];
    if calls.iter().any(|call| call.fence.is_some()) {
        asked.push(Asked { sql: HELD, params: vec![&spaces] });
    }
    let read = session.begin_and_read(&locks, &asked).await?;
    let [before, written, held, leases @ ..] = read.as_slice() else { return Ok(Read::default()) };
    let mut all = BTreeMap::new();
    for row in before {
        let place = place_of(row)?;
        if let Some(call) = calls.get(place) {
            all.insert(place, (before_of(row, key, call)?, BTreeMap::new()));
        }
    }
    for row in written {
        if let Some((_, written)) = all.get_mut(&place_of(row)?) {
            written.insert(row.text(1)?, row.unsigned(2)?);
        }
    }
    let held = held.iter().map(|row| Ok((row.text(0)?, row.unsigned(1)?))).collect::<Result<_, Failure>>()?;
    let leases = leases.iter().flatten().map(|row| Ok((row.text(0)?, row.column(1)?)));
    Ok(Read { before: all, held, leases: leases.collect::<Result<_, Failure>>()? })
}

/// The place of a row's call in the group.
fn place_of(row: &Row) -> Result<usize, Failure> {
    Ok(row.unsigned::<usize>(0)?.saturating_sub(1))
}

fn before_of(row: &Row, key: &Key, call: &Call) -> Result<Before, Failure> {
    let charm = &call.charm.summary.charm;
    let documents: Vec<Vec<u8>> = row.column(8)?;
    let sealed = row.texts(7)?.into_iter().zip(documents).map(|(name, document)| {
        let text = cells::opened(key, charm, &name, true, document)?;
        Ok((name, text))
    });
    Ok(Before {
        version: row.column(1)?,
        updated_at: row.unsigned(2)?,
        creator: row.optional_text(3)?,
        anyone: row.parse_optional(4, super::values::said)?,
        size: Size { cells: row.unsigned(5)?, bytes: row.unsigned(6)? },
        sealed: sealed.collect(),
    })
}

/// Decides of each call what is kept.
async fn decide(
    session: &Session,
    tenants: &Tenants,
    calls: &mut [Call],
    Read { mut before, mut held, leases }: Read,
) -> Result<(), Failure> {
    let mut room = None;
    for (place, call) in calls.iter_mut().enumerate() {
        let lease = leases.get(call.charm.summary.charm.space.as_str());
        if call.fence.is_some_and(|fence| lease != Some(&fence.lease)) {
            continue;
        }
        let Some((before, written)) = before.remove(&place) else {
            // It was deleted while the handler ran. One that was deployed since is another charm.
            call.kept = Err(RuntimeError::NotFound(call.charm.summary.charm.clone()));
            continue;
        };
        let is_open = tenants.rules.is_shared() && before.anyone >= Some(AccessLevel::Write);
        let is_bounded = before.creator.is_some() || is_open;
        if is_bounded && room.is_none() {
            room = Some(tenants.room(session).await?);
        }
        let bounds = Bounds { room: room.as_ref().filter(|_| is_bounded), creator: before.creator.as_deref() };
        match decide_one(tenants, call, &before, &written, &bounds, &mut held) {
            Ok(kept) => call.kept = Ok(Settled::Kept(kept)),
            // Of one charm: the others are as they were.
            Err(failure @ Failure::Damaged(_)) => call.kept = Err(failure.into_runtime(session.shown())),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// What bounds a charm, beside what bounds each.
struct Bounds<'b> {
    /// The room for all, if that bounds it.
    room: Option<&'b Room>,
    /// The key that made its space.
    creator: Option<&'b str>,
}

impl Bounds<'_> {
    /// Whether its maker would keep too much with these bytes more.
    fn excess_of_maker(&self, rules: &Rules, held: &BTreeMap<String, u64>, more: i64) -> Option<String> {
        let creator = self.creator?;
        rules.excess_of(creator, held.get(creator).copied().unwrap_or_default().saturating_add_signed(more))
    }
}

fn decide_one(
    tenants: &Tenants,
    call: &mut Call,
    before: &Before,
    written: &BTreeMap<String, u64>,
    bounds: &Bounds<'_>,
    held: &mut BTreeMap<String, u64>,
) -> Result<Option<Outcome>, Failure> {
    let charm = std::sync::Arc::clone(&call.charm);
    let name = &charm.summary.charm;
    let mut version = before.version;
    if !call.writes.is_empty() {
        let sizes = Sizes::of(before.size, &call.writes, |name| Ok::<_, Failure>(written.get(name).copied()))?;
        let excess = sizes.excess(name).map(Excess::of_charm).or_else(|| excess(tenants, bounds, held, &sizes));
        if let Some(excess) = excess {
            call.run.outcome = excess.into_outcome();
            call.writes.clear();
        } else if before.version == charm.version {
            call.wrote = true;
            version += 1;
            if let Some(creator) = bounds.creator {
                let all = held.entry(creator.to_owned()).or_default();
                *all = all.saturating_add_signed(sizes.growth());
            }
        } else {
            return Ok(None);
        }
    }
    let expected = charm.version + i64::from(call.wrote);
    call.followed = call.run.outcome.is_success() && !charm.changed.is_empty() && version == expected;
    if call.quotes() {
        let sealed = match &before.sealed {
            Ok(sealed) => sealed,
            Err(Failure::Damaged(what)) => return Err(Failure::Damaged(what.clone())),
            Err(failure) => return Err(Failure::NoConnection(failure.to_string())),
        };
        // Those that it replaced, and those that it wrote: it knew both.
        let mut secrets = secret_texts_in(name, &charm.secrets, sealed)?;
        secrets.extend(secret_texts_in(name, &charm.secrets, &call.writes)?);
        let secrets: Vec<Secret> = secrets.into_iter().map(|secret| secret.text).collect();
        if !call.run.outcome.is_success() || !call.run.outcome.servers.is_empty() {
            let outcome = std::mem::replace(&mut call.run.outcome, Outcome::success());
            call.run.outcome = redact::redact(outcome, &secrets);
        }
        redact::lines(&mut call.log, &secrets);
    }
    if let Some(room) = bounds.room {
        let said = i64::try_from(said_bytes(&call.run, &call.log)).unwrap_or(i64::MAX);
        let full = bounds.excess_of_maker(&tenants.rules, held, said).or_else(|| match room {
            Room::Exhausted(why) => Some(why.to_string()),
            Room::Plenty | Room::Low(_) => None,
        });
        if let Some(why) = full {
            leave_out(&why, &mut call.run, &mut call.log);
        }
    }
    let is_changed_by_others =
        call.wrote || (before.version != charm.version && before.updated_at != charm.summary.updated_at.0);
    call.wakes = match call.cause {
        // Its polls may have waited for this.
        Cause::Update | Cause::Somebody if call.run.outcome.is_success() => Some(false),
        // What it waits for may have come after its cells were read, which may be before it started.
        Cause::Poll | Cause::Update if call.run.outcome.consequence().awaits_a_fix() && is_changed_by_others => {
            Some(true)
        }
        _ => None,
    };
    Ok(Some(call.run.outcome.clone()))
}

/// What would be too much if a handler made its charm's cells take that. Charms of the operator's spaces are bounded by
/// the disk alone, unless others may have charms there; and what does not grow is kept as long as the disk takes it.
fn excess(tenants: &Tenants, bounds: &Bounds<'_>, held: &BTreeMap<String, u64>, sizes: &Sizes) -> Option<Excess> {
    let room = bounds.room?;
    let grows = sizes.growth();
    if grows <= 0 {
        return None;
    }
    if let Some(excess) = bounds.excess_of_maker(&tenants.rules, held, grows) {
        return Some(Excess::of_owner(excess));
    }
    let excess = Rules::excess_of_growth(room.clone(), grows);
    if excess.is_some() {
        tenants.shortages.note();
    }
    excess
}

/// Writes what is kept, and commits: one round trip, unless a charm is woken.
async fn write(session: &mut Session, key: &Key, calls: &[Call]) -> Result<Option<u64>, Failure> {
    let (mut advanced, mut wrote, mut followed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut upsert, mut lines, mut runs, mut noted) =
        (Upsert::default(), Lines::default(), Runs::default(), Noted::default());
    let (mut logged, mut woken_first, mut woken_last) = (Vec::new(), Vec::new(), Vec::new());
    let (mut planned, mut next, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for call in calls.iter().filter(|call| call.is_kept()) {
        let row = call.charm.row;
        if call.wrote || call.followed {
            advanced.push(row);
            wrote.push(call.wrote);
            followed.push(call.followed);
        }
        if call.wrote {
            for (name, text) in &call.writes {
                upsert.add(key, row, &call.charm.summary.charm, &call.charm.secrets, name, text)?;
            }
        }
        runs.add(row, &call.run, call.runs_kept);
        if !call.log.is_empty() {
            lines.add(row, &call.log);
            logged.push(row);
        }
        noted.add(row, &call.run, call.cause != Cause::Somebody);
        if let Some(fence) = call.fence {
            planned.push(row);
            next.push(fence.next_in);
            failures.push(i64::from(fence.failures));
        }
        match call.wakes {
            Some(false) => woken_first.push(row),
            Some(true) => woken_last.push(row),
            None => {}
        }
    }
    if !woken_first.is_empty() {
        registrations::cells_changed(session, &woken_first).await?;
    }
    let (names, kept_lines, noted) = (texts(upsert.names.iter().copied()), lines_kept(), noted.params());
    let mut asked = Vec::new();
    if !advanced.is_empty() {
        asked.push(Asked { sql: ADVANCE, params: vec![&advanced, &wrote, &followed] });
    }
    if !names.is_empty() {
        asked.push(Asked { sql: UPSERT, params: vec![&upsert.rows, &names, &upsert.sealed, &upsert.documents] });
    }
    if !runs.rows.is_empty() {
        asked.push(Asked { sql: ADD_RUNS, params: runs.params() });
        asked.push(Asked { sql: DROP_RUNS, params: vec![&runs.rows, &runs.kept] });
        asked.push(Asked { sql: NOTE_RUNS, params: noted.all() });
    }
    if !logged.is_empty() {
        asked.push(Asked { sql: ADD_LINES, params: lines.params() });
        asked.push(Asked { sql: DROP_LINES, params: vec![&logged, &kept_lines] });
    }
    if !planned.is_empty() {
        asked.push(Asked { sql: PLAN, params: vec![&planned, &next, &failures] });
    }
    if woken_last.is_empty() {
        return session.write_and_commit(&asked).await;
    }
    session.all(&asked).await?;
    registrations::cells_changed(session, &woken_last).await?;
    session.commit().await
}
