//! How much others than the operator may keep, and the spaces that they make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bg_charm_api::{AccessLevel, Acl, Actor, SpaceSummary, Subject};
use bg_identity::{Did, Identity, SYSTEM_SPACE_NAME, SpaceDid, is_public_key, system_space};
use bg_poller::{Blame, LogLevel, LogLine, Outcome, OutcomeKind, Run, RuntimeError};
use rusqlite::Transaction;

use super::handle::LocalHandle;
use super::{LocalRuntime, access};
use crate::store::tenants::{self, Holding, Listed};
use crate::store::{self, Failure, Touch, What, growth};
use crate::{Quotas, Tenancy};

/// The longest name of a space, bytes.
const NAME_BYTES: usize = 256;

/// How many subjects the access list of a space may name.
const SUBJECTS: u64 = 100;

/// The same for the system space, whose writers are named in the list of every new space, with its maker and the operator's key.
const SYSTEM_SUBJECTS: u64 = SUBJECTS - 2;

/// By how much a handler's writes may let a charm grow where there is hardly any room left, bytes: a counter goes on counting.
const SLACK: i64 = 1024;

/// The quotas of a runtime, and whom they are not for.
pub(super) struct Tenants {
    /// Whose disk is looked at.
    database: PathBuf,
    quotas: Quotas,
    owner: Option<Did>,
    is_shared: bool,
    /// Whether whoever signs makes the space of any DID that is not there by deploying into it.
    makes_any: bool,
    /// Whether a handler's writes were refused for lack of room, and there was no room since.
    is_short: AtomicBool,
}

/// What of a handler's writes is too much, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// A quota of the charm or of its owner: the charm is to blame.
    OfCharm(String),
    /// A limit that the operator sets for the whole installation. Which charm reaches it is chance: the operator makes
    /// room.
    OfInstallation(String),
}

impl Excess {
    /// The outcome of a call whose writes were not kept.
    pub(super) fn into_outcome(self) -> Outcome {
        let (text, blame) = match self {
            Self::OfCharm(text) => (text, Blame::Charm),
            Self::OfInstallation(text) => (text, Blame::Configuration),
        };
        Outcome::failure(OutcomeKind::LimitExceeded, text).blaming(blame)
    }
}

/// How much is kept of what a failed handler said where its charm's maker may keep no more, bytes.
const SAID_BYTES: usize = 300;

/// How much room there is for all together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Room {
    Plenty,
    /// Nothing new, for the reason that the text gives. What is there is polled.
    Low(String),
    /// What is there may not grow any more, either.
    Exhausted(String),
}

impl Tenants {
    pub(super) fn new(database: &Path, tenancy: &Tenancy, owner: Option<Did>) -> Self {
        let (is_shared, makes_any) = (tenancy.is_shared(), tenancy.opens_spaces() != Some(false));
        let (database, quotas, is_short) = (database.to_owned(), tenancy.quotas.clone(), AtomicBool::new(false));
        Self { database, quotas, owner, is_shared, makes_any, is_short }
    }

    /// The operator, by whichever way, is bounded by the disk alone.
    pub(super) fn is_operator(&self, actor: &Actor) -> bool {
        match actor {
            Actor::Operator => true,
            Actor::Did(did) => self.owner.as_ref() == Some(did),
            Actor::Remote(_) | Actor::Anonymous => false,
        }
    }

