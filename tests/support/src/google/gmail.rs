//! Gmail API v1: messages and profile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::mailbox::{Broken, Mailbox, Message};
use super::search::Search;
use super::{Query, USER, clock};

impl Mailbox {
    /// `users.getProfile`.
    pub(crate) fn profile(&self) -> Value {
        json!({
            "emailAddress": self.owner,
            "messagesTotal": self.len(),
            "threadsTotal": self.len(),
            "historyId": self.history_id().to_string(),
        })
    }

    /// `users.messages.list`: newest first.
    pub(crate) fn message_list(&self, query: &Query) -> Answer {
        let search = Search::parse(query.get("q").unwrap_or_default())?;
        let size = query.page_size(100, 500)?;
        let labels: Vec<&str> = query.all("labelIds").collect();
        let found: Vec<&Message> = self
            .messages
            .iter()
            .rev()
            .filter(|message| labels.iter().all(|label| message.labels.iter().any(|one| one == label)))
            .filter(|message| search.finds(message))
            .collect();
        // A page token is the ID of the last message of the previous page, so new mail does not shift pages.
        let older = match query.get("pageToken") {
            None => found.as_slice(),
            Some(last) => {
                let start = found.iter().position(|message| message.id.as_str() < last).unwrap_or(found.len());
                &found[start..]
            }
        };
        let page = &older[..older.len().min(size)];

        let mut answer = json!({ "resultSizeEstimate": found.len() });
        // Like Google: without results, there is no `messages` field.
        if let Some(last) = page.last() {
            answer["messages"] =
                page.iter().map(|message| json!({ "id": message.id, "threadId": message.id })).collect();
            if page.len() < older.len() {
                answer["nextPageToken"] = last.id.clone().into();
            }
        }
        Ok(answer)
    }

    /// `users.messages.get`.
    pub(crate) fn message(&self, id: &str, query: &Query) -> Answer {
        let message = self.messages.iter().find(|message| message.id == id).ok_or_else(Failure::not_found)?;
        let date = match message.broken {
            Some(Broken::Status(status)) => return Err(Failure::of_status(status)),
            // The 64 bits that Google's own field has hold more than dates.
            Some(Broken::Date) => i64::MAX.to_string(),
            Some(Broken::Garbled) | None => message.date.to_string(),
        };
        let mut answer = json!({
            "id": message.id,
            "threadId": message.id,
            "labelIds": message.labels,
            "snippet": message.body(),
            "historyId": message.history_id.to_string(),
            "internalDate": date,
            "sizeEstimate": message.raw().len(),
        });
        match query.get("format").unwrap_or("full") {
            "minimal" => {}
            "full" => answer["payload"] = message.payload(),
            "metadata" => {
                let wanted: Vec<String> = query.all("metadataHeaders").map(str::to_lowercase).collect();
                let headers: Vec<Value> = message
                    .headers()
                    .into_iter()
                    .filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.to_lowercase()))
                    .map(|(name, value)| json!({ "name": name, "value": value }))
                    .collect();
                answer["payload"] = json!({ "mimeType": "text/plain", "headers": headers });
            }
            "raw" => answer["raw"] = URL_SAFE.encode(message.raw()).into(),
            other => return Err(Failure::invalid(&format!("Invalid value at 'format': {other}"))),
        }
        Ok(answer)
    }
}

impl Message {
    fn headers(&self) -> [(&'static str, String); 6] {
        [
            ("From", self.from.clone()),
            ("To", USER.to_owned()),
            ("Subject", self.subject.clone()),
            ("Date", clock::mail_date(self.date)),
            ("Message-ID", format!("<{}@mail.example.com>", self.id)),
            ("Content-Type", "text/plain; charset=\"UTF-8\"".to_owned()),
        ]
    }

    fn body(&self) -> String {
        format!("A message about {}.", self.subject)
    }

    fn payload(&self) -> Value {
        let headers: Vec<Value> =
            self.headers().into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let body = self.body();
        json!({
            "partId": "",
            "mimeType": "text/plain",
            "filename": "",
            "headers": headers,
            "body": { "size": body.len(), "data": URL_SAFE.encode(body) },
        })
    }

    /// As in the internet message format.
    fn raw(&self) -> String {
        let headers = self.headers().map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        format!("{headers}\r\n{}\r\n", self.body())
    }
}
