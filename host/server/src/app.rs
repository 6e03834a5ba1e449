//! What all handlers share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bg_charm_api::TraceContext;
use bg_charm_api::wire::KeptHealth;
use bg_charm_runtime::LocalRuntime;
use bg_identity::IntegrationId;
use bg_identity::http_signature::NonceCache;
use bg_poller::UnixMillis;
use http::{Extensions, HeaderMap};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::admission::{Admission, Client, LOGINS, REGISTRATIONS, Rate};
use crate::counts::Counts;
use crate::hosts::Hosts;
use crate::login::{LoginToken, Logins};
use crate::options::{RegistrationPolicy, ServerOptions};
use crate::origins::Origins;
use crate::peer::{self, Peer};
use crate::pollers::Pollers;
use crate::site::Site;
use crate::triggers::Triggers;

pub(crate) struct App {
    pub(crate) runtime: Arc<LocalRuntime>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) pollers: Pollers,
    pub(crate) counts: Counts,
    pub(crate) logins: Logins,
    pub(crate) origins: Origins,
    pub(crate) registration: RegistrationPolicy,
    pub(crate) integrations: Vec<IntegrationId>,
    pub(crate) behind_proxy: bool,
    pub(crate) trace_context: TraceContext,
    pub(crate) tls: bool,
    pub(crate) registration_rate: Rate<IpAddr>,
    pub(crate) login_rate: Rate<IpAddr>,
    pub(crate) hosts: Hosts,
    pub(crate) admission: Admission,
    pub(crate) triggers: Arc<Triggers>,
    pub(crate) shutdown: CancellationToken,
    kept_health: Mutex<KeptHealth>,
}

impl App {
    pub(crate) fn new(
        site: Site,
        address: SocketAddr,
        options: &ServerOptions,
        login_token: &LoginToken,
        nonces: NonceCache,
        shutdown: CancellationToken,
    ) -> Self {
        let Site { runtime, activity, polling } = site;
        let admission = Admission::new(Arc::clone(&runtime), options, nonces);
        Self {
            runtime,
            activity,
            pollers: Pollers::new(polling),
            counts: Counts::default(),
            logins: Logins::new(login_token, address.port(), options.login_sessions.clone()),
            origins: Origins::new(options.allowed_origins.clone(), address.ip().to_canonical().is_loopback()),
            registration: options.registration,
            integrations: options.integrations.clone(),
            behind_proxy: options.behind_proxy,
            trace_context: options.trace_context.clone(),
            tls: options.tls.is_some(),
            registration_rate: Rate::per_minute(REGISTRATIONS),
            login_rate: Rate::per_minute(LOGINS),
            hosts: Hosts::new(address.ip(), &options.allowed_hosts),
            admission,
            triggers: Arc::default(),
            shutdown,
            kept_health: Mutex::default(),
        }
    }

    /// Stores the health of integrations for commands that do not know the polling processes.
    pub(crate) async fn keep_health(&self) {
        let (at, ended) = (UnixMillis::now(), !self.pollers.are_there());
        let health = self.pollers.health(&self.activity);
        let news = {
            let mut kept = self.kept_health.lock().unwrap_or_else(PoisonError::into_inner);
            // The last report of a loop that has ended stays.
            let integrations = if ended { kept.integrations.clone() } else { health };
            let now = KeptHealth { at, process: None, ended, integrations, ..KeptHealth::default() };
            let is_known = at.since(kept.at) < KeptHealth::AGAIN
                && kept.ended == now.ended
                && kept.integrations == now.integrations;
            (!is_known).then(|| kept.clone_from(&now)).map(|()| now)
        };
        if let Some(now) = news
            && let Err(error) = self.runtime.poll_store().save_health(&now).await
        {
            tracing::debug!(%error, "the health of integrations could not be stored");
        }
    }

    /// The caller of a request.
    pub(crate) fn client(&self, extensions: &Extensions, headers: &HeaderMap) -> Client {
        let peer = extensions.get().copied();
        // Every connection has one.
        let peer = peer.unwrap_or(Peer(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)));
        Client::new(peer.client(headers, self.behind_proxy))
    }

    /// Whether the client's browser speaks TLS, with us or with a proxy in front.
    pub(crate) fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.tls || peer::came_over_tls(headers, self.behind_proxy)
    }
}
