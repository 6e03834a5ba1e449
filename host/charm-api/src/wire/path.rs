//! The paths of the API. The parts of a name (a space's DID, a charm's ID, an integration's ID) have no characters that
//! need escaping in a path.

use bg_identity::{IntegrationId, SpaceDid};
use bg_poller::CharmRef;

/// The original's registration endpoint, unsigned: POST.
pub const BUTTON: &str = "/api/integrations/bg";
/// Whether the server is up, unsigned: GET.
pub const HEALTH: &str = "/api/health";
/// What this API is, as an OpenAPI document, unsigned: GET.
pub const OPENAPI: &str = "/api/openapi.json";
/// GET [`Registrations`](super::Registrations), POST [`Register`](super::Register).
pub const REGISTRATIONS: &str = "/api/v1/registrations";
/// GET with `?after=<revision>`: [`Revision`](super::Revision).
pub const CHANGES: &str = "/api/v1/registrations/changes";
/// GET [`Damaged`](super::Damaged).
pub const DAMAGED: &str = "/api/v1/registrations/damaged";
/// POST [`Runs`](super::Runs).
pub const RUNS: &str = "/api/v1/runs";
/// POST [`PollerReport`](super::PollerReport) → [`PollerAnswer`](super::PollerAnswer).
pub const POLLERS: &str = "/api/v1/pollers";

/// POST [`EnableMany`](super::EnableMany) → [`Enabled`](super::Enabled).
pub const ENABLE: &str = "/api/v1/registrations/enable";

/// PATCH [`SetDisabled`](super::SetDisabled), DELETE → [`Removed`](super::Removed).
pub fn registration(charm: &CharmRef) -> String {
    format!("{REGISTRATIONS}/{}/{}", charm.space, charm.charm)
}

/// PUT [`SetInterval`](super::SetInterval).
pub fn interval(of: &CharmRef) -> String {
    format!("{}/interval", registration(of))
}

/// GET [`Shape`](super::Shape), DELETE.
pub fn charm(charm: &CharmRef) -> String {
    format!("/api/v1/charms/{}/{}", charm.space, charm.charm)
}

/// What is below a charm: `value`, `runs`, `counters`, `logs`, `page`, `show`, `trigger`, `refresh`, `secret`.
pub fn of_charm(of: &CharmRef, what: &str) -> String {
    format!("{}/{what}", charm(of))
}

/// GET with `?name=NAME`, or without: [`SpaceList`](super::SpaceList), POST [`NewSpace`](super::NewSpace) →
/// [`SpaceSummary`](crate::SpaceSummary).
pub const SPACES: &str = "/api/v1/spaces";

/// GET [`Charms`](super::Charms), POST [`DeployRequest`](crate::DeployRequest) → [`Deployed`](crate::Deployed).
pub fn charms(space: &SpaceDid) -> String {
    format!("/api/v1/spaces/{space}/charms")
}

/// GET [`Acl`](crate::Acl), PUT [`SetAcl`](super::SetAcl) → [`Acl`](crate::Acl).
pub fn acl(space: &SpaceDid) -> String {
    format!("/api/v1/spaces/{space}/acl")
}

/// PUT, without a body.
pub fn list(integration: &IntegrationId) -> String {
    format!("/api/v1/integrations/{integration}/list")
}

/// GET [`Accounts`](super::Accounts).
pub const ACCOUNTS: &str = "/api/v1/accounts";
/// GET [`Clients`](super::Clients), PUT [`ClientRequest`](crate::ClientRequest) →
/// [`ClientSummary`](crate::ClientSummary).
pub const CLIENTS: &str = "/api/v1/accounts/clients";
/// POST [`SignInRequest`](crate::SignInRequest) → [`SignInBegun`](crate::SignInBegun).
pub const SIGN_IN: &str = "/api/v1/accounts/sign-in";
/// POST [`SignInAnswer`](crate::SignInAnswer) → [`SignedIn`](crate::SignedIn).
pub const SIGN_IN_ANSWER: &str = "/api/v1/accounts/sign-in/answer";
/// POST [`SignInRequest`](crate::SignInRequest) → [`DeviceBegun`](crate::DeviceBegun).
pub const DEVICE: &str = "/api/v1/accounts/device";
/// POST [`DeviceQuestion`](crate::DeviceQuestion) → [`DeviceAnswer`](crate::DeviceAnswer).
pub const DEVICE_ANSWER: &str = "/api/v1/accounts/device/answer";
/// POST [`TokenRequest`](crate::TokenRequest) → [`SignedIn`](crate::SignedIn).
pub const TOKEN: &str = "/api/v1/accounts/token";
/// POST [`AttachRequest`](crate::AttachRequest) → [`AccountSummary`](crate::AccountSummary).
pub const ATTACH: &str = "/api/v1/accounts/attach";
/// POST [`DetachRequest`](crate::DetachRequest) → [`Detached`](super::Detached).
pub const DETACH: &str = "/api/v1/accounts/detach";
/// POST [`AccountRequest`](crate::AccountRequest) → [`AccountSummary`](crate::AccountSummary).
pub const RENEW: &str = "/api/v1/accounts/renew";
/// POST [`AccountRequest`](crate::AccountRequest) → [`LoggedOut`](crate::LoggedOut).
pub const LOGOUT: &str = "/api/v1/accounts/logout";
