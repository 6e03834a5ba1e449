//! The server: the API of the local charm runtime, and the admin page.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use std::sync::Arc;

use anyhow::Context as _;
use bg_charm_api::{Actor, Spaces as _};
use bg_charm_runtime::{LocalRuntime, Reach, Tenancy};
use bg_identity::is_public_key;
use bg_server::{AdmissionLimits, LoginSessions, LoginToken, Server, ServerOptions, Tls};
use bg_server_trust::{DatabaseLock, LockError};
use serde_json::json;

use crate::args::{Common, LogFormat, ServerArgs};
use crate::confine::Confinement;
use crate::restart::{self, Restart};
use crate::{connect, open_spaces};

/// What a server needs to open.
pub(crate) fn confine(confinement: Confinement, listen: SocketAddr, args: &ServerArgs) -> Confinement {
    args.files().fold(confinement.listen(listen.port()), |confinement, file| confinement.read(file))
}

/// The address to listen at, with a concrete port if any will do: the one that the service had before it restarted, or
/// a free one. It is chosen before the process is confined to that port, also for later restarts.
pub(crate) fn with_port(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    if let Some(before) = restart::address_before().filter(|before| before.ip() == listen.ip()) {
        return Ok(before);
    }
    let free = TcpListener::bind(listen).and_then(|free| free.local_addr());
    free.with_context(|| format!("there is no free port at {}", listen.ip()))
}

/// Listens, configured by the options.
pub(crate) async fn bind(
    common: &Common,
    listen: SocketAddr,
    args: &ServerArgs,
    limits: AdmissionLimits,
    restart: &Restart,
) -> anyhow::Result<Server> {
    let tls = tls(args)?;
    if let Some(found) = args.tls_key.as_deref().and_then(connect::readable_tls_key) {
        tracing::warn!("{found}");
    }
    let chosen = args.login_token.clone().map(LoginToken::chosen).transpose();
    let chosen = chosen.context("--login-token (BG_WASM_HOST_LOGIN_TOKEN)")?;
    let (login_token, login_sessions) = match (chosen, restart.logins()) {
        (None, Some((token, sessions))) => (Some(token), sessions),
        (Some(chosen), Some((token, sessions))) if chosen == token => (Some(chosen), sessions),
        (chosen, _) => (chosen, LoginSessions::default()),
    };
    let options = ServerOptions {
        allowed_hosts: args.allow_host.clone(),
        allowed_origins: args.allow_origin.clone(),
        registration: args.registration.map(Into::into).unwrap_or_default(),
        integrations: args.allow_integration.clone(),
        tls,
        behind_proxy: args.behind_proxy,
        trace_context: connect::trace_context(common),
        login_token,
        login_sessions: login_sessions.clone(),
        limits,
        ..ServerOptions::default()
    };
    let server = Server::bind_with(listen, options).await?;
    restart.hand_over(server.login_token().clone(), login_sessions);
    restart.set_address(server.local_addr());
    Ok(server)
}

/// Whether a server with these options could listen, after one that listened at `before`.
pub(crate) fn recheck(before: Option<SocketAddr>, listen: Option<SocketAddr>, args: &ServerArgs) -> anyhow::Result<()> {
    let shown = |listen: Option<SocketAddr>| listen.map_or_else(|| "nothing".to_owned(), |listen| listen.to_string());
    let is_any = |listen: SocketAddr| listen.port() == 0 && before.is_some_and(|before| before.ip() == listen.ip());
    anyhow::ensure!(
        before == listen || listen.is_some_and(is_any),
        "`listen` is now {}, which needs a restart: this process may only listen at {}",
        shown(listen),
        shown(before)
    );
    tls(args).map(drop)
}

fn tls(args: &ServerArgs) -> anyhow::Result<Option<Tls>> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(Tls::read(certificate, key)?)),
        (None, None) => Ok(None),
        _ => anyhow::bail!("tls-cert and tls-key must be set together: one of them is missing"),
    }
}

/// Records next to the database where the server is, and whether others reach it; returns its URL.
pub(crate) fn note(lock: &mut DatabaseLock, server: &Server, args: &ServerArgs) -> Result<String, LockError> {
    let url = url(server, args);
    lock.set_shared(args.is_reached_by_others(server.local_addr()))?;
    lock.set_url(url.clone(), server.certificate())?;
    Ok(url)
}

/// The server's URL for this machine.
fn url(server: &Server, args: &ServerArgs) -> String {
    let address = reachable(server.local_addr());
    match (&args.tls_cert, args.allow_host.first()) {
        // A certificate is for a name.
        (Some(_), Some(name)) => format!("https://{name}:{}", address.port()),
        (Some(_), None) => format!("https://{address}"),
        (None, _) => format!("http://{address}"),
    }
}

/// Prints where the admin page is, with the login token. This is not a log line, since logs may be stored
/// or sent elsewhere. A token that the operator chose, or that was printed before a reload, is not printed. The rights
/// of strangers are logged.
pub(crate) async fn announce(
    common: &Common,
    server: &Server,
    args: &ServerArgs,
    runtime: &Arc<LocalRuntime>,
) -> anyhow::Result<()> {
    let page = format!("{}/admin", url(server, args));
    let token = server.login_token().expose().filter(|_| args.login_token.is_none());
    let text = match (common.log_format, token) {
        // The part after `#` stays in the browser.
        (LogFormat::Text, Some(token)) => format!("The admin page: {page}/login#{token}"),
        (LogFormat::Text, None) => format!("The admin page: {page}"),
        (LogFormat::Json, Some(token)) => json!({ "adminPage": page, "loginToken": token }).to_string(),
        (LogFormat::Json, None) => json!({ "adminPage": page }).to_string(),
    };
    // If standard error is closed, there is nowhere to report it.
    let _ = writeln!(io::stderr().lock(), "{text}");
    warn_of_strangers(common, runtime, &args.tenancy(Some(server.local_addr()))).await
}

/// Logs which rights others have, if they reach the server.
async fn warn_of_strangers(common: &Common, runtime: &Arc<LocalRuntime>, tenancy: &Tenancy) -> anyhow::Result<()> {
    let Some(Reach::Others { open_spaces }) = tenancy.reach else { return Ok(()) };
    if is_public_key(&connect::operator(common)?.did()) {
        tracing::warn!("{}; to use them: {PUBLIC_KEY_FIX}", public_key());
    }
    let new = if open_spaces {
        "anybody who signs requests may write in new spaces (--open-spaces)"
    } else {
        "new spaces belong to their owner and the service only"
    };
    tracing::info!("others reach this server: {new}");
    if let Some((found, fix)) = open_spaces::warning(&runtime.as_actor(Actor::Operator).spaces(None).await?) {
        tracing::warn!("{found}; to close it: {fix}");
    }
    Ok(())
}

/// How to give the operator a separate key.
pub(crate) const PUBLIC_KEY_FIX: &str = "bg-wasm-host identity new FILE, then start the server and use every command \
    with --identity FILE, and once bg-wasm-host add-admin-charm";

/// The problem of a server that others reach if its operator uses the public key.
pub(crate) fn public_key() -> &'static str {
    "the operator's key is derived from the public passphrase, so it has no rights over HTTP on a server that others \
    reach: commands and a `run` \
     that use it are refused"
}

/// How this machine reaches a listener: an unspecified address cannot be called.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_any_address_is_reached_on_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("192.168.0.5:80", "192.168.0.5:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
