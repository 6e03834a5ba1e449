//! What a charm's cell has of an account.

use bg_charm_api::{Actor, ForCharm};
use bg_oauth::State;
use bg_poller::{CharmRef, RuntimeError};
use bg_store::document::Document;
use bg_store::paths::at;
use bg_store::secret_names::is_sign_in;
use bg_store::{CellEdit, CellUpdate, Editor, Grant, Link, Store, StoredCharm};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The cell that Common Tools' OAuth button fills.
const AUTH: &str = "auth";

/// What handles begin with, so that one is recognized where it is not expected.
const PREFIX: &str = "bg-handle-";

/// The member in which the original's charms look for a refresh token.
const REFRESH_TOKEN: &str = "refreshToken";

/// A new handle, and its digest.
pub(super) fn new_handle() -> Result<(String, [u8; 32]), RuntimeError> {
    let random = State::new().map_err(|error| RuntimeError::unavailable(error.to_string()))?;
    let handle = format!("{PREFIX}{}", random.secret().expose());
    let digest = digest(&handle);
    Ok((handle, digest))
}

/// By what a handle is found again.
pub(super) fn digest(handle: &str) -> [u8; 32] {
    Sha256::digest(handle).into()
}

/// What the original's charms expect of a sign-in, but for the refresh token.
pub(super) fn members(grant: &Grant, token_field: &str) -> Map<String, Value> {
    let Grant { access_token, token_type, expires_in, expires_at, scopes, user, .. } = grant;
    let value = json!({
        token_field: access_token.expose(),
        "tokenType": token_type,
        "scope": scopes,
        "expiresIn": expires_in.unwrap_or(0),
        // Of a token that does not end, the poll loop has nothing to renew.
        "expiresAt": expires_at.map_or(0, |at| at.0),
        "user": user,
    });
    if let Value::Object(members) = value { members } else { Map::new() }
}

/// An empty sign-in, as charms begin with.
fn nothing(token_field: &str) -> Map<String, Value> {
    let value = json!({
        token_field: "",
        REFRESH_TOKEN: "",
        "tokenType": "",
        "scope": [],
        "expiresIn": 0,
        "expiresAt": 0,
        "user": { "email": "", "name": "", "picture": "" },
    });
    if let Value::Object(members) = value { members } else { Map::new() }
}

/// Fails if the tokens would not be sealed there.
fn check_sealed(charm: &StoredCharm, cell: &str, token_field: &str) -> Result<(), RuntimeError> {
    let is_sealed = |field: &str| charm.secrets.covers(&[cell.to_owned(), field.to_owned()]);
    if is_sealed(token_field) && is_sealed(REFRESH_TOKEN) {
        return Ok(());
    }
    Err(RuntimeError::Unfit(format!(
        "{cell} of {} is not marked secret, so it gets no token; use a cell such as auth",
        charm.summary.charm
    )))
}

/// Replaces a cell by a new sign-in.
pub(super) fn signed_in(link: &Link, grant: &Grant, handle: String) -> CellEdit {
    let mut members = members(grant, &link.token_field);
    members.insert(REFRESH_TOKEN.to_owned(), handle.into());
    let (cell, field) = (link.cell.clone(), link.token_field.clone());
    let edit = move |found: Editor<'_>| {
        check_sealed(found.charm, &cell, &field)?;
        Ok(Document::of(Value::Object(members.clone())))
    };
    CellEdit { cell: link.cell.clone(), edit: Box::new(edit), update: CellUpdate::Set }
}

/// Puts a newer access token into a cell that still has the link's handle; in another one, somebody has signed out, or
/// signed in with something else.
pub(super) fn filled(link: &Link, grant: &Grant, update: CellUpdate) -> CellEdit {
    let (members, link) = (members(grant, &link.token_field), link.clone());
    let cell = link.cell.clone();
    let edit = move |found: Editor<'_>| {
        let document = found.document?.unwrap_or_default();
        if !has_handle(&document, &link) {
            return Err(signed_out(&link).into());
        }
        Ok(document.with_members(members.clone()))
    };
    CellEdit { cell, edit: Box::new(edit), update }
}

/// Empties a cell that still has the link's handle.
pub(super) fn emptied(link: &Link) -> CellEdit {
    let (members, link) = (nothing(&link.token_field), link.clone());
    let cell = link.cell.clone();
    let edit = move |found: Editor<'_>| {
        let document = found.document?.unwrap_or_default();
        Ok(if has_handle(&document, &link) { document.with_members(members.clone()) } else { document })
    };
    CellEdit { cell, edit: Box::new(edit), update: CellUpdate::Set }
}

/// The error of a charm whose cell has another sign-in, or none, although it is linked to an account.
pub(super) fn signed_out(link: &Link) -> RuntimeError {
    RuntimeError::unmet(
        bg_poller::Cause::SignInMissing,
        format!(
            "{} of {} does not have the sign-in of {} any more: somebody has signed out there; to give it back: \
             bg-wasm-host oauth attach {} {}",
            link.cell, link.charm, link.account, link.account, link.charm
        ),
    )
}

/// Whether a cell has the handle of a link.
pub(super) fn has_handle(document: &Document, link: &Link) -> bool {
    refresh_token(document).is_some_and(|handle| digest(handle) == link.handle)
}

/// What a cell has for a refresh token.
pub(super) fn refresh_token(document: &Document) -> Option<&str> {
    at(document.node(), &[REFRESH_TOKEN.to_owned()])?.as_str().filter(|token| !token.is_empty())
}

/// The cell of a charm that is to have the token.
pub(super) async fn cell_for(store: &dyn Store, charm: &CharmRef, named: Option<&str>) -> Result<String, RuntimeError> {
    let cells = store.cell_names(&Actor::Operator, charm).await?;
    let has = |name: &str| cells.iter().any(|one| one == name);
    let shown = || if cells.is_empty() { "none".to_owned() } else { bg_identity::printable(&cells.join(", ")).into() };
    match named {
        Some(name) if has(name) => return Ok(name.to_owned()),
        Some(name) => {
            let name = bg_identity::printable(name).into_owned();
            return Err(RuntimeError::Unfit(format!("{charm} has no cell {name}; its cells: {}", shown())));
        }
        None if has(AUTH) => return Ok(AUTH.to_owned()),
        None => {}
    }
    let mut fitting = cells.iter().filter(|name| is_sign_in(name) && !name.contains('#'));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one.clone()),
        _ => Err(RuntimeError::Unfit(format!(
            "{charm} has no cell auth, and not one other that is named like a sign-in; say which is to have the token \
             with --cell NAME; its cells: {}",
            shown()
        ))),
    }
}

/// The charm that a request names.
pub(super) fn charm_of(name: &str) -> Result<CharmRef, RuntimeError> {
    let name = name.trim();
    name.parse().map_err(|_| {
        let name = bg_identity::printable(name).into_owned();
        RuntimeError::Invalid(format!("{name} is no charm; expected <space DID>/<charm ID>"))
    })
}

/// The charm and the cell that a request names.
pub(super) async fn place(store: &dyn Store, wanted: &ForCharm) -> Result<(CharmRef, String), RuntimeError> {
    let charm = charm_of(&wanted.charm)?;
    let cell = cell_for(store, &charm, wanted.cell.as_deref()).await?;
    Ok((charm, cell))
}
