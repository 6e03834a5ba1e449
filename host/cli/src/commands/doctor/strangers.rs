//! The rights of strangers, if they can reach the server.

use bg_identity::is_public_key;

use super::row::Row;
use crate::args::{Common, ServeArgs};
use crate::services::Services;
use crate::{connect, listening, open_spaces};

/// Whether anybody may write in some spaces, and whether everybody has the operator's key. Empty if only this machine
/// reaches the server.
pub(super) async fn rows(common: &Common, serve: &ServeArgs, services: &Services) -> Vec<Row> {
    const WHAT: &str = "strangers";
    let is_shared = services.listener().is_some_and(|(holder, _)| holder.shared);
    if !is_shared && (common.api_url.is_some() || !serve.server.is_reached_by_others(serve.listen())) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    if connect::operator(common).is_ok_and(|key| is_public_key(&key.did())) {
        rows.push(Row::weak(WHAT, listening::public_key()).fixed_by(listening::PUBLIC_KEY_FIX));
    }
    let read = async { anyhow::Ok(connect::client(common).await?.spaces(None).await?) };
    rows.push(match read.await {
        Ok(spaces) => match open_spaces::warning(&spaces) {
            Some((found, fix)) => Row::weak(WHAT, found).fixed_by(fix),
            None => Row::ok(WHAT, "no space lets anybody write in it"),
        },
        Err(error) => Row::error(WHAT, &error),
    });
    rows
}
