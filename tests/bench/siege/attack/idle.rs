//! Silent connections, and slow heads.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::io::AsyncWriteExt as _;

use super::client::first_answer;
use super::{Field, at_once};

/// More than the server accepts at a time.
const CONNECTIONS: usize = 264;
/// One connection in this many sends a head.
const SLOW: usize = 4;
/// Between two bytes of a slow head.
const BYTE: Duration = Duration::from_secs(5);
/// Before a connection is renewed.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) async fn run(field: Arc<Field>) {
    at_once(CONNECTIONS, |number| hold(field.clone(), number)).await;
}

async fn hold(field: Arc<Field>, number: usize) {
    let (who, is_slow) = if number.is_multiple_of(SLOW) { ("slow head", true) } else { ("silent", false) };
    loop {
        match field.client.connect(number).await {
            Ok(mut stream) => {
                field.tally().count("connections opened");
                let (mut reader, mut writer) = stream.split();
                let head = field.client.head(&Method::GET, "/api/health", &HeaderMap::new(), 0);
                let send = async {
                    for byte in head.iter().filter(|_| is_slow) {
                        if writer.write_all(&[*byte]).await.is_err() {
                            break;
                        }
                        tokio::time::sleep(BYTE).await;
                    }
                    std::future::pending::<()>().await;
                };
                let answer = tokio::select! {
                    answer = first_answer(&mut reader) => answer,
                    () = send => continue,
                };
                field.tally().count(&format!("{who}: {answer}"));
            }
            Err(_) => field.tally().count(&format!("{who}: no connection")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
