//! Components, run.

mod charm;
mod hostile;
mod integration;
mod loading;
