//! Which services work on a data directory.

use bg_charms::{DatabaseLock, Holder, Role};
use serde::Serialize;

use crate::args::Common;
use crate::paths::DataDir;

/// The services of this machine that have to do with the charm runtime which the options name.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Services {
    /// Who polls it.
    pub(crate) polls: Option<Holder>,
    /// The `serve` that offers it over HTTP.
    pub(crate) serves: Option<Holder>,
}

impl Services {
    /// Who offers it over HTTP, with the admin page, and where: a `serve`, or a `run` that listens as well.
    pub(crate) fn listener(&self) -> Option<(&Holder, &str)> {
        [&self.serves, &self.polls].into_iter().flatten().find_map(|holder| Some((holder, holder.url.as_deref()?)))
    }
}

/// Finds them by the locks that they hold.
pub(crate) fn find(common: &Common) -> anyhow::Result<Services> {
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    if let Some(url) = &common.api_url {
        return Ok(Services { polls: DatabaseLock::holder(&data_dir.poll_database(url))?, serves: None });
    }
    Ok(match DatabaseLock::holder(&data_dir.runtime_database())? {
        Some(holder) if holder.role == Role::Run => Services { polls: Some(holder), serves: None },
        Some(serves) => {
            // Who polls a server has a database of its own for that.
            let url = serves.url.as_deref().and_then(|url| url.parse().ok());
            let polls = match &url {
                Some(url) => DatabaseLock::holder(&data_dir.poll_database(url))?,
                None => None,
            };
            Services { polls, serves: Some(serves) }
        }
        None => Services::default(),
    })
}
