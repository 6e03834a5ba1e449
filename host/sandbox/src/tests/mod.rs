//! Components, run.

mod charm;
mod credentials;
mod hostile;
mod integration;
mod loading;
