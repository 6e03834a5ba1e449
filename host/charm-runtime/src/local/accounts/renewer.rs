//! The process that renews an account, and ends its work also if the one that started it is killed.
//!
//! A provider that rotates refresh tokens ends the old one as it answers. If the answer is lost, so is the account. So
//! the exchange, and the write that keeps what it brought, are done by a short-lived process: it has its own group, is
//! not ended by the signals that end a service, and nothing ends it when the service does.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bg_charm_api::wire::Problem;
use bg_poller::{RuntimeError, Scope};
use bg_sandbox::ChildCommand;
use bg_store::Tenancy;
use bg_store_sqlite::{SqliteOptions, SqliteStore};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use super::{AccountOptions, renewal};

/// For how long its answer is waited for. It goes on after that.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// Longer than any answer.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Has a process renew an account. Its arguments and its answer have no secret.
pub(super) async fn ask(
    command: &ChildCommand,
    database: &Path,
    secrets_key: Option<&Path>,
    account: &str,
    generation: u64,
) -> Result<(), RuntimeError> {
    let failed = |problem: String| {
        RuntimeError::unavailable_in(Scope::Charm, format!("the process that renews {account} {problem}"))
    };
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .arg(absolute(database))
        .arg(account)
        .arg(generation.to_string())
        .args(secrets_key.map(absolute))
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(false)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let mut answer = Vec::new();
    let stdout = child.stdout.take();
    let read = async {
        if let Some(stdout) = stdout {
            stdout.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        }
        child.wait().await
    };
    match timeout(LONGEST_WAIT, read).await {
        Err(_) => Err(failed(format!("has not answered for {} s", LONGEST_WAIT.as_secs()))),
        Ok(Err(error)) => Err(failed(format!("cannot be waited for: {error}"))),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => Err(problem.into_error(&database_url(database))),
            Err(_) => Err(failed(format!("ended without an answer ({status})"))),
        },
    }
}

/// For errors that name the place where something failed.
fn database_url(database: &Path) -> Url {
    let nowhere = || Url::parse("file:///").expect("this is a URL");
    Url::from_file_path(std::path::absolute(database).unwrap_or_default()).unwrap_or_else(|()| nowhere())
}

/// The work of such a process. An error is for its standard output, as JSON.
pub async fn work_as_renewer(
    options: &AccountOptions,
    database: &Path,
    secrets_key: Option<&Path>,
    account: &str,
    generation: u64,
) -> Result<(), Problem> {
    let options_of = SqliteOptions {
        database: database.to_owned(),
        secrets_key: secrets_key.map(Path::to_owned),
        tenancy: Tenancy::default(),
        owner: None,
    };
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(options_of)).await;
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => return Err(Problem::from(&RuntimeError::unavailable(error.to_string()))),
        Err(error) => return Err(Problem::from(&RuntimeError::unavailable(error.to_string()))),
    };
    renewal::renew(&store, options, account, generation).await.map_err(|error| Problem::from(&error))
}
