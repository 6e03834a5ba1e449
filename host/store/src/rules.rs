//! The rules for who may keep how much, and may make which spaces. They are functions of what a store has counted, so
//! that all stores share them.

use std::fmt;

use bg_charm_api::{Acl, Actor};
use bg_identity::{Did, SYSTEM_SPACE_NAME, SpaceDid, is_public_key, system_space};
use bg_poller::{Cause, LogLevel, LogLine, Outcome, OutcomeKind, Run, RuntimeError, UnixMillis};

use crate::tenancy::{Quotas, Tenancy};

/// No time that is kept is later: the end of the year 9999. A later one was written by a fault.
pub const LAST_TIME: UnixMillis = UnixMillis(253_402_300_799_999);

/// Lines kept of each charm's log: of a chatty charm, an hour of polls once a minute.
pub const LINES_KEPT: usize = 1_000;

/// The longest name of a space, bytes.
const NAME_BYTES: usize = 256;

/// How many subjects the access list of a space may name.
const SUBJECTS: u64 = 100;

/// The same for the system space, whose writers are named in the list of every new space, with its maker and the
/// operator's key.
const SYSTEM_SUBJECTS: u64 = SUBJECTS - 2;

/// By how much a handler's writes may let a charm grow where there is hardly any room left, bytes: a counter goes on
/// counting.
const SLACK: i64 = 1024;

/// How much is kept of what a failed handler said where its charm's maker may keep no more, bytes.
const SAID_BYTES: usize = 300;

/// How many bytes a call would add to the log and the history.
pub fn said_bytes(run: &Run, log: &[LogLine]) -> u64 {
    let said = [&run.outcome.message, &run.outcome.stack].into_iter().flatten();
    said.chain(log.iter().map(|line| &line.text)).map(|text| text.len() as u64).sum()
}

/// Leaves out what a handler said where its charm's maker may keep no more, for that reason: logs and histories are
/// bounded for each charm, and there may be many charms.
pub fn leave_out(why: &str, run: &mut Run, log: &mut Vec<LogLine>) {
    if let Some(last) = log.last().map(|line| line.at) {
        let text = format!("{} lines were not kept: {why}", log.len());
        *log = vec![LogLine { at: last, level: LogLevel::Warn, text }];
    }
    run.outcome.stack = None;
    if let Some(message) = &mut run.outcome.message {
        message.truncate(message.floor_char_boundary(SAID_BYTES));
    }
}

/// How much room there is for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Plenty,
    /// Nothing new. What exists is polled.
    Low(Shortage),
    /// What exists may not grow, either.
    Exhausted(Shortage),
}

/// Why there is too little room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The disk has less room than is to stay free.
    Disk(String),
    /// The database is as large as it may be.
    Database(String),
}

impl Shortage {
    fn cause(&self) -> Cause {
        match self {
            Self::Disk(_) => Cause::DiskFull,
            Self::Database(_) => Cause::DatabaseFull,
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(text) | Self::Database(text) => f.write_str(text),
        }
    }
}

/// What of a handler's writes is too much: the limit, and a text for people. Where that is a limit that the operator
/// sets for the whole installation, it is chance which charm reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    cause: Cause,
    text: String,
}

impl Excess {
    /// The outcome of a call whose writes were not kept.
    pub fn into_outcome(self) -> Outcome {
        Outcome::failure(OutcomeKind::LimitExceeded, self.text).caused_by(self.cause)
    }

    /// A limit of each charm.
    pub fn of_charm(text: String) -> Self {
        Self { cause: Cause::CharmFull, text }
    }

    /// A limit of each owner.
    pub fn of_owner(text: String) -> Self {
        Self { cause: Cause::OwnerFull, text }
    }
}

/// The quotas of a runtime, and who is exempt from them.
#[derive(Clone, Debug)]
pub struct Rules {
    quotas: Quotas,
    owner: Option<Did>,
    is_shared: bool,
    /// Whether anyone who signs makes the space of any DID by deploying into it.
    makes_any: bool,
}

impl Rules {
    /// For a runtime with that tenancy, whose operator has that key.
    pub fn new(tenancy: &Tenancy, owner: Option<Did>) -> Self {
        let (is_shared, makes_any) = (tenancy.is_shared(), tenancy.opens_spaces() != Some(false));
        Self { quotas: tenancy.quotas.clone(), owner, is_shared, makes_any }
    }

    /// Whether requests come from beyond this machine.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The operator, by whichever way, is bounded by the disk alone.
    pub fn is_operator(&self, actor: &Actor) -> bool {
        match actor {
            Actor::Operator => true,
            Actor::Did(did) => self.owner.as_ref() == Some(did),
            Actor::Remote(_) | Actor::Anonymous => false,
        }
    }

