//! Tests of the local runtime as a whole: a real database, and a real component in the sandbox.

mod access;
mod accounts;
mod blame;
mod changes;
mod damage;
mod deleting;
mod deploying;
mod logs;
mod oauth;
mod overview;
mod processes;
mod registrations;
mod secrets;
mod setting;
mod tenants;
mod triggering;
mod views;
mod waiting;
