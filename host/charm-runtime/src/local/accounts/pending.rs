//! Sign-ins that were begun, and wait for their answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bg_oauth::{Callback, DeviceSignIn, OAuthClient, SignIn, State};
use bg_poller::{CharmRef, RuntimeError};

/// How long one may take.
pub(super) const TIME: Duration = Duration::from_mins(10);

/// How many there may be. Only operators begin them.
const MOST: usize = 200;

/// What a sign-in is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Purpose {
    /// The account that must sign in again.
    pub(super) account: Option<String>,
    /// The charm and the cell that are to get the token.
    pub(super) attach: Option<(CharmRef, String)>,
}

/// A sign-in in a browser.
pub(super) struct InBrowser {
    pub(super) client: OAuthClient,
    pub(super) sign_in: SignIn,
    pub(super) purpose: Purpose,
}

/// A sign-in on another device.
pub(super) struct OnDevice {
    pub(super) client: OAuthClient,
    pub(super) device: tokio::sync::Mutex<DeviceSignIn>,
    pub(super) purpose: Purpose,
    ticket: State,
}

struct Waiting<T> {
    what: T,
    until: Instant,
}

/// All of them, in memory: one that a restart forgets is begun again.
#[derive(Default)]
pub(super) struct Pending {
    browsers: Mutex<Vec<Waiting<InBrowser>>>,
    devices: Mutex<Vec<Waiting<Arc<OnDevice>>>>,
}

impl Pending {
    /// Keeps one that was begun in a browser.
    pub(super) fn keep(&self, in_browser: InBrowser) -> Result<(), RuntimeError> {
        keep(&self.browsers, in_browser, TIME)
    }

    /// Takes the one that an answer belongs to: an answer is good once. One that belongs to none ends none.
    pub(super) fn take(&self, callback: &Callback) -> Option<InBrowser> {
        let mut all = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // All are compared, so that the time does not say which.
        let found = all.iter().enumerate().fold(None, |found, (at, one)| {
            if one.what.sign_in.is_answered_by(callback) && now < one.until { Some(at) } else { found }
        })?;
        Some(all.swap_remove(found).what)
    }

    /// Keeps one that was begun on another device; answers its ticket.
    pub(super) fn keep_device(
        &self,
        client: OAuthClient,
        device: DeviceSignIn,
        purpose: Purpose,
    ) -> Result<State, RuntimeError> {
        let ticket = State::new().map_err(|error| RuntimeError::unavailable(error.to_string()))?;
        let time = device.expires_in;
        let device = tokio::sync::Mutex::new(device);
        keep(&self.devices, Arc::new(OnDevice { client, device, purpose, ticket: ticket.clone() }), time)?;
        Ok(ticket)
    }

    /// The one with that ticket.
    pub(super) fn device(&self, ticket: &str) -> Option<Arc<OnDevice>> {
        let all = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.iter().find(|one| one.what.ticket.is(ticket) && now < one.until).map(|one| Arc::clone(&one.what))
    }

    /// Forgets it.
    pub(super) fn forget_device(&self, device: &Arc<OnDevice>) {
        let mut all = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !Arc::ptr_eq(&one.what, device));
    }
}

fn keep<T>(all: &Mutex<Vec<Waiting<T>>>, what: T, time: Duration) -> Result<(), RuntimeError> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    all.retain(|one| now < one.until);
    if all.len() >= MOST {
        let text = format!("{MOST} sign-ins wait for their answers already; try again in some minutes");
        return Err(RuntimeError::Invalid(text));
    }
    all.push(Waiting { what, until: now + time });
    Ok(())
}
