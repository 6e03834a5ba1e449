//! Components, run.

mod charm;
mod contract;
mod credentials;
mod hostile;
mod integration;
mod loading;
