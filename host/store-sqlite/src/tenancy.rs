//! The rules for who may keep how much, applied within transactions.

use std::path::{Path, PathBuf};

use bg_charm_api::{AccessLevel, Actor, SpaceSummary, Subject};
use bg_identity::{Did, Identity, SpaceDid, system_space};
use bg_poller::{LogLine, Run, RuntimeError};
use bg_store::{Excess, Holding, Listed, Room, Rules, Shortages, What, leave_out, refusals, said_bytes};
use rusqlite::Transaction;

use super::quota::Sizes;
use super::tenants;
use super::{Failure, Sealer, access, spaces};

/// Who keeps how much in one file.
pub(crate) struct Tenants {
    /// Whose disk is looked at.
    database: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) shortages: Shortages,
}

/// What bounds the charms of a space, beside what bounds each.
pub(crate) enum Bounds {
    /// Nothing.
    None,
    /// What its maker may keep, if somebody made it whose quota it is, and the room on the disk.
    Of { creator: Option<String> },
}

impl Tenants {
    pub(crate) fn new(database: PathBuf, rules: Rules) -> Self {
        Self { database, rules, shortages: Shortages::default() }
    }

    fn room(&self, tx: &Transaction<'_>) -> Result<Room, Failure> {
        Ok(self.rules.room(tenants::database_bytes(tx)?, || free(&self.database)))
    }

    /// Fails if there is no room for something new of the actor's.
    pub(crate) fn admit_new(&self, tx: &Transaction<'_>, actor: &Actor) -> Result<(), Failure> {
        if self.rules.is_operator(actor) {
            return Ok(());
        }
        Ok(Rules::check_room(self.room(tx)?)?)
    }

    /// The same before a charm is set up: what could not be kept need not run. A space that does not exist yet is to be
    /// made.
    pub(crate) fn admit_charm(&self, tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        self.admit_new(tx, actor)?;
        if self.rules.is_operator(actor) {
            return Ok(());
        }
        let Holding { charms, .. } = tenants::holding(tx, space)?;
        self.rules.check_charms(space, charms + 1)?;
        if !spaces::exists(tx, space)?
            && let Some(maker) = self.rules.maker(actor)
        {
            self.rules.check_spaces(maker, tenants::kept_by(tx, maker.as_str())?.0 + 1)?;
        }
        Ok(())
    }

    /// Fails if there is no room for that subject in the access list of a space, which does not have it yet.
    pub(crate) fn admit_subject(
        &self,
        tx: &Transaction<'_>,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
    ) -> Result<(), Failure> {
        if spaces::has_subject(tx, space, subject)? {
            return Ok(());
        }
        Rules::check_subjects(space, spaces::subjects(tx, space)?)?;
        self.admit_new(tx, actor)
    }

    /// Makes a space for the actor, unless it exists.
    pub(crate) fn make_space(&self, tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        if spaces::exists(tx, space)? {
            return Ok(());
        }
        let opens = tenants::opens_spaces(tx)?;
        let writers = if opens { Vec::new() } else { tenants::writers(tx, &system_space())? };
        spaces::create(tx, space, &self.rules.new_acl(actor, opens, writers))?;
        if let Some(maker) = self.rules.maker(actor) {
            tenants::set_creator(tx, space, maker)?;
            self.rules.check_spaces(maker, tenants::kept_by(tx, maker.as_str())?.0)?;
        }
        Ok(())
    }

    /// Fails if what an actor has written by hand to a space is more than may be kept; `before` is what was there. What
    /// does not grow is always kept.
    pub(crate) fn admit(
        &self,
        tx: &Transaction<'_>,
        actor: &Actor,
        space: &SpaceDid,
        before: &Holding,
    ) -> Result<(), Failure> {
        let now = tenants::holding(tx, space)?;
        if self.rules.is_operator(actor) || now.bytes <= before.bytes {
            return Ok(());
        }
        self.admit_new(tx, actor)?;
        if now.charms > before.charms {
            self.rules.check_charms(space, now.charms)?;
        }
        let bytes = match &now.creator {
            Some(creator) => tenants::kept_by(tx, creator)?.1,
            None => now.bytes,
        };
        Ok(self.rules.check_bytes(space, now.creator.as_deref(), bytes)?)
    }

    /// Whether strangers may have charms in a space, by its access list.
    fn is_open_to_others(&self, tx: &Transaction<'_>, space: &SpaceDid) -> Result<bool, Failure> {
        let acl = spaces::acl_for(tx, space, None)?;
        Ok(self.rules.is_shared() && acl.0.get(&Subject::Anyone) >= Some(&AccessLevel::Write))
    }

