//! The user of a limit.

use std::net::IpAddr;

use bg_identity::Did;
use bg_identity::http_signature::{Room, Sender as NonceSender};

use super::client::Client;

/// The kind of a client, by what it has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Nothing.
    Stranger,
    /// That it is on this machine.
    Local,
    /// That it is the operator's.
    Operator,
}

/// The user of a limit: its kind, and the owner of its share.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) standing: Standing,
    /// `None` for the operator.
    pub(crate) signer: Option<Did>,
    /// `None` on this machine.
    pub(crate) network: Option<IpAddr>,
}

impl Sender {
    pub(super) fn new(standing: Standing, signer: Option<Did>, client: Client) -> Self {
        let network = (standing == Standing::Stranger).then(|| client.network());
        Self { standing, signer, network }
    }

    /// The operator, by the login token or a session.
    pub(crate) fn operator() -> Self {
        Self { standing: Standing::Operator, signer: None, network: None }
    }

    pub(super) fn is_operator(&self) -> bool {
        self.standing == Standing::Operator
    }

    pub(super) fn nonces(&self) -> NonceSender {
        let room = match self.standing {
            Standing::Stranger => Room::Strangers,
            Standing::Local => Room::Local,
            Standing::Operator => Room::Operator,
        };
        NonceSender { room, network: self.network }
    }
}
