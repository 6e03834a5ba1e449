//! `setup gmail`: from a Google account to its mail in a charm.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use bg_charm_api::{AccountState, AccountSummary, DeployRequest, Runtime};
use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::CharmRef;
use serde_json::{Map, Value};
use tokio::process::Command;
use url::Url;

use super::configuration::Configuration;
use super::questions::ask;
use crate::args::{
    ClientCommand, ClientSetArgs, Common, GrantArgs, HandlerArgs, JsonArg, LoginArgs, OAuthCommand, SetupGmailArgs,
};
use crate::commands::{oauth, registrations, space};
use crate::integrations::Plan;
use crate::{connect, output, paths};

const API: &str = "https://gmail.googleapis.com/";

/// The charm: the example that reads mail.
const CHARM: &str = include_str!("../../../../../examples/charms/gmail.tsx");
const GOOGLE: &str = include_str!("../../../../../examples/charms/google.ts");

/// What a person does once in Google's console.
const CONSOLE: &str = "\
You need an OAuth client of your own at Google, once. In a browser, at https://console.cloud.google.com:
  a. Create a project: the list of projects at the top, New project.
  b. Enable the API: APIs & Services, Library, search for Gmail API, Enable.
  c. Describe the app: APIs & Services, OAuth consent screen, Get started. Audience: External.
  d. Publish it: Audience, Publish app. While its status is Testing, Google ends your sign-in after 7 days.
  e. Create the client: Clients, Create client, type Desktop app. Download JSON.
docs/signing-in.md has each click.";

/// What was found out before anything is done.
struct Wanted {
    component: PathBuf,
    client: Option<PathBuf>,
    space: String,
    config: PathBuf,
    api: Url,
}

/// `setup gmail`
pub(super) async fn run(common: &Common, args: &SetupGmailArgs) -> anyhow::Result<()> {
    let (plan, wanted) = wanted(common, args).await?;
    let scopes = plan.manifest.oauth.as_ref().map(|oauth| oauth.scopes.clone()).unwrap_or_default();

    if let Some(file) = &wanted.client {
        step("Setting the client")?;
        let json = JsonArg { json: false };
        let set = ClientSetArgs { provider: "google".to_owned(), file: Some(file.clone()), id: None, json };
        oauth::run(common, &OAuthCommand::Client(ClientCommand::Set(set))).await?;
    }

    step("Deploying the charm")?;
    let charm = deploy(common, args, &wanted).await?;
    output::line(&charm)?;

    let runtime = connect::client(common).await?;
    step("Signing in at Google")?;
    if let Some(account) = account_of(&*runtime, &charm).await?.filter(|one| is_signed_in(one, &scopes)) {
        output::line(format_args!("{} is signed in", output::printable(&account.label)))?;
    } else {
        output::note(&[
            "Google warns that it has not verified the app, which is yours: choose Advanced, then Go to the app."
                .to_owned(),
            "Then check the box for Gmail.".to_owned(),
        ]);
        oauth::run(common, &OAuthCommand::Login(login(args, &charm, &scopes))).await?;
    }
    let account = account_of(&*runtime, &charm).await?.context("the charm has no account after the sign-in")?;
    if !is_signed_in(&account, &scopes) {
        bail!(
            "{} may not read mail: the box for Gmail was not checked; run `bg-wasm-host setup gmail` again",
            output::printable(&account.label)
        );
    }
    drop(runtime);

    step("Registering the charm")?;
    let integration: IntegrationId = plan.manifest.integration.id.clone();
    registrations::register(common, &charm, &integration, None).await?;

    step("Writing the configuration")?;
    let asked = plan.asked.first().map(|asked| asked.grant.clone().with_methods(bg_manifest::Methods::ANY).to_string());
    let configuration = Configuration {
        component: &wanted.component,
        asked: asked.as_deref().context("the component asks for no access to Gmail")?,
        elsewhere: args.api_base_url.as_ref(),
        api: &wanted.api,
    };
    let is_new = configuration.write(&wanted.config)?;
    let config = wanted.config.display();
    output::line(format_args!("{config}{}", if is_new { "" } else { " is there already" }))?;

    step("Polling the charm once")?;
    poll(common, &wanted.config, &charm).await?;
    let shown = connect::client(common).await?.show(&charm).await?;
    report(&shown.cells.get("emails").cloned().unwrap_or_default(), &charm, &wanted.config)
}

