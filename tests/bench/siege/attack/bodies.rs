//! Large bodies that never end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bg_charm_api::DeployRequest;
use bg_charm_api::wire::path;
use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::first_answer;
use super::{Field, at_once, stranger, tenant};

/// A little below the limit.
const LARGE: usize = 4 * 1024 * 1024 - 64 * 1024;
/// How many are sent concurrently with a bogus signature, with a stranger's, and with a tenant's.
const EACH: usize = 32;
/// What is held back, and sent byte by byte.
const REST: usize = 1_000;
const BYTE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy)]
enum Signer {
    Nobody,
    Stranger,
    Tenant,
}

pub(super) async fn run(field: Arc<Field>) {
    let request = DeployRequest {
        file_name: "large.tsx".to_owned(),
        source: " ".repeat(LARGE),
        files: BTreeMap::new(),
        inputs: serde_json::Map::new(),
        charm: None,
    };
    let body = Bytes::from(serde_json::to_vec(&request).expect("a request is JSON"));
    at_once(3 * EACH, |number| {
        let signer = [Signer::Nobody, Signer::Stranger, Signer::Tenant][number % 3];
        send(field.clone(), signer, number / 3, body.clone())
    })
    .await;
}

async fn send(field: Arc<Field>, signer: Signer, number: usize, body: Bytes) {
    let (who, identity) = match signer {
        Signer::Nobody => ("bogus signature", tenant(0)),
        Signer::Stranger => ("stranger", stranger()),
        Signer::Tenant => ("tenant", tenant(0)),
    };
    let target = path::charms(&field.targets.own[0]);
    loop {
        let mut headers = field.client.sign(&identity, &Method::POST, &target, &body);
        if matches!(signer, Signer::Nobody) {
            // As long as a signature, but invalid.
            headers.insert(
                "signature",
                HeaderValue::from_str(&format!("sig=:{}==:", "A".repeat(86))).expect("it is ASCII"),
            );
        }
        let mut head = field.client.head(&Method::POST, &target, &headers, body.len());
        head.extend_from_slice(b"\r\n");
        let answer = match field.client.connect(number).await {
            Ok(mut stream) => slowly(&mut stream, &head, &body).await,
            Err(_) => "no connection".to_owned(),
        };
        field.tally().count(&format!("{who}: {answer}"));
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends all but the rest at once, and the rest as slowly as the server allows, until it gives up.
async fn slowly(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> String {
    let (mut reader, mut writer) = stream.split();
    let (most, rest) = body.split_at(body.len() - REST);
    let send = async {
        writer.write_all(head).await?;
        writer.write_all(most).await?;
        for byte in rest {
            tokio::time::sleep(BYTE).await;
            writer.write_all(&[*byte]).await?;
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        biased;
        answer = first_answer(&mut reader) => answer,
        ended = send => if ended.is_ok() { "taken".to_owned() } else { "closed".to_owned() },
    }
}