    /// Who is noted as the maker of what an actor makes; nobody for the operator.
    pub fn maker<'a>(&self, actor: &'a Actor) -> Option<&'a Did> {
        match actor {
            Actor::Did(did) | Actor::Remote(did) if !self.is_operator(actor) => Some(did),
            _ => None,
        }
    }

    /// How much room there is where a store takes `taken` bytes, of a disk that has `free` left, if the system says so.
    pub fn room(&self, taken: u64, free: impl FnOnce() -> Option<u64>) -> Room {
        let Quotas { bytes, free_disk, .. } = self.quotas;
        if taken > bytes {
            let text = format!("the database takes {taken} bytes, and may take {bytes} (--max-bytes)");
            let why = Shortage::Database(text);
            return if taken > bytes.saturating_add(bytes / 8) { Room::Exhausted(why) } else { Room::Low(why) };
        }
        // Where the system does not say, a full disk says so itself.
        let Some(free) = free() else { return Room::Plenty };
        if free < free_disk {
            let text = format!("its disk has {free} bytes left, and {free_disk} are to stay free (--min-free)");
            let why = Shortage::Disk(text);
            return if free < free_disk / 2 { Room::Exhausted(why) } else { Room::Low(why) };
        }
        Room::Plenty
    }

    /// Fails if there is no room for something new.
    pub fn check_room(room: Room) -> Result<(), RuntimeError> {
        match room {
            Room::Plenty => Ok(()),
            Room::Low(why) | Room::Exhausted(why) => refused(&format!("the server keeps nothing new: {why}")),
        }
    }

    /// Why a charm may not grow by this number of bytes in that room, if it may not.
    pub fn excess_of_growth(room: Room, grows: i64) -> Option<Excess> {
        match room {
            Room::Exhausted(why) if grows > SLACK => {
                let fix = match why {
                    Shortage::Disk(_) => "free space on the disk, or lower --min-free",
                    Shortage::Database(_) => "delete charms or data, or raise --max-bytes",
                };
                let text = format!("no charm may grow now: {why}; {fix}");
                Some(Excess { cause: why.cause(), text })
            }
            _ => None,
        }
    }

    /// Fails unless the actor may make a space of that DID, which does not exist, by deploying into it. Where others
    /// reach the server, the DID of a name is nobody's but the operator's: the first to use it would own what
    /// others then keep in it. That goes for the signer whose DID it is as well, since the key of a name is known to
    /// anyone who knows the name, and a DID does not show what its key was made from.
    pub fn may_make(&self, actor: &Actor, space: &SpaceDid) -> Result<(), RuntimeError> {
        if self.makes_any || self.is_operator(actor) {
            return Ok(());
        }
        let message = format!(
            "there is no space {space}, and on this server only its operator makes one by deploying into it; \
             `bg-wasm-host space new NAME` makes one of your own"
        );
        Err(RuntimeError::Authorization { space: space.clone(), message })
    }

    /// Fails if the access list of a space, which names this number of subjects, may not name another.
    pub fn check_subjects(space: &SpaceDid, there: u64) -> Result<(), RuntimeError> {
        let most = if *space == system_space() { SYSTEM_SUBJECTS } else { SUBJECTS };
        if there < most {
            return Ok(());
        }
        Err(RuntimeError::Quota(format!(
            "the access list of {space} names {there} subjects, and may name {most}; `bg-wasm-host charm acl {space} \
             --revoke SUBJECT` makes room"
        )))
    }

    /// The access list of a space that the actor makes. `opens` says whether anyone who signs may write in new spaces;
    /// `writers` are those of the system space.
    pub fn new_acl(&self, actor: &Actor, opens: bool, writers: impl IntoIterator<Item = Did>) -> Acl {
        let creator = match actor {
            Actor::Did(did) | Actor::Remote(did) => Some(did),
            Actor::Operator => self.owner.as_ref(),
            Actor::Anonymous => None,
        };
        if opens {
            return Acl::of_new_space(creator);
        }
        // The service: the operator's key, and those that the operator gave access to the system space.
        let service = self.owner.clone().into_iter().chain(writers);
        Acl::of_private_space(creator.filter(|did| !is_public_key(did)), service.filter(|did| !is_public_key(did)))
    }

    /// Fails if a space would have too many charms.
    pub fn check_charms(&self, space: &SpaceDid, charms: u64) -> Result<(), RuntimeError> {
        let most = self.quotas.charms_per_space;
        if charms <= most {
            return Ok(());
        }
        refused(&format!(
            "the space {space} would have {charms} charms, and a space may have {most} (--max-charms); `bg-wasm-host \
             charm delete` makes room"
        ))
    }

    /// Fails if a key would have made too many spaces.
    pub fn check_spaces(&self, maker: &Did, spaces: u64) -> Result<(), RuntimeError> {
        let most = self.quotas.spaces_per_signer;
        if spaces <= most {
            return Ok(());
        }
        refused(&format!("{maker} would have made {spaces} spaces, and one key may make {most} (--max-spaces)"))
    }

    /// Why the charms of a key may not take this number of bytes, if they may not.
    pub fn excess_of(&self, creator: &str, bytes: u64) -> Option<String> {
        let most = self.quotas.bytes_per_signer;
        (bytes > most).then(|| {
            format!(
                "the charms of {creator} would take {bytes} bytes, and those of one key may take {most} \
                    (--max-signer-bytes)"
            )
        })
    }

    /// Fails if others than the operator have written too much to a space of the operator's: all of them together may
    /// fill it as far as one of them could a space.
    pub fn check_bytes(&self, space: &SpaceDid, creator: Option<&str>, bytes: u64) -> Result<(), RuntimeError> {
        if let Some(creator) = creator {
            return self.excess_of(creator, bytes).map_or(Ok(()), |excess| refused(&excess));
        }
        let most = self.quotas.bytes_per_signer;
        if bytes <= most {
            return Ok(());
        }
        refused(&format!(
            "the space {space} would take {bytes} bytes, and what others than the operator write there may take \
             {most} in all (--max-signer-bytes)"
        ))
    }

    /// Fails unless a space may have that name.
    pub fn check_name(name: &str) -> Result<(), RuntimeError> {
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
}

fn refused<T>(what: &str) -> Result<T, RuntimeError> {
    Err(RuntimeError::Quota(format!("{what}; the operator of the server can raise that")))
}
