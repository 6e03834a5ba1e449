//! A bounded amount that clients share.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bg_identity::Did;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::sender::{Sender, Standing};

/// The amounts, by kind of client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    /// For all, including the operator.
    pub(super) all: usize,
    /// For clients on this machine and strangers together.
    pub(super) local: usize,
    /// For strangers.
    pub(super) strangers: usize,
    /// For one signer that is not the operator.
    pub(super) signer: usize,
    /// For the strangers of one network.
    pub(super) network: usize,
}

/// Counts what each client has.
#[derive(Debug)]
pub(crate) struct Pool {
    shares: Shares,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Used {
    operator: usize,
    local: usize,
    strangers: usize,
    signers: HashMap<Did, usize>,
    networks: HashMap<IpAddr, usize>,
}

/// A part of the amount, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    pool: Arc<Pool>,
    sender: Sender,
    amount: usize,
}

/// Why nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    /// The client has its share.
    #[error("your share of concurrent requests is used up; try again when some have ended")]
    Share,
    /// The clients of this kind have used up their part.
    #[error("the server is busy; try again in a few seconds")]
    All,
}

impl Pool {
    pub(super) fn new(shares: Shares) -> Arc<Self> {
        Arc::new(Self { shares, used: Mutex::default(), freed: Notify::new() })
    }

    /// Takes a part, if the sender may have that much now.
    pub(super) fn take(self: &Arc<Self>, sender: &Sender, amount: usize) -> Result<Permit, Full> {
        self.used().take(&self.shares, sender, amount)?;
        Ok(Permit { pool: Arc::clone(self), sender: sender.clone(), amount })
    }

    /// Takes a part, after waiting if necessary.
    pub(super) async fn take_within(
        self: &Arc<Self>,
        sender: &Sender,
        amount: usize,
        time: Duration,
    ) -> Result<Permit, Full> {
        let deadline = Instant::now() + time;
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // Created before the check, so that a release in between is not missed.
            freed.as_mut().enable();
            let full = match self.take(sender, amount) {
                Ok(permit) => return Ok(permit),
                Err(full) => full,
            };
            timeout_at(deadline, freed).await.map_err(|_| full)?;
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn take(&mut self, shares: &Shares, sender: &Sender, amount: usize) -> Result<(), Full> {
        let fits = |used: usize, share: usize| used.saturating_add(amount) <= share;
        let of_signer = sender.signer.as_ref().and_then(|signer| self.signers.get(signer)).copied().unwrap_or(0);
        let of_network = sender.network.and_then(|network| self.networks.get(&network)).copied().unwrap_or(0);
        let is_counted = sender.standing != Standing::Operator;
        if is_counted && !(fits(of_signer, shares.signer) && fits(of_network, shares.network)) {
            return Err(Full::Share);
        }
        let (strangers, clients) = (self.strangers, self.strangers + self.local);
        let has_room = match sender.standing {
            Standing::Stranger => fits(strangers, shares.strangers) && fits(clients, shares.local),
            Standing::Local => fits(clients, shares.local),
            Standing::Operator => true,
        };
        if !has_room || !fits(clients + self.operator, shares.all) {
            return Err(Full::All);
        }
        *self.of(sender.standing) += amount;
        if is_counted {
            if let Some(signer) = &sender.signer {
                *self.signers.entry(signer.clone()).or_default() += amount;
            }
            if let Some(network) = sender.network {
                *self.networks.entry(network).or_default() += amount;
            }
        }
        Ok(())
    }

    fn give_back(&mut self, sender: &Sender, amount: usize) {
        *self.of(sender.standing) -= amount;
        if sender.standing == Standing::Operator {
            return;
        }
        if let Some(signer) = &sender.signer {
            release(&mut self.signers, signer, amount);
        }
        if let Some(network) = &sender.network {
            release(&mut self.networks, network, amount);
        }
    }

    fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Stranger => &mut self.strangers,
            Standing::Local => &mut self.local,
            Standing::Operator => &mut self.operator,
        }
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.used().give_back(&self.sender, self.amount);
        self.pool.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::Identity;

    use super::*;

    const SHARES: Shares = Shares { all: 16, local: 12, strangers: 8, signer: 3, network: 4 };

    fn sender(standing: Standing, signer: &str, network: u8) -> Sender {
        let network = (standing == Standing::Stranger).then(|| [192, 0, 2, network].into());
        Sender { standing, signer: Some(Identity::from_passphrase(signer).did()), network }
    }

    #[test]
    fn each_client_has_a_share_and_each_kind_leaves_some_for_the_next() {
        let pool = Pool::new(SHARES);
        let stranger = |signer: &str, network| sender(Standing::Stranger, signer, network);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.take(&stranger("eve", 1), 1).unwrap());
        }
        assert_eq!(pool.take(&stranger("eve", 2), 1).unwrap_err(), Full::Share);
        held.push(pool.take(&stranger("mallory", 1), 1).unwrap());
        assert_eq!(pool.take(&stranger("trudy", 1), 1).unwrap_err(), Full::Share);
        held.push(pool.take(&stranger("trudy", 2), 3).unwrap());
        held.push(pool.take(&stranger("oscar", 3), 1).unwrap());
        assert_eq!(pool.take(&stranger("peggy", 4), 1).unwrap_err(), Full::All);
        // Clients on this machine have no share by network.
        let local = |signer: &str| sender(Standing::Local, signer, 0);
        held.push(pool.take(&local("ann"), 3).unwrap());
        held.push(pool.take(&local("ben"), 1).unwrap());
        assert_eq!(pool.take(&local("cid"), 1).unwrap_err(), Full::All);
        held.push(pool.take(&sender(Standing::Operator, "operator", 0), 4).unwrap());
        assert_eq!(pool.take(&Sender::operator(), 1).unwrap_err(), Full::All);
        drop(held);
        assert!(pool.used().signers.is_empty() && pool.used().networks.is_empty());
        assert!(pool.take(&Sender::operator(), 16).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_client_gets_what_others_release() {
        let pool = Pool::new(SHARES);
        let eve = sender(Standing::Stranger, "eve", 1);
        let held = pool.take(&eve, 3).unwrap();
        let time = Duration::from_secs(5);
        assert_eq!(pool.take_within(&eve, 1, time).await.unwrap_err(), Full::Share);
        let waiting = tokio::spawn({
            let (pool, eve) = (Arc::clone(&pool), eve.clone());
            async move { pool.take_within(&eve, 1, time).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert!(waiting.await.unwrap().is_ok());
    }
}