/// Asks all questions, before anything is done.
async fn wanted(common: &Common, args: &SetupGmailArgs) -> anyhow::Result<(Plan, Wanted)> {
    let component = match &args.component {
        Some(path) => path.clone(),
        None => paths::script_component()?.with_file_name("gmail.wasm"),
    };
    let component = component
        .canonicalize()
        .with_context(|| format!("cannot find the component {}; name it with --component FILE", component.display()))?;
    let info = connect::inspect(&component).await?;
    let set = args.api_base_url.iter().map(|url| format!("gmail.api-base-url={}", url.as_str().trim_end_matches('/')));
    let set = set.map(|text| text.parse()).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    let plan = Plan::new(&component, &info, &GrantArgs { set, ..GrantArgs::default() })?;

    let has_client = connect::with_owner(common).await?.clients().await?.iter().any(|one| one.provider == "google");
    let client = match &args.client {
        Some(file) => Some(file.clone()),
        None if has_client => None,
        None => {
            output::note(&CONSOLE.lines().map(str::to_owned).collect::<Vec<_>>());
            Some(expanded(&ask("The file that you downloaded", None, "--client FILE")?))
        }
    };
    if let Some(file) = client.as_ref().filter(|file| !file.is_file()) {
        bail!("there is no file {}; name the downloaded one", file.display());
    }
    let space = match &args.space {
        Some(space) => space.clone(),
        None => ask("The space for the charm", Some("mail"), "--space NAME")?,
    };
    let config = match &args.config {
        Some(file) => file.clone(),
        None => expanded(&ask("The configuration file to write", Some("bg-wasm-host.toml"), "--config FILE")?),
    };
    let api = args.api_base_url.clone().unwrap_or_else(|| Url::parse(API).expect("a constant that a test parses"));
    Ok((plan, Wanted { component, client, space, config, api }))
}

/// A path as a person writes it, with `~` for their home.
fn expanded(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(text),
    }
}

fn step(title: &str) -> anyhow::Result<()> {
    Ok(output::line(format_args!("\n== {title}"))?)
}

/// Makes the space if it does not exist, and deploys the charm into it. The same again is the same charm.
async fn deploy(common: &Common, args: &SetupGmailArgs, wanted: &Wanted) -> anyhow::Result<CharmRef> {
    let runner = connect::with_handlers(common, &HandlerArgs::default()).await?;
    let space: SpaceDid = if wanted.space.starts_with("did:") {
        space::resolve(&*runner.runtime, &wanted.space).await?
    } else {
        match runner.runtime.spaces(Some(&wanted.space)).await?.into_iter().next() {
            Some(found) => found.space,
            None => runner.runtime.new_space(&wanted.space).await?.space,
        }
    };
    let mut inputs = Map::new();
    if let Some(url) = &args.api_base_url {
        inputs.insert("apiBaseUrl".to_owned(), url.as_str().trim_end_matches('/').into());
    }
    let request = DeployRequest {
        file_name: "gmail.tsx".to_owned(),
        source: CHARM.to_owned(),
        files: [("google.ts".to_owned(), GOOGLE.to_owned())].into(),
        inputs,
        charm: None,
    };
    Ok(runner.runtime.deploy(&space, &request).await?.charm)
}

fn login(args: &SetupGmailArgs, charm: &CharmRef, scopes: &[String]) -> LoginArgs {
    LoginArgs {
        provider: "google".to_owned(),
        charm: Some(charm.clone()),
        cell: None,
        scope: scopes.to_vec(),
        account: None,
        no_browser: args.no_browser,
        device: false,
        token_stdin: false,
        name: None,
        port: None,
        json: JsonArg { json: false },
    }
}

async fn account_of(runtime: &dyn Runtime, charm: &CharmRef) -> anyhow::Result<Option<AccountSummary>> {
    let accounts = runtime.accounts().await?;
    Ok(accounts.into_iter().find(|account| account.charms.iter().any(|one| one.charm == *charm)))
}

fn is_signed_in(account: &AccountSummary, scopes: &[String]) -> bool {
    account.state != AccountState::Ended && scopes.iter().all(|scope| account.scopes.contains(scope))
}

/// Polls the charm in a process that is configured as the service will be.
async fn poll(common: &Common, config: &Path, charm: &CharmRef) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.args(["run", "--once", "--log", "warn", "--config"]).arg(config).arg("--charms").arg(charm.to_string());
    for (option, path) in
        [("--data-dir", &common.data_dir), ("--cache-dir", &common.cache_dir), ("--identity", &common.identity)]
    {
        if let Some(path) = path {
            command.arg(option).arg(path);
        }
    }
    if let Some(url) = &common.api_url {
        command.arg("--api-url").arg(url.as_str());
    }
    let status = command.stdin(Stdio::null()).status().await.context("cannot start the poll")?;
    if !status.success() {
        bail!("the poll failed ({status}); `bg-wasm-host status` says why, and what to do");
    }
    Ok(())
}

/// Prints the newest subject, and what to do next.
fn report(emails: &Value, charm: &CharmRef, config: &Path) -> anyhow::Result<()> {
    let emails = emails.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |email: &Value, name: &str| output::printable(email[name].as_str().unwrap_or_default());
    match emails.first() {
        None => output::line("the inbox is empty, or the poll brought nothing: `bg-wasm-host status` says which")?,
        Some(email) => output::line(format_args!(
            "{} messages; the newest is {:?}, from {}",
            emails.len(),
            text(email, "subject"),
            text(email, "from")
        ))?,
    }
    output::line("\n== Next")?;
    output::line(format_args!("keep polling:  bg-wasm-host run --config {}", config.display()))?;
    Ok(output::line(format_args!("see the mail:  bg-wasm-host charm show {charm}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gmails_api_has_a_url_and_the_charm_its_files() {
        assert!(Url::parse(API).is_ok());
        assert!(CHARM.contains("from \"./google\"") && GOOGLE.contains("export class Google"));
    }
}
