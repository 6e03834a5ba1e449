//! `oauth login`: in a browser, by a pasted URL, on another device, or with a token.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bg_charm_api::{DeviceQuestion, ForCharm, SignInAnswer, SignInRequest, SignedIn, TokenRequest};
use bg_identity::Secret;
use bg_oauth::{Callback, Provider, Redirect};
use bg_poller::UnixMillis;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use url::Url;

use super::{callback, read_stdin, shown};
use crate::args::{Common, LoginArgs};
use crate::connect::{self, AnyRuntime};
use crate::{output, providers};

/// The port for providers that want each redirect URL registered.
pub(super) const REGISTERED_PORT: u16 = 53_682;

/// `oauth login`
pub(super) async fn run(common: &Common, args: &LoginArgs) -> anyhow::Result<()> {
    let provider = providers::one(common, &args.provider)?;
    let runtime = connect::client(common).await?;
    let signed_in = if args.token_stdin {
        token(&runtime, args, &provider).await?
    } else if args.device {
        device(&runtime, args).await?
    } else {
        browser(&runtime, args, &provider).await?
    };
    report(args, &signed_in)
}

/// The redirect URL with that port.
pub(super) fn redirect(provider: &Provider, port: u16) -> Url {
    let host = match provider.redirect {
        Redirect::LoopbackName => "localhost",
        Redirect::LoopbackAnyPort | Redirect::Registered => "127.0.0.1",
    };
    let path = if provider.redirect == Redirect::LoopbackName { "" } else { "callback" };
    Url::parse(&format!("http://{host}:{port}/{path}")).expect("a host, a port and a path make a URL")
}

fn request(args: &LoginArgs, redirect: Option<&Url>) -> SignInRequest {
    SignInRequest {
        provider: args.provider.clone(),
        scopes: args.scope.clone(),
        redirect: redirect.map(ToString::to_string),
        account: args.account.clone(),
        attach: for_charm(args),
    }
}

fn for_charm(args: &LoginArgs) -> Option<ForCharm> {
    args.charm.as_ref().map(|charm| ForCharm { charm: charm.to_string(), cell: args.cell.clone() })
}

async fn token(runtime: &AnyRuntime, args: &LoginArgs, provider: &Provider) -> anyhow::Result<SignedIn> {
    let token = read_stdin(&format!("the token for {}", provider.title))?;
    if token.expose().is_empty() {
        bail!("standard input has no token");
    }
    let request =
        TokenRequest { provider: args.provider.clone(), token, name: args.name.clone(), attach: for_charm(args) };
    Ok(runtime.keep_token(&request).await?)
}

async fn device(runtime: &AnyRuntime, args: &LoginArgs) -> anyhow::Result<SignedIn> {
    let begun = runtime.begin_device(&request(args, None)).await?;
    output::note(&[
        format!("open {} on any device, and enter the code {}", begun.verification, begun.user_code),
        format!("waiting until {}", output::time(begun.ends_at)),
    ]);
    let question = DeviceQuestion { ticket: begun.ticket };
    let mut wait = begun.interval;
    while UnixMillis::now() < begun.ends_at {
        sleep(Duration::from_secs(wait.clamp(1, 300))).await;
        let answer = runtime.poll_device(&question).await?;
        if let Some(signed_in) = answer.signed_in {
            return Ok(signed_in);
        }
        wait = answer.interval;
    }
    bail!("nobody entered the code in time; start the sign-in again")
}

