//! The rules for who may keep how much, applied within transactions.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bg_charm_api::{AccessLevel, Actor, SpaceSummary, Subject};
use bg_identity::{Did, Identity, SpaceDid, system_space};
use bg_poller::RuntimeError;
use bg_seal::Key;
use bg_store::{Holding, Listed, Room, Rules, Shortages, What, refusals};

use super::access::Found;
use super::error::Failure;
use super::session::Session;
use super::spaces;
use super::values::Columns as _;

/// How long the size of the database is known. To ask for it looks at every file of it.
const SIZE_IS_KNOWN: Duration = Duration::from_secs(5);

/// Who keeps how much in one database.
pub(crate) struct Tenants {
    pub(crate) rules: Rules,
    /// The size of the database, and when that was asked.
    size: Mutex<Option<(Instant, u64)>>,
    pub(crate) shortages: Shortages,
}

impl Tenants {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, size: Mutex::new(None), shortages: Shortages::default() }
    }

    /// The size of the database, as it was when somebody last asked for it.
    pub(crate) fn known_size(&self) -> u64 {
        self.size.lock().unwrap_or_else(PoisonError::into_inner).map_or(0, |(_, size)| size)
    }

    /// The size of the database, some seconds ago at most.
    pub(crate) async fn size(&self, session: &Session) -> Result<u64, Failure> {
        let known = *self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, size)) = known
            && at.elapsed() < SIZE_IS_KNOWN
        {
            return Ok(size);
        }
        let row = session.query_one("SELECT pg_database_size(current_database())", &[]).await?;
        let size = row.map_or(Ok(0), |row| row.unsigned(0))?;
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), size));
        Ok(size)
    }

    /// How much room there is. Of the disk of another machine, nothing is known: it says itself when it is full.
    pub(crate) async fn room(&self, session: &Session) -> Result<Room, Failure> {
        Ok(self.rules.room(self.size(session).await?, || None))
    }

    /// Fails if there is no room for something new of the actor's.
    pub(crate) async fn admit_new(&self, session: &Session, actor: &Actor) -> Result<(), Failure> {
        if self.rules.is_operator(actor) {
            return Ok(());
        }
        Ok(Rules::check_room(self.room(session).await?)?)
    }

    /// The same before a charm is set up: what could not be kept need not run. A space that does not exist yet is to be
    /// made.
    pub(crate) async fn admit_charm(&self, session: &Session, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        self.admit_new(session, actor).await?;
        if self.rules.is_operator(actor) {
            return Ok(());
        }
        let Holding { charms, .. } = spaces::holding(session, space).await?;
        self.rules.check_charms(space, charms + 1)?;
        let found = Found::space(session, actor, space).await?;
        if !found.is_known()
            && let Some(maker) = self.rules.maker(actor)
        {
            self.rules.check_spaces(maker, spaces::kept_by(session, maker.as_str()).await?.0 + 1)?;
        }
        Ok(())
    }

    /// Fails if there is no room for that subject in the access list of a space, if it does not have it yet.
    pub(crate) async fn admit_subject(
        &self,
        session: &Session,
        actor: &Actor,
        space: &SpaceDid,
        subject: &Subject,
    ) -> Result<(), Failure> {
        let (is_named, count) = spaces::subjects(session, space, subject).await?;
        if is_named {
            return Ok(());
        }
        Rules::check_subjects(space, count)?;
        self.admit_new(session, actor).await
    }

    /// Fails unless the actor may deploy into a space, or may make it where it does not exist.
    pub(crate) fn may_deploy(&self, found: &Found, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        if found.is_known() || *actor == Actor::Anonymous {
            return found.has(AccessLevel::Write);
        }
        Ok(self.rules.may_make(actor, space)?)
    }

    /// Makes a space for the actor, unless it exists.
    pub(crate) async fn make_space(&self, session: &Session, actor: &Actor, space: &SpaceDid) -> Result<(), Failure> {
        if Found::space(session, actor, space).await?.is_known() {
            return Ok(());
        }
        let opens = spaces::opens_spaces(session).await?;
        let writers = if opens { Vec::new() } else { spaces::writers(session, &system_space()).await? };
        let maker = self.rules.maker(actor);
        spaces::create(session, space, &self.rules.new_acl(actor, opens, writers), maker).await?;
        if let Some(maker) = maker {
            self.rules.check_spaces(maker, spaces::kept_by(session, maker.as_str()).await?.0)?;
        }
        Ok(())
    }

    /// Fails if what an actor has written by hand to a space is more than may be kept; `before` is what was there. What
    /// does not grow is always kept.
    pub(crate) async fn admit(
        &self,
        session: &Session,
        actor: &Actor,
        space: &SpaceDid,
        before: &Holding,
    ) -> Result<(), Failure> {
        if self.rules.is_operator(actor) {
            return Ok(());
        }
        let now = spaces::holding(session, space).await?;
        if now.bytes <= before.bytes {
            return Ok(());
        }
        self.admit_new(session, actor).await?;
        if now.charms > before.charms {
            self.rules.check_charms(space, now.charms)?;
        }
        let bytes = match &now.creator {
            Some(creator) => spaces::kept_by(session, creator).await?.1,
            None => now.bytes,
        };
        Ok(self.rules.check_bytes(space, now.creator.as_deref(), bytes)?)
    }

    /// Makes a space with this random key, of that name.
    pub(crate) async fn new_space(
        &self,
        session: &Session,
        key: &Key,
        actor: &Actor,
        name: &str,
        identity: &Identity,
    ) -> Result<SpaceSummary, Failure> {
        if *actor == Actor::Anonymous {
            return Err(refusals::unsigned_makes_no_space().into());
        }
        self.admit_new(session, actor).await?;
        let owner = self.rules.maker(actor).map_or("", Did::as_str);
        let named = Listed::Named { owner, name };
        if let [known] = spaces::list(session, &named).await?.as_slice() {
            return Err(refusals::space_exists(name, &known.space).into());
        }
        self.make_space(session, actor, &identity.did().into()).await?;
        spaces::name(session, key, owner, name, identity).await?;
        let made = spaces::list(session, &named).await?.pop();
        made.ok_or_else(|| Failure::Damaged(What::OfSpace(format!("the space {name:?}"))))
    }

    /// The spaces that the actor may know of, or the one to which the actor gave a name.
    pub(crate) async fn spaces(
        &self,
        session: &Session,
        actor: &Actor,
        name: Option<&str>,
    ) -> Result<Vec<SpaceSummary>, Failure> {
        if let Some(name) = name {
            let owner = self.rules.maker(actor).map_or("", Did::as_str);
            // What is not signed is nobody's, and not the operator's.
            if *actor == Actor::Anonymous {
                return Ok(Vec::new());
            }
            return spaces::list(session, &Listed::Named { owner, name }).await;
        }
        if Found::system(session, actor).await?.has_system(AccessLevel::Read).is_ok() {
            return spaces::list(session, &Listed::All).await;
        }
        match actor {
            Actor::Did(did) | Actor::Remote(did) => spaces::list(session, &Listed::Of(did)).await,
            Actor::Operator | Actor::Anonymous => Ok(Vec::new()),
        }
    }
}

/// A random key, for a space.
pub(crate) fn random_key() -> Result<Identity, RuntimeError> {
    Identity::generate().map_err(|error| RuntimeError::unavailable(error.to_string()))
}
