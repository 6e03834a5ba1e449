//! A database with many charms, created once and copied for each use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bg_test_support::TestHost;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::charms::{Bench, GMAIL, deploy};

/// How many charms are deployed concurrently: some compute while others are written.
const AT_ONCE: usize = 16;

/// The size of a database.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) charms: u32,
    pub(crate) spaces: u32,
}

/// A folder with a database of counter charms, all registered and never polled, and the key of its secrets.
pub(crate) struct Filled {
    pub(crate) size: Size,
    folder: PathBuf,
}

const FILES: [&str; 2] = ["runtime.db", "secrets.key"];

/// Creates it, unless an earlier run did.
pub(crate) async fn filled(bench: &Bench, size: Size) -> anyhow::Result<Filled> {
    let Size { charms, spaces } = size;
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = base.join(format!("charms-{charms}-{spaces}"));
    if !folder.is_dir() {
        eprintln!("deploying {charms} charms; this is done once");
        let making = tempfile::tempdir_in(base)?;
        let runtime = bench.runtime(&making.path().join(FILES[0]))?;
        let deployed = (0..charms).map(|number| {
            let runtime = runtime.clone();
            // In a task, so that both cores are used.
            let task = tokio::spawn(async move { one(&runtime, number, spaces).await });
            async move { task.await? }
        });
        futures_util::stream::iter(deployed).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        drop(runtime);
        // Empties the write-ahead log.
        rusqlite::Connection::open(making.path().join(FILES[0]))?.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
        std::fs::rename(making.keep(), &folder)?;
    }
    Ok(Filled { size, folder })
}

/// A charm's ID depends on its source and its space, so charms of one space get different initial values.
async fn one(runtime: &Arc<bg_charm_runtime::LocalRuntime>, number: u32, spaces: u32) -> anyhow::Result<()> {
    let space = format!("bench-{}", number % spaces);
    deploy(runtime, "counter.tsx", &space, GMAIL, number / spaces).await.map(drop)
}

impl Filled {
    /// A host whose data directory has a copy of it.
    pub(crate) fn host(&self) -> anyhow::Result<TestHost> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let host =
            TestHost::new(env!("CARGO_BIN_EXE_bg-wasm-host"))?.env("BG_WASM_HOST_CACHE", base.join("component-cache"));
        // Creates the data directory.
        host.command(["identity", "new", "unused"])?.success()?;
        std::fs::create_dir_all(host.data_dir())?;
        for file in FILES {
            std::fs::copy(self.folder.join(file), host.data_dir().join(file))?;
        }
        host.command(["add-admin-charm"])?.success()?;
        Ok(host)
    }
}
