//! Identities in bg-wasm-host: DIDs, spaces, charm IDs, integration IDs, key pairs and their files, secrets that never
//! print their text, and signed HTTP requests.
//!
//! Names follow the Common Tools system: a space is a `did:key` whose key pair is derived from its name, so that a name
//! means the same space everywhere.
//!
//! ```
//! use bg_identity::{Identity, Secret, space_did};
//!
//! // The key of a space comes from its name.
//! assert_eq!(space_did("my-space").as_str(), "did:key:z6Mkm3LRGzJFpnZTwcwxw57UU2XfPt6LeHdoX2Rn4WecqwRo");
//!
//! // A DID is the public half of a key pair. It verifies what the key pair signed.
//! let identity = Identity::from_passphrase("implicit trust");
//! let signature = ed25519_dalek::Signature::from_bytes(&identity.sign(b"message"));
//! assert!(identity.did().verifying_key().verify_strict(b"message", &signature).is_ok());
//!
//! // A secret prints nothing of itself.
//! assert!(!format!("{:?}", Secret::new("token".to_owned())).contains("token"));
//! ```

mod charm_id;
mod charm_ref;
mod did;
pub mod http_signature;
mod integration_id;
mod key;
mod key_file;
mod printable;
mod public_key;
mod retry_after;
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
pub use retry_after::retry_after;
pub use secret::{SECRET_MASK, Secret, mask};
pub use short::short;
pub use space::{SYSTEM_SPACE_NAME, SpaceDid, SpaceReader, space_did, space_identity, system_space};
