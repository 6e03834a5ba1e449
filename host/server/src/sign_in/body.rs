//! The bodies that the original's button and its charms send.

use bg_charm_api::ForCharm;
use bg_identity::{Secret, printable};
use serde::Deserialize;
use serde_json::Value;

/// A sign-in, or its end, for a cell of a charm.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginBody {
    pub(super) attach: ForCharm,
    pub(super) scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    auth_cell_id: Option<Value>,
    integration_piece_id: Option<String>,
    integration_charm_id: Option<String>,
    charm: Option<String>,
    cell: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

impl LoginBody {
    /// Reads `{authCellId, integrationPieceId | integrationCharmId, scopes?}`, or our own `{charm, cell?, scopes?}`.
    /// `authCellId` is a link to a cell, or the JSON text of one: flat, or within `{"/": {"link@1": …}}`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let written: Written =
            serde_json::from_slice(body).map_err(|error| format!("the body is not the expected JSON: {error}"))?;
        let Written { auth_cell_id, integration_piece_id, integration_charm_id, charm, cell, scopes } = written;
        if let Some(charm) = charm {
            return Ok(Self { attach: ForCharm { charm, cell }, scopes });
        }
        let link = auth_cell_id.ok_or("authCellId is missing; expected a link to a cell, or charm")?;
        let link = match link {
            Value::String(text) => serde_json::from_str(&text).map_err(|_| "authCellId is no JSON text of a link")?,
            link => link,
        };
        let link = link.pointer("/~1/link@1").unwrap_or(&link);
        let space = link.get("space").and_then(Value::as_str).ok_or("authCellId names no space")?;
        let id = integration_piece_id.or(integration_charm_id).ok_or("integrationPieceId is missing")?;
        let id = id.strip_prefix("of:").unwrap_or(&id);
        // Of a cell within the charm, the path begins with its name; a link to the cell itself has none.
        let path = link.get("path").and_then(Value::as_array);
        let cell = path.and_then(|path| path.last()).and_then(Value::as_str).map(str::to_owned);
        Ok(Self { attach: ForCharm { charm: format!("{}/{}", printable(space), printable(id)), cell }, scopes })
    }
}

/// A request for a new access token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshBody {
    pub(super) refresh_token: Secret,
}

impl RefreshBody {
    /// Reads `{refreshToken}`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        serde_json::from_slice(body).map_err(|_| "the body is not the expected JSON; expected {\"refreshToken\": TEXT}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_a_link_and_both_names_of_a_charms_id_are_read() {
        let flat =
            json!({"id": "of:baedreicell", "space": "did:key:z6Mk", "path": ["auth"], "schema": {"type": "object"}});
        let nested = json!({"/": {"link@1": {"id": "of:baedreicell", "space": "did:key:z6Mk", "path": ["auth"]}}});
        for (link, name) in [
            (flat.clone(), "integrationPieceId"),
            (json!(flat.to_string()), "integrationPieceId"),
            (nested.clone(), "integrationCharmId"),
            (json!(nested.to_string()), "integrationCharmId"),
        ] {
            let body = json!({"authCellId": link, name: "baedreicharm", "scopes": ["email"]}).to_string();
            let read = LoginBody::parse(body.as_bytes()).unwrap();
            let attach = ForCharm { charm: "did:key:z6Mk/baedreicharm".into(), cell: Some("auth".into()) };
            assert_eq!(read, LoginBody { attach, scopes: vec!["email".into()] });
        }
        let own = LoginBody::parse(br#"{"charm": "did:key:z6Mk/baedreicharm"}"#).unwrap();
        assert_eq!((own.attach.cell, own.scopes.len()), (None, 0));
        for body in
            ["", "[]", "{}", r#"{"authCellId": "x"}"#, r#"{"authCellId": {"space": "s"}}"#, r#"{"authCellId": {}}"#]
        {
            assert!(LoginBody::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