async fn browser(runtime: &AnyRuntime, args: &LoginArgs, provider: &Provider) -> anyhow::Result<SignedIn> {
    let port = match provider.redirect {
        Redirect::Registered => args.port.unwrap_or(REGISTERED_PORT),
        Redirect::LoopbackAnyPort | Redirect::LoopbackName => args.port.unwrap_or(0),
    };
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port} for the browser; choose another with --port"))?;
    let redirect = redirect(provider, listener.local_addr()?.port());
    let begun = runtime.begin_sign_in(&request(args, Some(&redirect))).await?;
    let url: Url = begun.url.parse().context("the URL of the sign-in")?;
    let state = url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
    let state = Secret::new(state.context("the URL of the sign-in has no state")?);
    let mut lines = vec![format!("open this URL in a browser to sign in at {}:", provider.title), url.to_string()];
    if args.no_browser {
        lines.push(format!(
            "in the end, a browser elsewhere cannot load a page at {redirect}: paste the URL of that page here"
        ));
    }
    output::note(&lines);
    if !args.no_browser {
        open(&url);
    }
    let left = Duration::from_millis(begun.ends_at.0.saturating_sub(UnixMillis::now().0));
    let answered = timeout(left, answer(runtime, args, &listener, &redirect, &state));
    answered.await.unwrap_or_else(|_| bail!("nobody signed in for ten minutes; start the sign-in again"))
}

/// The answer that a browser of this machine brings, or that is pasted, whichever is first.
async fn answer(
    runtime: &AnyRuntime,
    args: &LoginArgs,
    listener: &TcpListener,
    redirect: &Url,
    state: &Secret,
) -> anyhow::Result<SignedIn> {
    let pasted = async { if args.no_browser { pasted(redirect, state).await } else { std::future::pending().await } };
    tokio::select! {
        answered = callback::next(listener, redirect, state.expose()) => {
            let answered = answered.context("cannot take the browser's answer")?;
            let query = Secret::new(answered.query.clone());
            let result = runtime.finish_sign_in(&SignInAnswer { query }).await;
            let text = match &result {
                Ok(signed_in) => format!("{} is signed in. You can close this window.", shown::name(&signed_in.account)),
                Err(_) => "The sign-in failed; the terminal says why.".to_owned(),
            };
            callback::finish(answered, listener, redirect, &text).await;
            Ok(result?)
        }
        query = pasted => Ok(runtime.finish_sign_in(&SignInAnswer { query: query? }).await?),
    }
}

/// Reads lines until one is the URL that the sign-in ends on.
async fn pasted(redirect: &Url, state: &Secret) -> anyhow::Result<Secret> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.context("cannot read standard input")? {
        if line.trim().is_empty() {
            continue;
        }
        match Callback::pasted(&line, redirect) {
            Ok(found) if found.state().expose() == state.expose() => {
                let line = Secret::new(line);
                let query = line.expose().trim().trim_matches(['"', '\'', '<', '>']).parse::<Url>();
                let query = query.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
                return Ok(Secret::new(query));
            }
            Ok(_) => output::note(&[
                "this is the answer to another sign-in; finish the one that this command has begun".to_owned(),
            ]),
            Err(error) => output::note(&[error.to_string()]),
        }
    }
    // Nothing more can be pasted; a browser of this machine may still bring it.
    std::future::pending().await
}

/// Opens a browser, if there is one. The URL was printed, so that it does not matter if that fails.
fn open(url: &Url) {
    if std::env::var_os("DISPLAY").is_none() && std::env::var_os("WAYLAND_DISPLAY").is_none() {
        return;
    }
    let mut command = std::process::Command::new("xdg-open");
    let _ = command.arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// Says who has signed in, and what was asked for and not allowed.
fn report(args: &LoginArgs, signed_in: &SignedIn) -> anyhow::Result<()> {
    let SignedIn { account, missing } = signed_in;
    if args.json.json {
        output::json(signed_in)?;
    } else {
        output::line(format_args!("signed in: {}", shown::name(account)))?;
        if let Some(charm) = &args.charm {
            output::line(format_args!("{charm} has its token"))?;
        }
    }
    let mut notes = Vec::new();
    if !missing.is_empty() {
        let scopes: Vec<String> = missing.iter().map(|scope| format!("--scope {}", output::printable(scope))).collect();
        notes.push(format!("asked for and NOT allowed: {}", output::printable(&missing.join(" "))));
        notes.push(format!(
            "to ask again: bg-wasm-host oauth login {} --account {} {}",
            account.provider,
            account.id,
            scopes.join(" ")
        ));
    }
    if account.charms.is_empty() && args.charm.is_none() {
        notes.push(format!("no charm has it yet: bg-wasm-host oauth attach {} CHARM", account.id));
    }
    output::note(&notes);
    Ok(())
}
