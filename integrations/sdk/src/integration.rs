//! The contract's exports, as a trait.

use std::marker::PhantomData;

use crate::bindings::{self, IntegrationError};
use crate::{Charm, CharmRef, Error, charms};

/// An integration. Each call gets a fresh instance: memory does not survive a call; see [`state`](crate::state).
pub trait Integration {
    /// Prepares what the integration needs; `run --initialize` calls it, perhaps more than once. At most 30 s. By
    /// default it creates the list that other tools look for.
    fn initialize() -> Result<(), Error> {
        Ok(charms::prepare_list()?)
    }

    /// The charms worth a poll now: a subset of its registrations. Called once per interval, at most 5 s. All of them
    /// by default.
    fn fetch_charms() -> Result<Vec<CharmRef>, Error> {
        Ok(charms::registered()?)
    }

    /// Whether a charm is fit for polling, called right before the poll. At most 1 s. By default it must have one of
    /// the streams for polls. Before returning `false`, call [`explain`](crate::CharmView::explain).
    fn is_valid_charm(charm: &Charm) -> Result<bool, Error> {
        Ok(charms::can_be_polled(charm)?)
    }
}

/// Exports a type that implements [`Integration`]. Use it once per crate.
#[macro_export]
macro_rules! export {
    ($integration:ty) => {
        // The names of a component's exports are invalid for other linkers.
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the calling convention of components")]
        const _: () = {
            type Exported = $crate::Adapter<$integration>;
    $crate::bindings::export_world!(Exported with_types_in $crate::bindings);
        };
    };
}

/// Connects the generated trait to ours.
#[doc(hidden)]
#[derive(Debug)]
pub struct Adapter<T>(PhantomData<T>);

impl<T: Integration> bindings::Guest for Adapter<T> {
    fn initialize() -> Result<(), IntegrationError> {
        Ok(T::initialize()?)
    }

    fn fetch_charms() -> Result<Vec<bindings::CharmRef>, IntegrationError> {
        Ok(T::fetch_charms()?.into_iter().map(Into::into).collect())
    }

    fn is_valid_charm(charm: &Charm) -> Result<bool, IntegrationError> {
        Ok(T::is_valid_charm(charm)?)
    }
}

impl From<Error> for IntegrationError {
    fn from(error: Error) -> Self {
        match error {
            Error::Temporary(reason) => Self::Temporary(reason),
            Error::Permanent(reason) => Self::Permanent(reason),
        }
    }
}
