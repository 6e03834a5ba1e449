//! A charm runtime for one command, in a folder that is deleted afterwards.

use anyhow::Context as _;
use bg_identity::{SpaceDid, space_did};
use tokio_util::sync::CancellationToken;

use crate::args::Common;

/// The space of its charms.
pub(super) fn space() -> SpaceDid {
    space_did("charm-test")
}

/// Does the work with a data directory of its own. Even after a failure, nothing is left.
pub(super) async fn with_data_dir<T>(
    common: &Common,
    what: &str,
    shutdown: CancellationToken,
    work: impl AsyncFnOnce(&Common) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = tempfile::Builder::new()
        .prefix("bg-wasm-host-charm-test-")
        .tempdir()
        .context("cannot create a temporary folder; set TMPDIR to a writable folder")?;
    let common = Common { data_dir: Some(folder.path().to_owned()), api_url: None, ..common.clone() };
    let done = tokio::select! {
        done = work(&common) => done,
        () = shutdown.cancelled() => Err(anyhow::anyhow!("the {what} was interrupted")),
    };
    let left = folder.path().display().to_string();
    folder.close().with_context(|| format!("cannot delete {left}"))?;
    done
}
