//! What strangers may do on a server, and how much they may keep there.

use bg_identity::Did;

/// Who reaches the server of a runtime, and what its operator says of strangers.
#[derive(Clone, Debug, Default)]
pub struct Tenancy {
    /// Where the API is offered. None in a process that offers it nowhere: new spaces are then as the last server had
    /// them.
    pub reach: Option<Reach>,
    /// How much may be kept by others than the operator.
    pub quotas: Quotas,
}

impl Tenancy {
    /// Whether requests come from beyond this machine.
    pub fn is_shared(&self) -> bool {
        matches!(self.reach, Some(Reach::Others { .. }))
    }

    /// Whether anyone who signs may write in new spaces. None where that is not for this process to say.
    pub fn opens_spaces(&self) -> Option<bool> {
        self.reach.map(|reach| match reach {
            Reach::Loopback => true,
            Reach::Others { open_spaces } => open_spaces,
        })
    }
}

/// Who can send requests to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine alone. As in the original, a key that is made from the name of a space owns it, and new spaces are
    /// open.
    Loopback,
    /// Others, too: there, nobody owns a space for knowing its name, and the public passphrase gives nothing.
    Others {
        /// Whether anyone who signs may write in new spaces, which are their owner's and the service's alone otherwise.
        open_spaces: bool,
    },
}

/// How much others than the operator may keep. What is at a limit stays, and is polled; what is new is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Charms of one space.
    pub charms_per_space: u64,
    /// Spaces that one key has made.
    pub spaces_per_signer: u64,
    /// Bytes of all charms in the spaces that one key has made: programs, cells, logs and runs.
    pub bytes_per_signer: u64,
    /// Bytes of the whole database.
    pub bytes: u64,
    /// Bytes that stay free on the disk of the database.
    pub free_disk: u64,
}

impl Default for Quotas {
    /// A thousand charms a space, a hundred spaces and 1 GiB a key, 16 GiB in all, and 256 MiB of free disk.
    fn default() -> Self {
        Self {
            charms_per_space: 1_000,
            spaces_per_signer: 100,
            bytes_per_signer: 1 << 30,
            bytes: 16 << 30,
            free_disk: 256 << 20,
        }
    }
}

/// Which spaces are listed.
pub enum Listed<'a> {
    /// All.
    All,
    /// Those that a key has made or owns.
    Of(&'a Did),
    /// The one to which its maker gave that name; an empty maker is the operator.
    Named {
        /// Who gave it.
        owner: &'a str,
        /// The name.
        name: &'a str,
    },
}
