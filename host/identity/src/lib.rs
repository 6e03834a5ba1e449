//! Identities in bg-wasm-host: DIDs, spaces, charm IDs, integration IDs, key pairs and their files, secrets that never
//! print their text, and signed HTTP requests.
//!
//! Names follow the Common Tools system: a space is a `did:key` whose key pair is derived from its name, so that a name
//! means the same space everywhere.

mod charm_id;
mod charm_ref;
mod did;
pub mod http_signature;
mod integration_id;
mod key;
mod key_file;
mod printable;
mod public_key;
mod secret;
mod short;
mod shown;
mod space;
mod text;
pub mod units;

pub use charm_id::{CharmId, ParseCharmIdError};
pub use charm_ref::{CharmRef, ParseCharmRefError};
pub use did::{Did, ParseDidError};
pub use integration_id::{IntegrationId, ParseIntegrationIdError};
pub use key::{Identity, RandomnessError};
pub use key_file::{KeyFileError, KeyFileReaders, key_file_readers};
pub use printable::{
    Lines, Most, Piece, excerpt, first_hidden, is_hidden, pieces, printable, printable_json, printable_lines,
};
pub use public_key::{DEFAULT_PASSPHRASE, is_public_key};
pub use secret::{SECRET_MASK, Secret, mask};
pub use short::short;
pub use space::{SYSTEM_SPACE_NAME, SpaceDid, SpaceReader, space_did, space_identity, system_space};
