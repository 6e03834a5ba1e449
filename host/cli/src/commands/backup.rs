//! `backup`: a copy of the local database, while services use it.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::args::Common;
use crate::output;
use crate::paths::DataDir;

/// Copies the database of the local charm runtime into a new file.
pub(crate) async fn run(common: &Common, file: &Path) -> anyhow::Result<()> {
    if let Some(url) = &common.api_url {
        bail!(
            "`backup` copies the local database; it can't be used with --api-url or API_URL ({url}): run it where \
            that runtime runs"
        );
    }
    let data_dir = DataDir::open(common)?;
    let (database, to) = (data_dir.runtime_database(), file.to_owned());
    tokio::task::spawn_blocking(move || bg_charm_runtime::backup(&database, &to))
        .await
        .context("the copy ended early")??;
    output::line(format_args!("copied the database to {}; the copy is complete and was checked", file.display()))?;
    let key = data_dir.secrets_key();
    if key.exists() {
        output::line(format_args!(
            "the key of its secrets, {}, is not included: back it up too, in another place. To restore, put the backup \
             into a data directory as runtime.db, and the key beside it",
            key.display()
        ))?;
    } else {
        output::line("it has no secrets yet, so there is no key to back up")?;
    }
    Ok(())
}
