//! For tests: what access an integration has to the machine it runs on.

use std::fmt::Debug;
use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::{env, fs, io};

use bg_integration_sdk::{debug, info};

/// Looks for files, environment, input and sockets, and logs what is found. Does nothing without an address.
pub(crate) fn probe(address: &str) {
    if address.is_empty() {
        return;
    }
    let environment: Vec<_> = env::vars_os().collect();
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let mut input = Vec::new();
    let read = io::stdin().read_to_end(&mut input);
    let found = [
        (!environment.is_empty()).then(|| format!("the environment: {environment:?}")),
        (!arguments.is_empty()).then(|| format!("arguments: {arguments:?}")),
        (!input.is_empty()).then(|| format!("input: {read:?}, {input:?}")),
        attempt("the root folder", fs::read_dir("/").map(Iterator::count)),
        attempt("this folder", fs::read_dir(".").map(Iterator::count)),
        attempt("a file", fs::read("/etc/passwd")),
        attempt("a file to write", fs::write("/tmp/probe", "x")),
        attempt("a name", "localhost:80".to_socket_addrs().map(Iterator::count)),
        attempt("a connection", TcpStream::connect(address)),
        attempt("a listener", TcpListener::bind("127.0.0.1:0")),
        attempt("a datagram socket", UdpSocket::bind("127.0.0.1:0")),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() {
        info!("probe: nothing");
    } else {
        info!("probe: FOUND {}", found.join("; "));
    }
}

fn attempt<T: Debug>(what: &str, outcome: io::Result<T>) -> Option<String> {
    match outcome {
        Ok(found) => Some(format!("{what}: {found:?}")),
        Err(error) => {
            debug!("probe: {what}: {error}");
            None
        }
    }
}