    /// Who is noted as the maker of what an actor makes; nobody for the operator.
    fn maker<'a>(&self, actor: &'a Actor) -> Option<&'a Did> {
        match actor {
            Actor::Did(did) | Actor::Remote(did) if !self.is_operator(actor) => Some(did),
            _ => None,
        }
    }

    fn room(&self, tx: &Transaction<'_>) -> Result<Room, Failure> {
        let Quotas { bytes, free_disk, .. } = self.quotas;
        let taken = tenants::database_bytes(tx)?;
        if taken > bytes {
            let text = format!("the database takes {taken} bytes, and may take {bytes} (--max-bytes)");
            return Ok(if taken > bytes.saturating_add(bytes / 8) { Room::Exhausted(text) } else { Room::Low(text) });
        }
        // Where the system does not say, a full disk says so itself.
        let Some(free) = free(&self.database) else { return Ok(Room::Plenty) };
        if free < free_disk {
            let text = format!("its disk has {free} bytes left, and {free_disk} are to stay free (--min-free)");
            return Ok(if free < free_disk / 2 { Room::Exhausted(text) } else { Room::Low(text) });
        }
        Ok(Room::Plenty)
    }

    /// Fails if there is no room for something new of the actor's.
    pub(super) fn admit_new(&self, tx: &Transaction<'_>, actor: &Actor) -> Result<(), Failure> {
        if self.is_operator(actor) {
            return Ok(());
        }
        match self.room(tx)? {
            Room::Plenty => Ok(()),
            Room::Low(why) | Room::Exhausted(why) => refused(format!("the server keeps nothing new: {why}")),
        }
    }

    /// The same before a charm is set up: what could not be kept need not run. A space that is not there yet is to be made.
    pub(super) fn admit_charm(&self, tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        self.admit_new(tx, actor)?;
        if self.is_operator(actor) {
            return Ok(());
        }
        let Holding { charms, .. } = tenants::holding(tx, space)?;
        self.check_charms(space, charms + 1)?;
        if !store::spaces::exists(tx, space)?
            && let Some(maker) = self.maker(actor)
        {
            self.check_spaces(maker, tenants::kept_by(tx, maker.as_str())?.0 + 1)?;
        }
        Ok(())
    }

    /// Fails unless the actor may make a space of that DID, which is not there, by deploying into it. Where others reach the server, the DID
    /// of a name is nobody's but the operator's: whoever was there first would own what others then keep in it. That goes for the signer
    /// whose DID it is as well, since the key of a name is known to whoever knows the name, and no DID tells what its key was made from.
    pub(super) fn may_make(&self, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        if self.makes_any || self.is_operator(actor) {
            return Ok(());
        }
        let message = format!(
            "there is no space {space}, and on this server only its operator makes one by deploying into it; `bg-wasm-host space new NAME` \
             makes one of your own"
        );
        Err(RuntimeError::Authorization { space: space.clone(), message }.into())
    }

    /// Fails if there is no room for that subject in the access list of a space, which does not have it yet.
    pub(super) fn admit_subject(
        &self,
        tx: &Transaction<'_>,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
    ) -> Result<(), Failure> {
        if store::spaces::has_subject(tx, space, subject)? {
            return Ok(());
        }
        let most = if *space == system_space() { SYSTEM_SUBJECTS } else { SUBJECTS };
        let there = store::spaces::subjects(tx, space)?;
        if there >= most {
            let text = format!(
                "the access list of {space} names {there} subjects, and may name {most}; `bg-wasm-host charm acl {space} --revoke SUBJECT` \
                 makes room"
            );
            return Err(RuntimeError::Quota(text).into());
        }
        self.admit_new(tx, actor)
    }

    /// Makes a space for the actor, if it is not there.
    pub(super) fn make_space(&self, tx: &Transaction<'_>, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        if store::spaces::exists(tx, space)? {
            return Ok(());
        }
        store::spaces::create(tx, space, &self.new_acl(tx, actor)?)?;
        if let Some(maker) = self.maker(actor) {
            tenants::set_creator(tx, space, maker)?;
            self.check_spaces(maker, tenants::kept_by(tx, maker.as_str())?.0)?;
        }
        Ok(())
    }

    /// The access list of a space that the actor makes.
    fn new_acl(&self, tx: &Transaction<'_>, actor: &Actor) -> Result<Acl, Failure> {
        let creator = match actor {
            Actor::Did(did) | Actor::Remote(did) => Some(did),
            Actor::Operator => self.owner.as_ref(),
            Actor::Anonymous => None,
        };
        if tenants::opens_spaces(tx)? {
            return Ok(Acl::of_new_space(creator));
        }
        // The service: the operator's key, and those that the operator gave access to the system space.
        let service = self.owner.clone().into_iter().chain(tenants::writers(tx, &system_space())?);
        Ok(Acl::of_private_space(creator.filter(|did| !is_public_key(did)), service.filter(|did| !is_public_key(did))))
    }

    /// Fails if what an actor has written by hand to a space is more than may be kept; `before` is what was there. What does not grow is
    /// always kept.
    pub(super) fn admit(
        &self,
        tx: &Transaction<'_>,
        actor: &Actor,
        space: &SpaceDid,
        before: &Holding,
    ) -> Result<(), Failure> {
        let now = tenants::holding(tx, space)?;
        if self.is_operator(actor) || now.bytes <= before.bytes {
            return Ok(());
        }
        self.admit_new(tx, actor)?;
        if now.charms > before.charms {
            self.check_charms(space, now.charms)?;
        }
        match now.creator {
            Some(creator) => {
                let (_, bytes) = tenants::kept_by(tx, &creator)?;
                match self.excess_of(&creator, bytes) {
                    None => Ok(()),
                    Some(excess) => refused(excess),
                }
            }
            // One of the operator's, in which others may write: all of them together may fill it as far as one of them could a space.
            None if now.bytes > self.quotas.bytes_per_signer => refused(format!(
                "the space {space} would take {} bytes, and what others than the operator write there may take {} in all \
                 (--max-signer-bytes)",
                now.bytes, self.quotas.bytes_per_signer
            )),
            None => Ok(()),
        }
    }

    /// Whether strangers may have charms in a space, whoever made it.
    fn is_open_to_others(&self, tx: &Transaction<'_>, space: &SpaceDid) -> Result<bool, Failure> {
        let acl = store::spaces::acl_for(tx, space, None)?;
        Ok(self.is_shared && acl.0.get(&Subject::Anyone) >= Some(&AccessLevel::Write))
    }

    /// What would be too much if a handler of the charm in that row wrote this. Charms of the operator's spaces are
    /// bounded by the disk alone, unless others may have charms there; and what does not grow is kept as long as the
    /// disk takes it.
    pub(super) fn excess(
        &self,
        tx: &Transaction<'_>,
        row: i64,
        space: &SpaceDid,
        writes: &BTreeMap<String, String>,
    ) -> Result<Option<Excess>, Failure> {
        let creator = tenants::holding(tx, space)?.creator;
        if creator.is_none() && !self.is_open_to_others(tx, space)? {
            return Ok(None);
        }
        let grows = growth(tx, row, writes)?;
        if grows <= 0 {
            return Ok(None);
        }
        if let Some(creator) = creator {
            let (_, bytes) = tenants::kept_by(tx, &creator)?;
            if let Some(excess) = self.excess_of(&creator, bytes.saturating_add_signed(grows)) {
                return Ok(Some(Excess::OfCharm(excess)));
            }
        }
        Ok(match self.room(tx)? {
            Room::Exhausted(why) if grows > SLACK => {
                self.note_shortage();
                let text = format!("no charm may grow now: {why}; free some space, or raise the limit");
                Some(Excess::OfInstallation(text))
            }
            _ => None,
        })
    }

    /// Whether writes were refused for lack of room since there was room last.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.is_short.load(Ordering::SeqCst)
    }

    /// Writes are refused for lack of room.
    pub(super) fn note_shortage(&self) {
        self.is_short.store(true, Ordering::SeqCst);
    }

    /// There is room again.
    pub(super) fn forget_shortage(&self) {
        self.is_short.store(false, Ordering::SeqCst);
    }

    /// Whether charms may grow.
    pub(super) fn has_room(&self, tx: &Transaction<'_>) -> Result<bool, Failure> {
        Ok(!matches!(self.room(tx)?, Room::Exhausted(_)))
    }

    /// Leaves out what a handler said where its charm's maker may keep no more: logs and histories are bounded for each
    /// charm, and there may be many charms.
    pub(super) fn trim(
        &self,
        tx: &Transaction<'_>,
        space: &SpaceDid,
        run: &mut Run,
        log: &mut Vec<LogLine>,
    ) -> Result<(), Failure> {
        let creator = tenants::holding(tx, space)?.creator;
        if creator.is_none() && !self.is_open_to_others(tx, space)? {
            return Ok(());
        }
        let said = [&run.outcome.message, &run.outcome.stack].into_iter().flatten();
        let said: u64 = said.chain(log.iter().map(|line| &line.text)).map(|text| text.len() as u64).sum();
        let excess = match creator {
            Some(creator) => {
                let (_, bytes) = tenants::kept_by(tx, &creator)?;
                self.excess_of(&creator, bytes.saturating_add(said))
            }
            None => None,
        };
        let full = match excess {
            Some(excess) => Some(excess),
            None => match self.room(tx)? {
                Room::Exhausted(why) => Some(why),
                Room::Plenty | Room::Low(_) => None,
            },
        };
        let Some(why) = full else { return Ok(()) };
        if let Some(last) = log.last().map(|line| line.at) {
            let text = format!("{} lines were not kept: {why}", log.len());
            *log = vec![LogLine { at: last, level: LogLevel::Warn, text }];
        }
        run.outcome.stack = None;
        if let Some(message) = &mut run.outcome.message {
            message.truncate(message.floor_char_boundary(SAID_BYTES));
        }
        Ok(())
    }

    fn excess_of(&self, creator: &str, bytes: u64) -> Option<String> {
        let most = self.quotas.bytes_per_signer;
        (bytes > most).then(|| {
            format!("the charms of {creator} would take {bytes} bytes, and those of one key may take {most} (--max-signer-bytes)")
        })
    }

    fn check_charms(&self, space: &SpaceDid, charms: u64) -> Result<(), Failure> {
        let most = self.quotas.charms_per_space;
        if charms <= most {
            return Ok(());
        }
        refused(format!(
            "the space {space} would have {charms} charms, and a space may have {most} (--max-charms); `bg-wasm-host charm delete` makes room"
        ))
    }

    fn check_spaces(&self, maker: &Did, spaces: u64) -> Result<(), Failure> {
        let most = self.quotas.spaces_per_signer;
        if spaces <= most {
            return Ok(());
        }
        refused(format!("{maker} would have made {spaces} spaces, and one key may make {most} (--max-spaces)"))
    }
}

