//! Checks of access, as part of the statements that need it: what one statement finds, and what an actor may do with
//! it.

use bg_charm_api::{AccessLevel, Acl, Actor};
use bg_identity::{Did, SpaceDid, system_space};
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Needed, Right, StoredCharm, What, refusals};
use tokio_postgres::Row;

use super::charms;
use super::error::Failure;
use super::session::{Asked, Session};
use super::values::{Columns as _, Param, Text, text};

/// What an actor may do in a space and with a charm. Of the access lists, the entries for anyone and for the actor are
/// read alone.
pub(crate) struct Found {
    actor: Actor,
    space: SpaceDid,
    /// Whether the space is there.
    is_known: bool,
    acl: Result<Acl, Failure>,
    system: Result<Acl, Failure>,
    charm: Result<StoredCharm, Failure>,
}

/// The columns that say what [`Found`] has: the parameters `$1` to `$4` are [`Subjects`].
macro_rules! found {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM spaces WHERE did = $1), ARRAY (SELECT subject || ' ' || level FROM acl WHERE space \
             = $1 AND subject IN ('*', $3)), ARRAY (SELECT subject || ' ' || level FROM acl WHERE space = $4 AND \
             subject IN ('*', $3)), ",
            $crate::charms::columns!()
        )
    };
}
/// Where those come from.
macro_rules! from {
    () => {
        " FROM (VALUES (1)) AS one (row) LEFT JOIN charms c ON c.space = $1 AND c.id = $2"
    };
}
pub(crate) use {found, from};

const FIND: &str = concat!("SELECT ", found!(), from!());

/// The number of columns of [`found`].
pub(crate) const COLUMNS: usize = 3 + charms::COLUMNS;

/// Whom and what a statement asks for.
pub(crate) struct Subjects<'s> {
    space: Text<'s>,
    charm: Text<'s>,
    caller: Option<Text<'s>>,
    system: SpaceDid,
}

impl<'s> Subjects<'s> {
    /// A charm, or only its space.
    pub(crate) fn new(actor: &'s Actor, space: &'s SpaceDid, charm: Option<&'s CharmRef>) -> Self {
        let caller = match actor {
            Actor::Did(did) | Actor::Remote(did) => Some(did),
            Actor::Operator | Actor::Anonymous => None,
        };
        Self {
            space: text(space.as_str()),
            charm: text(charm.map_or("", |charm| charm.charm.as_str())),
            caller: caller.map(|did: &Did| text(did.as_str())),
            system: system_space(),
        }
    }

    /// As parameters, with the name of the system space.
    pub(crate) fn params<'p>(&'p self, system: &'p Text<'p>) -> [&'p dyn Param; 4] {
        [&self.space, &self.charm, &self.caller, system]
    }

    /// The name of the system space.
    pub(crate) fn system(&self) -> Text<'_> {
        text(self.system.as_str())
    }
}

impl Found {
    /// Of a space.
    pub(crate) async fn space(session: &Session, actor: &Actor, space: &SpaceDid) -> Result<Self, Failure> {
        Self::read(session, actor, space, None).await
    }

    /// Of the system space, where registrations are.
    pub(crate) async fn system(session: &Session, actor: &Actor) -> Result<Self, Failure> {
        Self::read(session, actor, &system_space(), None).await
    }

    /// Of a charm and its space.
    pub(crate) async fn charm(session: &Session, actor: &Actor, charm: &CharmRef) -> Result<Self, Failure> {
        Self::read(session, actor, &charm.space, Some(charm)).await
    }

    async fn read(
        session: &Session,
        actor: &Actor,
        space: &SpaceDid,
        charm: Option<&CharmRef>,
    ) -> Result<Self, Failure> {
        let subjects = Subjects::new(actor, space, charm);
        let system = subjects.system();
        let rows = session.all(&[Asked { sql: FIND, params: subjects.params(&system).to_vec() }]).await?;
        let row = rows.into_iter().flatten().next();
        let row = row.ok_or_else(|| Failure::NoConnection("a statement that has one row has none".to_owned()))?;
        Self::of(&row, actor, space, charm)
    }

    /// Of a row that begins with [`found`].
    pub(crate) fn of(row: &Row, actor: &Actor, space: &SpaceDid, charm: Option<&CharmRef>) -> Result<Self, Failure> {
        let not_found = || {
            let charm = charm.cloned();
            charm.map_or_else(
                || Failure::NoConnection("no charm was asked for".to_owned()),
                |charm| RuntimeError::NotFound(charm).into(),
            )
        };
        let is_there = row.column::<Option<i64>>(3)?.is_some();
        let stored = match charm {
            Some(charm) if is_there => {
                charms::stored(row, 3, charm.clone()).map_err(|failure| failure.of("the row", charm))
            }
            _ => Err(not_found()),
        };
        Ok(Self {
            actor: actor.clone(),
            space: space.clone(),
            is_known: row.column(0)?,
            acl: acl(&row.texts(1)?, space),
            system: acl(&row.texts(2)?, &system_space()),
            charm: stored,
        })
    }

