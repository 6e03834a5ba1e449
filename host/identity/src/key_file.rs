//! Key files: PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it, and the original's variant of it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{SecretKey, SigningKey};
use zeroize::Zeroizing;

use crate::Identity;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// A key file has about 120 bytes; this leaves room for comments.
const MAX_BYTES: u64 = 64 * 1024;

/// A key file that can't be read or written. The message names the file, and never contains its content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file can't be read.
    #[error("can't read the key file {}: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// The file can't be written.
    #[error("can't write the key file {}: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// The file exists. An overwritten key would be lost for good.
    #[error("{} exists already and was not changed; choose another name, or move it away first", .0.display())]
    Exists(PathBuf),
    /// The file is not the private key of an Ed25519 key pair.
    #[error(
        "{} is not a usable key file: {problem}; a new one is made by `bg-wasm-host identity new FILE`, or by \
         `openssl genpkey -algorithm ed25519 -out FILE`",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Identity {
    /// Reads the key file at `path`: PKCS#8 in PEM, or the same with a multibase `M` before the base64, as Common Tools
    /// writes it. At most 64 KiB.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let text = read(path).map_err(|problem| KeyFileError::Read { path: path.into(), problem })?;
        from_pem(&text).map_err(|problem| KeyFileError::Unusable { path: path.into(), problem })
    }

    /// The key pair as PKCS#8 in PEM, which other tools read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let pair = KeypairBytes { secret_key: SecretKey::from(*self.seed()), public_key: None };
        let der = pair.to_pkcs8_der().expect("a key of 32 bytes always has a PKCS#8 form");
        let body = Zeroizing::new(STANDARD.encode(der.as_bytes()));
        Zeroizing::new(format!("{BEGIN}\n{}\n{END}\n", *body))
    }

    /// Writes the key pair to a new file at `path` that only its owner can read (mode 0600). Never overwrites a file.
    pub fn save_new(&self, path: &Path) -> Result<(), KeyFileError> {
        let failed = |problem: io::Error| match problem.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.into()),
            _ => KeyFileError::Write { path: path.into(), problem },
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let written = file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| {
            // Half a key is useless, and would block the next attempt. If this fails too, the first error matters more.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }
}

/// Who can read a key file besides its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFileReaders {
    /// Its group.
    Group,
    /// Every user of the machine.
    Everybody,
}

impl fmt::Display for KeyFileReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "its group",
            Self::Everybody => "every user of this machine",
        })
    }
}

/// Who can read the key file at `path` besides its owner, by its mode; `None` if nobody can, or if there is no such
/// file.
pub fn key_file_readers(path: &Path) -> Option<KeyFileReaders> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    match (mode & 0o004, mode & 0o040) {
        (0, 0) => None,
        (0, _) => Some(KeyFileReaders::Group),
        _ => Some(KeyFileReaders::Everybody),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    // Allocated once, so that growing leaves no copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let length = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 64 KiB"));
    }
    Ok(text)
}

fn from_pem(text: &str) -> Result<Identity, &'static str> {
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err("it is protected by a passphrase, which is not supported");
    }
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return Err("it is in OpenSSH's own format, not PKCS#8");
    }
    if text.contains("-----BEGIN PUBLIC KEY-----") {
        return Err("it is the public half of a key");
    }
    let (_, rest) = text.split_once(BEGIN).ok_or("it has no line \"-----BEGIN PRIVATE KEY-----\"")?;
    let (body, _) = rest.split_once(END).ok_or("it has no line \"-----END PRIVATE KEY-----\"")?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    // PEM of PKCS#8 starts with `M`, too. With the multibase prefix there is one character more than base64 can have,
    // so no text can be parsed both ways.
    let der = STANDARD
        .decode(body.as_bytes())
        .or_else(|error| body.strip_prefix('M').map_or(Err(error), |rest| STANDARD.decode(rest)))
        .map(Zeroizing::new)
        .map_err(|_| "the text between its BEGIN and END lines is not base64")?;
    let key = SigningKey::from_pkcs8_der(&der).map_err(|_| "it does not contain an Ed25519 private key in PKCS#8")?;
    Ok(Identity::from_seed(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of "implicit trust".
    const TRUE_PEM: &str = concat!(
        "-----BEGIN PRIVATE KEY-----\n",
        "MC4CAQAwBQYDK2VwBCIEIMh5YA3piocSXgjQ5lnOg2CCxCl7eYTRbsr8vgBy3YO3\n",
        "-----END PRIVATE KEY-----\n"
    );

    fn load(text: &str) -> Result<Identity, KeyFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Identity::load(file.path())
    }

    #[test]
    fn both_forms_of_key_files_are_parsed() {
        let did = Identity::from_passphrase("implicit trust").did();
        let forms = [
            TRUE_PEM.to_owned(),
            TRUE_PEM.replace("\nMC4C", "\nMMC4C"),
            TRUE_PEM.replace('\n', "\r\n"),
            format!("# my key\n{TRUE_PEM}\n\n"),
            // With line breaks in the body, as PEM allows.
            TRUE_PEM.replace("BAYDK2Vw", "BAYD\nK2Vw"),
            TRUE_PEM.trim_end().to_owned(),
        ];
        for form in forms {
            assert_eq!(load(&form).unwrap().did(), did, "{form}");
        }
    }

    #[test]
    fn a_written_key_file_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let identity = Identity::from_passphrase("implicit trust");
        identity.save_new(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), TRUE_PEM);
        assert_eq!(Identity::load(&path).unwrap().did(), identity.did());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn the_mode_of_a_key_file_says_who_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, readers) in [
            (0o600, None),
            (0o400, None),
            (0o622, None),
            (0o640, Some(KeyFileReaders::Group)),
            (0o644, Some(KeyFileReaders::Everybody)),
            (0o604, Some(KeyFileReaders::Everybody)),
        ] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(key_file_readers(file.path()), readers, "{mode:o}");
        }
        assert_eq!(key_file_readers(Path::new("/nowhere/key.pem")), None);
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "precious").unwrap();
        let error = Identity::generate().unwrap().save_new(file.path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists(_)), "{error}");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "precious");
    }

    #[test]
    fn a_bad_key_file_is_explained_without_showing_it() {
        let cases = [
            ("", "BEGIN PRIVATE KEY"),
            ("hunter2", "BEGIN PRIVATE KEY"),
            ("-----BEGIN PRIVATE KEY-----\nhunter2", "END PRIVATE KEY"),
            ("-----BEGIN PRIVATE KEY-----\nhunter2!\n-----END PRIVATE KEY-----", "not base64"),
            ("-----BEGIN PRIVATE KEY-----\nhunter22\n-----END PRIVATE KEY-----", "Ed25519"),
            ("-----BEGIN PUBLIC KEY-----\nhunter2", "public half"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2", "passphrase"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "OpenSSH"),
        ];
        for (text, expected) in cases {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn missing_binary_and_huge_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        assert!(Identity::load(&path).unwrap_err().to_string().contains("key.pem"));
        fs::write(&path, [0xff; 100]).unwrap();
        assert!(matches!(Identity::load(&path), Err(KeyFileError::Read { .. })));
        fs::write(&path, vec![b'a'; 70_000]).unwrap();
        assert!(Identity::load(&path).unwrap_err().to_string().contains("64 KiB"));
    }
}