fn refused<T>(what: impl std::fmt::Display) -> Result<T, Failure> {
    Err(RuntimeError::Quota(format!("{what}; the operator of the server can raise that")).into())
}

/// The bytes that are free on the disk of a file, for whom this process is.
fn free(file: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(file).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl LocalHandle {
    /// Makes a space with a random key, of that name.
    pub(super) async fn make_space(&self, name: &str) -> Result<SpaceSummary, RuntimeError> {
        check_name(name)?;
        let LocalRuntime { tenants: quotas, sealer, .. } = &*self.runtime;
        let (quotas, sealer, name) = (quotas.clone(), sealer.clone(), name.to_owned());
        self.write(Touch::None, move |tx, actor| {
            if *actor == Actor::Anonymous {
                let message = "an unsigned request makes no spaces; sign it".to_owned();
                return Err(RuntimeError::Authorization { space: system_space(), message }.into());
            }
            quotas.admit_new(tx, actor)?;
            let owner = quotas.maker(actor).map_or("", Did::as_str);
            if let [known] = tenants::list(tx, &Listed::Named { owner, name: &name })?.as_slice() {
                let text = format!("there is a space {name:?} already: {}", known.space);
                return Err(RuntimeError::Invalid(text).into());
            }
            let key = Identity::generate().map_err(|error| RuntimeError::unavailable(error.to_string()))?;
            quotas.make_space(tx, actor, &key.did().into())?;
            tenants::name(tx, &sealer, owner, &name, &key)?;
            let made = tenants::list(tx, &Listed::Named { owner, name: &name })?.pop();
            made.ok_or_else(|| Failure::Damaged(What::OfSpace(format!("the space {name:?}"))))
        })
        .await
    }

    /// The spaces that the caller may know of, or the one to which the caller gave a name.
    pub(super) async fn list_spaces(&self, name: Option<&str>) -> Result<Vec<SpaceSummary>, RuntimeError> {
        let (quotas, name) = (self.runtime.tenants.clone(), name.map(str::to_owned));
        self.read(move |tx, actor| {
            if let Some(name) = name {
                let owner = quotas.maker(actor).map_or("", Did::as_str);
                // What is not signed is nobody's, and not the operator's.
                if *actor == Actor::Anonymous {
                    return Ok(Vec::new());
                }
                return tenants::list(tx, &Listed::Named { owner, name: &name });
            }
            if access::system(tx, actor, AccessLevel::Read).is_ok() {
                return tenants::list(tx, &Listed::All);
            }
            match actor {
                Actor::Did(did) | Actor::Remote(did) => tenants::list(tx, &Listed::Of(did)),
                Actor::Operator | Actor::Anonymous => Ok(Vec::new()),
            }
        })
        .await
    }
}

/// Fails unless a space may have that name.
fn check_name(name: &str) -> Result<(), RuntimeError> {
    let problem = if name.is_empty() || name.len() > NAME_BYTES {
        format!("it has {} bytes, and may have 1 to {NAME_BYTES}", name.len())
    } else if name.chars().any(char::is_control) || name.trim() != name {
        "it has control characters, or blanks at an end".to_owned()
    } else if name.starts_with("did:") {
        "it would be taken for a DID".to_owned()
    } else if name == SYSTEM_SPACE_NAME {
        "that is the space of the registrations".to_owned()
    } else {
        return Ok(());
    };
    Err(RuntimeError::Invalid(format!("{name:?} cannot be the name of a space: {problem}")))
}
