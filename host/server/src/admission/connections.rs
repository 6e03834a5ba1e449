//! Step `connection`: the open connections, and which one closes for a new one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AdmissionLimits, Client, Rate};

/// How many connections one network may open a second, and ten times as many at once. Each may cost a TLS handshake.
const OPENED: usize = 50;

/// All connections.
///
/// A connection without an admitted request is idle: it waits for a head, for the body of an unsigned request, or for
/// its client to read the response. If all are taken, the one that was idle longest closes for a new one. So nobody can
/// keep others out by holding connections, and busy connections stay open.
pub(crate) struct Connections {
    limit: usize,
    /// Of these, reserved for clients on this machine.
    reserve: usize,
    share: usize,
    /// Whether all come from a proxy, so that their addresses mean nothing.
    behind_proxy: bool,
    opened: Rate<IpAddr>,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    next: u64,
    open: HashMap<u64, Connection>,
}

struct Connection {
    /// `None` if it is not counted by address.
    network: Option<IpAddr>,
    local: bool,
    /// When it became idle, if no request holds it.
    since: Instant,
    /// How many admitted requests under way hold it.
    held: usize,
    /// Whether the operator has used it; it closes after all others then.
    trusted: bool,
    closing: CancellationToken,
}

/// A connection's place, until it is dropped.
pub(crate) struct Slot {
    connections: Arc<Connections>,
    id: u64,
    /// Cancelled when the connection is to close for another.
    pub(crate) closing: CancellationToken,
}

impl Connections {
    pub(crate) fn new(limits: &AdmissionLimits, behind_proxy: bool) -> Arc<Self> {
        let limit = limits.connections.max(1);
        Arc::new(Self {
            limit,
            reserve: if behind_proxy { 0 } else { limit / 8 },
            share: limits.connections_by_address.max(1),
            behind_proxy,
            opened: Rate::per_second(OPENED),
            all: Mutex::default(),
        })
    }

    /// A slot for a connection from that address; another connection may close for it. `None` if the client opens too
    /// many, or if all connections of its share, or all at all, are busy.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let client = Client::new(peer);
        let local = client.is_local() && !self.behind_proxy;
        let network = (!local && !self.behind_proxy).then(|| client.network());
        if network.is_some_and(|network| self.opened.take(&network).is_err()) {
            return None;
        }
        let mut all = self.all();
        let of_network = |one: &Connection| network.is_some() && one.network == network;
        if network.is_some()
            && all.open.values().filter(|one| of_network(one)).count() >= self.share
            && !all.close_one(of_network)
        {
            return None;
        }
        let others = self.limit - self.reserve;
        if !local && all.open.values().filter(|one| !one.local).count() >= others && !all.close_one(|one| !one.local) {
            return None;
        }
        if all.open.len() >= self.limit && !all.close_one(|_| true) {
            return None;
        }
        let (id, closing) = (all.next, CancellationToken::new());
        all.next += 1;
        let since = Instant::now();
        all.open.insert(id, Connection { network, local, since, held: 0, trusted: false, closing: closing.clone() });
        Some(Slot { connections: Arc::clone(self), id, closing })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.all().open.get_mut(&id) {
            change(connection);
        }
    }
}

impl All {
    /// Closes the eligible connection that was idle longest; false if all are busy.
    fn close_one(&mut self, may_be: impl Fn(&Connection) -> bool) -> bool {
        let waiting = self.open.iter().filter(|(_, one)| one.held == 0 && may_be(one));
        let longest = waiting.map(|(id, one)| (one.trusted, one.since, *id)).min();
        let Some((_, _, id)) = longest else { return false };
        if let Some(closed) = self.open.remove(&id) {
            closed.closing.cancel();
        }
        true
    }
}

/// The connection of a request, as an extension of the request.
#[derive(Clone)]
pub(crate) struct Occupant {
    connections: Arc<Connections>,
    id: u64,
}

impl Slot {
    pub(crate) fn occupant(&self) -> Occupant {
        Occupant { connections: Arc::clone(&self.connections), id: self.id }
    }
}

impl Occupant {
    /// A request's head has come.
    pub(super) fn heard(&self) {
        self.connections.change(self.id, |one| one.since = Instant::now());
    }

    /// A request on it was admitted.
    pub(super) fn hold(&self) {
        self.connections.change(self.id, |one| one.held += 1);
    }

    /// Its response was sent.
    pub(super) fn release(&self) {
        self.connections.change(self.id, |one| {
            one.held = one.held.saturating_sub(1);
            one.since = Instant::now();
        });
    }

    /// The operator uses the connection.
    pub(super) fn trust(&self) {
        self.connections.change(self.id, |one| one.trusted = true);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.all().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connections(behind_proxy: bool) -> Arc<Connections> {
        let limits = AdmissionLimits { connections: 8, connections_by_address: 3, ..AdmissionLimits::default() };
        Connections::new(&limits, behind_proxy)
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_closes_and_no_busy_one() {
        let connections = connections(true);
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(connections.enter(HERE).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        places[0].occupant().hold();
        places[1].occupant().heard();
        places[2].occupant().hold();
        places[2].occupant().trust();
        places[2].occupant().release();
        // 3 to 7 in order, then 1, then the operator's.
        for closes in [3, 4, 5, 6, 7, 1, 2] {
            assert!(!places[closes].closing.is_cancelled(), "{closes}");
            let place = connections.enter(HERE).unwrap();
            place.occupant().hold();
            assert!(places[closes].closing.is_cancelled(), "{closes}");
            places.push(place);
        }
        assert!(connections.enter(HERE).is_none());
        drop(places.remove(0));
        assert!(connections.enter(HERE).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_its_share_closes_its_own_connection() {
        let connections = connections(false);
        let mut eves: Vec<Slot> = (0..3).map(|_| connections.enter(address(1)).unwrap()).collect();
        let ann = connections.enter(address(2)).unwrap();
        let another = connections.enter(address(1)).unwrap();
        assert_eq!(eves.iter().filter(|place| place.closing.is_cancelled()).count(), 1);
        assert!(!ann.closing.is_cancelled());
        eves.retain(|place| !place.closing.is_cancelled());
        for place in eves.iter().chain([&another]) {
            place.occupant().hold();
        }
        assert!(connections.enter(address(1)).is_none());
        assert!(connections.enter(address(3)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_leave_a_place_for_this_machine_though_all_are_at_work() {
        let connections = connections(false);
        let strangers: Vec<Slot> = (0..7).map(|last| connections.enter(address(last)).unwrap()).collect();
        for place in &strangers {
            place.occupant().hold();
        }
        assert!(connections.enter(address(99)).is_none());
        let here = connections.enter(HERE).unwrap();
        assert!(strangers.iter().all(|place| !place.closing.is_cancelled()));
        // One more of this machine replaces the idle one.
        assert!(connections.enter(HERE).is_some() && here.closing.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn endless_connections_are_refused_before_they_cost_anything() {
        let connections = connections(false);
        for _ in 0..10 * OPENED {
            assert!(connections.enter(address(1)).is_some());
        }
        assert!(connections.enter(address(1)).is_none());
        assert!(connections.enter(address(2)).is_some() && connections.enter(HERE).is_some());
    }
}
