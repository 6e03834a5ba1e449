//! What guests of both worlds import: `config` and `log`.

use super::CallState;
use super::log::Level;
use crate::bindings::integration::{config, log, values};

impl<W: Send> values::Host for CallState<W> {}

impl<W: Send> config::Host for CallState<W> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.config.get(&key).cloned())
    }
}

impl<W: Send> log::Host for CallState<W> {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, &message);
        Ok(())
    }
}