    /// Whether the space is there.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Fails unless the actor has at least `needed` in the space.
    pub(crate) fn has(&self, needed: AccessLevel) -> Result<(), Failure> {
        Ok(again(&self.acl)?.check(&self.space, &self.actor, needed)?)
    }

    /// The same for a space that must be there.
    pub(crate) fn has_known(&self, needed: AccessLevel) -> Result<(), Failure> {
        if self.is_known { self.has(needed) } else { Err(refusals::no_space(&self.space).into()) }
    }

    /// The same for the system space.
    pub(crate) fn has_system(&self, needed: AccessLevel) -> Result<(), Failure> {
        Ok(again(&self.system)?.check(&system_space(), &self.actor, needed)?)
    }

    /// Fails unless the actor owns the space, or is the service, which may have the secrets of charms anyway: most
    /// spaces let anyone write. `purpose` says what that is for, and begins with "to".
    fn owner_or_service(&self, purpose: &str) -> Result<(), Failure> {
        if self.has_system(AccessLevel::Write).is_ok() {
            return Ok(());
        }
        self.has(AccessLevel::Owner).map_err(|error| match error {
            Failure::Refused(error) => refusals::refused_for(error, purpose).into(),
            other => other,
        })
    }

    /// The charm, whatever the actor may.
    pub(crate) fn any(self) -> Result<StoredCharm, Failure> {
        self.charm
    }

    /// The charm, for an actor who needs access to its space. A caller in a space that does not exist is answered that
    /// the charm is not.
    pub(crate) fn with(self, needed: AccessLevel) -> Result<StoredCharm, Failure> {
        // Where the charm is there, its space is.
        if self.is_known {
            self.has(needed)?;
        }
        self.charm
    }

    /// Who may see a charm's runs and its log: who may read its space, and the service, which sees those of all it
    /// polls.
    pub(crate) fn observed(self) -> Result<StoredCharm, Failure> {
        if self.has_system(AccessLevel::Read).is_ok() { self.charm } else { self.with(AccessLevel::Read) }
    }

    /// The charm, for an actor who has that right.
    pub(crate) fn with_right(self, right: &Right) -> Result<StoredCharm, Failure> {
        let level = if let Right::Space(level) = right { *level } else { AccessLevel::Write };
        if self.is_known {
            self.has(level)?;
        }
        if self.charm.is_ok() {
            match right {
                Right::Space(_) => {}
                Right::Service => self.has_system(AccessLevel::Write)?,
                Right::OwnerOrService(purpose) => self.owner_or_service(purpose)?,
            }
        }
        self.charm
    }

    /// The charm, for an actor who may replace its program: the owner of the space, or the service. A new program can
    /// read all that is in the charm's cells, and all that comes into them later.
    #[expect(clippy::wrong_self_convention, reason = "it says what the charm is for")]
    pub(crate) fn to_update(self, charm: &CharmRef) -> Result<StoredCharm, Failure> {
        self.with_right(&Right::OwnerOrService(refusals::to_update(charm)))
    }

    /// The charm, for an actor who may delete it: an owner of its space, or the service.
    #[expect(clippy::wrong_self_convention, reason = "it says what the charm is for")]
    pub(crate) fn to_delete(self) -> Result<StoredCharm, Failure> {
        if self.has_system(AccessLevel::Write).is_ok() { self.charm } else { self.with(AccessLevel::Owner) }
    }
}

/// An error is answered each time that an access list is asked.
fn again(acl: &Result<Acl, Failure>) -> Result<&Acl, Failure> {
    acl.as_ref().map_err(|failure| match failure {
        Failure::Damaged(what) => Failure::Damaged(what.clone()),
        other => Failure::NoConnection(other.to_string()),
    })
}

/// An access list from texts of a subject, a blank and a level.
pub(crate) fn acl(entries: &[String], space: &SpaceDid) -> Result<Acl, Failure> {
    let mut acl = Acl::default();
    for entry in entries {
        let damaged = || Failure::Damaged(What::OfSpace(format!("the access list of {space}")));
        let (subject, level) = entry.rsplit_once(' ').ok_or_else(damaged)?;
        acl.0.insert(subject.parse().map_err(|_| damaged())?, level.parse().map_err(|_| damaged())?);
    }
    Ok(acl)
}

/// What of [`Needed`] concerns a charm or a space; none for the rest.
pub(crate) fn subject(needed: &Needed) -> (Option<&SpaceDid>, Option<&CharmRef>) {
    match needed {
        Needed::Space(space, _) | Needed::Deploy(space) => (Some(space), None),
        Needed::Charm(charm, _) | Needed::OwnerOrService(charm) | Needed::Update(charm) | Needed::Observe(charm) => {
            (Some(&charm.space), Some(charm))
        }
        Needed::Registrations(_) | Needed::OwnKey => (None, None),
    }
}