    /// What bounds the charms of a space.
    pub(crate) fn bounds(&self, tx: &Transaction<'_>, space: &SpaceDid) -> Result<Bounds, Failure> {
        let creator = tenants::holding(tx, space)?.creator;
        let is_unbounded = creator.is_none() && !self.is_open_to_others(tx, space)?;
        Ok(if is_unbounded { Bounds::None } else { Bounds::Of { creator } })
    }

    /// What would be too much if a handler made its charm's cells take that. Charms of the operator's spaces are bounded
    /// by the disk alone, unless others may have charms there; and what does not grow is kept as long as the disk takes
    /// it.
    pub(crate) fn excess(
        &self,
        tx: &Transaction<'_>,
        bounds: &Bounds,
        sizes: &Sizes,
    ) -> Result<Option<Excess>, Failure> {
        let Bounds::Of { creator } = bounds else { return Ok(None) };
        let grows = sizes.growth();
        if grows <= 0 {
            return Ok(None);
        }
        if let Some(creator) = creator {
            let (_, bytes) = tenants::kept_by(tx, creator)?;
            if let Some(excess) = self.rules.excess_of(creator, bytes.saturating_add_signed(grows)) {
                return Ok(Some(Excess::of_owner(excess)));
            }
        }
        let excess = Rules::excess_of_growth(self.room(tx)?, grows);
        if excess.is_some() {
            self.shortages.note();
        }
        Ok(excess)
    }

    /// Whether charms may grow.
    pub(crate) fn has_room(&self, tx: &Transaction<'_>) -> Result<bool, Failure> {
        Ok(!matches!(self.room(tx)?, Room::Exhausted(_)))
    }

    /// Leaves out what a handler said where its charm's maker may keep no more: logs and histories are bounded for each
    /// charm, and there may be many charms.
    pub(crate) fn trim(
        &self,
        tx: &Transaction<'_>,
        bounds: &Bounds,
        run: &mut Run,
        log: &mut Vec<LogLine>,
    ) -> Result<(), Failure> {
        let Bounds::Of { creator } = bounds else { return Ok(()) };
        let said = said_bytes(run, log);
        let excess = match creator {
            Some(creator) => {
                let (_, bytes) = tenants::kept_by(tx, creator)?;
                self.rules.excess_of(creator, bytes.saturating_add(said))
            }
            None => None,
        };
        let full = match excess {
            Some(excess) => Some(excess),
            None => match self.room(tx)? {
                Room::Exhausted(why) => Some(why.to_string()),
                Room::Plenty | Room::Low(_) => None,
            },
        };
        let Some(why) = full else { return Ok(()) };
        leave_out(&why, run, log);
        Ok(())
    }

    /// Makes a space with a random key, of that name.
    pub(crate) fn new_space(
        &self,
        tx: &Transaction<'_>,
        sealer: &Sealer,
        actor: &Actor,
        name: &str,
    ) -> Result<SpaceSummary, Failure> {
        if *actor == Actor::Anonymous {
            return Err(refusals::unsigned_makes_no_space().into());
        }
        self.admit_new(tx, actor)?;
        let owner = self.rules.maker(actor).map_or("", Did::as_str);
        if let [known] = tenants::list(tx, &Listed::Named { owner, name })?.as_slice() {
            return Err(refusals::space_exists(name, &known.space).into());
        }
        let key = Identity::generate().map_err(|error| RuntimeError::unavailable(error.to_string()))?;
        self.make_space(tx, actor, &key.did().into())?;
        tenants::name(tx, sealer, owner, name, &key)?;
        let made = tenants::list(tx, &Listed::Named { owner, name })?.pop();
        made.ok_or_else(|| Failure::Damaged(What::OfSpace(format!("the space {name:?}"))))
    }

    /// The spaces that the actor may know of, or the one to which the actor gave a name.
    pub(crate) fn spaces(
        &self,
        tx: &Transaction<'_>,
        actor: &Actor,
        name: Option<&str>,
    ) -> Result<Vec<SpaceSummary>, Failure> {
        if let Some(name) = name {
            let owner = self.rules.maker(actor).map_or("", Did::as_str);
            // What is not signed is nobody's, and not the operator's.
            if *actor == Actor::Anonymous {
                return Ok(Vec::new());
            }
            return tenants::list(tx, &Listed::Named { owner, name });
        }
        if access::system(tx, actor, AccessLevel::Read).is_ok() {
            return tenants::list(tx, &Listed::All);
        }
        match actor {
            Actor::Did(did) | Actor::Remote(did) => tenants::list(tx, &Listed::Of(did)),
            Actor::Operator | Actor::Anonymous => Ok(Vec::new()),
        }
    }
}

/// The bytes that are free on the disk of a file, for whom this process is.
fn free(file: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(file).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
