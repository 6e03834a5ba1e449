//! `oauth …`: clients and accounts at other services.

mod callback;
mod login;
mod shown;

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use bg_charm_api::{AccountRequest, AttachRequest, ClientRequest, DetachRequest, ForCharm};
use bg_identity::Secret;
use bg_oauth::{Client, ClientKind, Redirect};

use crate::args::{ClientCommand, ClientSetArgs, Common, OAuthCommand};
use crate::{connect, output, providers};

/// More than a client, or a token, takes.
const INPUT_BYTES: u64 = 64 * 1024;

/// `oauth …`
pub(crate) async fn run(common: &Common, command: &OAuthCommand) -> anyhow::Result<()> {
    match command {
        OAuthCommand::Client(ClientCommand::Set(args)) => set_client(common, args).await,
        OAuthCommand::Client(ClientCommand::List { json }) => {
            let clients = connect::client(common).await?.clients().await?;
            if json.json { output::json(&clients) } else { shown::clients(&clients) }
        }
        OAuthCommand::Login(args) => login::run(common, args).await,
        OAuthCommand::Accounts { json } => {
            let accounts = connect::client(common).await?.accounts().await?;
            if json.json { output::json(&accounts) } else { shown::accounts(&accounts) }
        }
        OAuthCommand::Attach { account, charm, cell, json } => {
            let attach = ForCharm { charm: charm.to_string(), cell: cell.clone() };
            let request = AttachRequest { account: account.clone(), attach };
            let account = connect::client(common).await?.attach(&request).await?;
            if json.json {
                return output::json(&account);
            }
            Ok(output::line(format_args!("{charm} has the token of {}", shown::name(&account)))?)
        }
        OAuthCommand::Detach { charm } => {
            let request = DetachRequest { charm: charm.to_string() };
            let cells = connect::client(common).await?.detach(&request).await?;
            Ok(output::line(format_args!("{charm} has no account any more; empty now: {}", cells.join(", ")))?)
        }
        OAuthCommand::Renew { account, times, json } => {
            let (request, runtime) = (AccountRequest { account: account.clone() }, connect::client(common).await?);
            for _ in 1..*times {
                runtime.renew(&request).await?;
            }
            let account = runtime.renew(&request).await?;
            if json.json {
                return output::json(&account);
            }
            let ends =
                account.expires_at.map_or_else(|| "does not end".to_owned(), |at| format!("ends {}", output::time(at)));
            Ok(output::line(format_args!("{} has a new token, which {ends}", shown::name(&account)))?)
        }
        OAuthCommand::Logout { account, json } => {
            let request = AccountRequest { account: account.clone() };
            let out = connect::client(common).await?.logout(&request).await?;
            if json.json {
                return output::json(&out);
            }
            output::line(format_args!("{} ({}) is removed, and the cells of its charms are empty", out.id, out.label))?;
            match (out.revoked, out.problem) {
                (true, _) => output::note(&["the provider has ended the authorization".to_owned()]),
                (false, problem) => output::note(&[format!(
                    "the provider has NOT ended the authorization: {}",
                    problem.unwrap_or_else(|| "it says no reason".to_owned())
                )]),
            }
            Ok(())
        }
    }
}

async fn set_client(common: &Common, args: &ClientSetArgs) -> anyhow::Result<()> {
    let provider = providers::one(common, &args.provider)?;
    let mut notes = Vec::new();
    let client = if let Some(path) = &args.file {
        let text = read_file(path)?;
        let (client, kind) = Client::from_google(text.expose()).with_context(|| path.display().to_string())?;
        if kind == ClientKind::Web && provider.redirect == Redirect::LoopbackAnyPort {
            notes.push(
                "this client is a \"Web application\", whose redirect URLs must be registered; for sign-ins from the \
                 command line, create one of the type \"Desktop app\""
                    .to_owned(),
            );
        }
        client
    } else {
        let secret = read_stdin(&format!("the secret of the client at {} (empty if it has none)", provider.title))?;
        let secret = Some(secret).filter(|secret| !secret.expose().is_empty());
        Client::new(args.id.clone().unwrap_or_default(), secret)?
    };
    let request = ClientRequest { provider: args.provider.clone(), id: client.id, secret: client.secret };
    let client = connect::with_owner(common).await?.set_client(&request).await?;
    if args.json.json {
        return output::json(&client);
    }
    output::line(format_args!("the client {} is set for {}", client.id, client.provider))?;
    match provider.redirect {
        Redirect::Registered => notes.push(format!(
            "register this redirect URL with the client, for `bg-wasm-host oauth login {}`: {}",
            client.provider,
            login::redirect(&provider, login::REGISTERED_PORT)
        )),
        Redirect::LoopbackName => notes.push("register this redirect URL with the client: http://localhost".to_owned()),
        Redirect::LoopbackAnyPort => {}
    }
    output::note(&notes);
    Ok(())
}

/// The text of a file that has a secret.
fn read_file(path: &std::path::Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let mut text = String::new();
    let length = (&mut file).take(INPUT_BYTES).read_to_string(&mut text);
    if length.with_context(|| format!("cannot read {shown}"))? as u64 == INPUT_BYTES {
        bail!("{shown} is too large for the file of a client");
    }
    Ok(Secret::new(text))
}

/// A secret from standard input. On a terminal, one line, after `what` is asked for.
fn read_stdin(what: &str) -> anyhow::Result<Secret> {
    let mut text = String::new();
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        output::note(&[format!("enter {what}:")]);
        stdin.read_line(&mut text).context("cannot read standard input")?;
    } else {
        stdin.lock().take(INPUT_BYTES).read_to_string(&mut text).context("cannot read standard input")?;
    }
    let secret = Secret::new(text);
    Ok(Secret::new(secret.expose().trim().to_owned()))
}
