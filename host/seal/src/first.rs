//! Format 1, in which cells were sealed before subkeys were made by HKDF and digests by HMAC. It is read, and never
//! written: databases are sealed again when they are opened, but a process of the version before may still have one
//! open meanwhile.

use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::key::SecretsKey;

/// The first byte of a sealed document.
pub(super) const FORMAT: u8 = 1;

/// What a database of that time has in its table `meta`.
pub(super) fn fingerprint(key: &SecretsKey) -> [u8; 32] {
    *subkey(key, b"bg-wasm-host secrets key: fingerprint")
}

/// What opens its sealed documents.
pub(super) fn cipher(key: &SecretsKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*subkey(key, b"bg-wasm-host secrets key: cells")))
}

/// The digest that its charms are named by.
pub(super) fn digest(key: &SecretsKey, content: &[u8]) -> [u8; 32] {
    let key = subkey(key, b"bg-wasm-host secrets key: digests");
    let inner = Sha256::new().chain_update(key.as_ref()).chain_update(content).finalize();
    Sha256::new().chain_update(key.as_ref()).chain_update(inner).finalize().into()
}

fn subkey(key: &SecretsKey, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Sha256::new().chain_update(key.bytes()).chain_update(purpose).finalize().into())
}
