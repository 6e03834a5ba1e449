//! What the local charm runtime needs of a store.
//!
//! [`Store`] is the trait: one operation for each thing that the runtime does, whole or not at all. What is stored,
//! which parts of it are secret, and the rules for who may keep how much are here, too, so that all stores share them.
//! A store is a crate of its own, such as `bg-store-sqlite`; this crate depends on no database. With the feature
//! `suite`, [`suite`] has the tests that every store must pass.

mod accounts;
mod charm;
pub mod conditions;
mod damage;
pub mod document;
pub mod links;
pub mod paths;
pub mod redact;
pub mod refusals;
mod rights;
mod rules;
pub mod secret_names;
mod secret_rule;
mod shortages;
mod sizes;
mod store;
#[cfg(feature = "suite")]
pub mod suite;
mod tenancy;
mod writes;

pub use accounts::{Account, Accounts, Grant, Link, OAuthClient, SignIn, Turn};
pub use charm::{
    AllCells, BadCell, CellTexts, MAX_CELL_BYTES, MAX_CELLS, NewCharm, ProgramDigest, SecretText, StoredCharm,
    StoredProgram, kept_millis, key_of_space, program_digest, secret_texts_in, status_line,
};
pub use damage::{BadColumn, MaybeDamage, What, sound, sound_text};
pub use rights::{Needed, Right};
pub use rules::{Excess, LAST_TIME, LINES_KEPT, Room, Rules, Shortage, leave_out, said_bytes};
pub use shortages::Shortages;
pub use sizes::{Size, Sizes};
pub use store::{
    Begun, Cause, CellEdit, CellUpdate, Charms, Deployment, Deploys, Edit, EditError, Editor, Finished, FoundCharm,
    FoundRegistrations, Holding, IdOf, KnownProgram, Look, Names, Present, Registrations, Sources, Spaces, Store,
    Update,
};
pub use tenancy::{Listed, Quotas, Reach, Tenancy};
pub use writes::{Touch, Writes};
