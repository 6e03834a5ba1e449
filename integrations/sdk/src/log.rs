//! The host's log: at most 200 lines and 64 KiB per call.
//!
//! ```
//! use bg_integration_sdk::{info, warn};
//!
//! info!("{} charms", 3);
//! warn!("no answer");
//! ```

/// The importance of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every step.
    Trace,
    /// Details for debugging.
    Debug,
    /// What happened.
    Info,
    /// What an operator should know.
    Warn,
    /// What an operator should fix.
    Error,
}

/// Writes one line. Does nothing without a host.
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::commontools::background::log as host;

        let level = match level {
            Level::Trace => host::Level::Trace,
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        };
        host::write(level, message);
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, message);
}

/// Logs a line at the level `trace`, with the arguments of [`format!`].
#[macro_export]
macro_rules! trace { ($($part:tt)+) => { $crate::log::write($crate::log::Level::Trace, &format!($($part)+)) }; }

/// Logs a line at the level `debug`, with the arguments of [`format!`].
#[macro_export]
macro_rules! debug { ($($part:tt)+) => { $crate::log::write($crate::log::Level::Debug, &format!($($part)+)) }; }

/// Logs a line at the level `info`, with the arguments of [`format!`].
#[macro_export]
macro_rules! info { ($($part:tt)+) => { $crate::log::write($crate::log::Level::Info, &format!($($part)+)) }; }

/// Logs a line at the level `warn`, with the arguments of [`format!`].
#[macro_export]
macro_rules! warn { ($($part:tt)+) => { $crate::log::write($crate::log::Level::Warn, &format!($($part)+)) }; }

/// Logs a line at the level `error`, with the arguments of [`format!`].
#[macro_export]
macro_rules! error { ($($part:tt)+) => { $crate::log::write($crate::log::Level::Error, &format!($($part)+)) }; }
