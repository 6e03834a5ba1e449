//! The servers that the tests run against: always a fake one, and the original's where the variable `LABS` names a
//! checkout of it. `LABS_DENO` is then the command that runs its code; without it, `deno run -A`.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bg_identity::{Identity, SpaceDid};
use bg_toolshed::{Config, Error, Limits, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::fake::{FakeServer, Nature};

pub(crate) enum Server {
    Fake(FakeServer),
    Original(SocketAddr),
}

/// A process that runs servers of the original.
struct Originals {
    asks: ChildStdin,
    addresses: BufReader<ChildStdout>,
}

impl Originals {
    fn start(labs: &OsStr, events: bool) -> Self {
        let command = std::env::var("LABS_DENO").unwrap_or_else(|_| "deno run -A".to_owned());
        let mut words = command.split(' ');
        let mut process = Command::new(words.next().unwrap())
            .args(words)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/session/original.ts"))
            .arg(labs)
            .arg(events.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It ends when this process does, since its input ends then.
        let (asks, addresses) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { asks, addresses: BufReader::new(addresses) }
    }

    fn server(&mut self, access: bool) -> SocketAddr {
        writeln!(self.asks, "{}", if access { "access" } else { "open" }).unwrap();
        let mut line = String::new();
        self.addresses.read_line(&mut line).unwrap();
        line.trim().parse().unwrap_or_else(|_| panic!("the original's server does not start: {line}"))
    }
}

/// Every server there is, of this nature, new.
pub(crate) async fn servers(nature: Nature) -> Vec<Server> {
    /// One that takes events, and one that takes none.
    static ORIGINALS: [Mutex<Option<Originals>>; 2] = [Mutex::new(None), Mutex::new(None)];
    let mut servers = vec![Server::Fake(FakeServer::start(nature.clone()).await)];
    if let Some(labs) = std::env::var_os("LABS") {
        let mut originals = ORIGINALS[usize::from(nature.events)].lock().unwrap_or_else(PoisonError::into_inner);
        let originals = originals.get_or_insert_with(|| Originals::start(&labs, nature.events));
        servers.push(Server::Original(originals.server(nature.access)));
    }
    servers
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Fake(fake) => fake.address,
            Self::Original(address) => *address,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fake(_) => "the fake server",
            Self::Original(_) => "the original's server",
        }
    }

    pub(crate) fn config(&self) -> Config {
        config(self.address())
    }

    pub(crate) async fn open(&self, space: &Identity) -> Session {
        open(&self.config(), space).await.unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }
}

pub(crate) fn config(address: SocketAddr) -> Config {
    Config {
        endpoint: format!("http://{address}").parse().unwrap(),
        identity: Arc::new(Identity::from_passphrase("a client")),
        audience: None,
        tls: None,
        limits: Limits::default(),
    }
}

pub(crate) async fn open(config: &Config, space: &Identity) -> Result<Session, Error> {
    Session::open(config, did(space)).await
}

pub(crate) fn did(space: &Identity) -> SpaceDid {
    space.did().as_str().parse().unwrap()
}

/// A space that no other test has.
pub(crate) fn space() -> Identity {
    Identity::generate().unwrap()
}

/// What stands between a client and a server, and breaks.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<ProxyState>>,
    task: AbortHandle,
}

struct ProxyState {
    target: Option<SocketAddr>,
    connections: Vec<AbortHandle>,
    count: usize,
    swallows: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = ProxyState { target: Some(target), connections: Vec::new(), count: 0, swallows: Arc::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut state = shared.lock().unwrap();
                state.count += 1;
                let Some(target) = state.target else { continue };
                let swallows = Arc::clone(&state.swallows);
                let connection = tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let (mut from_client, mut to_client) = client.split();
                    let (mut from_server, mut to_server) = server.split();
                    let back = async {
                        let mut buffer = [0; 4096];
                        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                            if !swallows.load(Ordering::Relaxed) && to_client.write_all(&buffer[..count]).await.is_err()
                            {
                                break;
                            }
                        }
                    };
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                        () = back => {}
                    }
                });
                state.connections.push(connection.abort_handle());
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    /// Ends every connection. New ones lead to the target, or nowhere.
    pub(crate) fn cut(&self, target: Option<SocketAddr>) {
        let mut state = self.state.lock().unwrap();
        state.target = target;
        state.connections.drain(..).for_each(|connection| connection.abort());
    }

    /// Takes what the server sends, and passes nothing on.
    pub(crate) fn swallow(&self, swallows: bool) {
        self.state.lock().unwrap().swallows.store(swallows, Ordering::Relaxed);
    }

    /// How many connections there were.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().count
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut(None);
    }
}
