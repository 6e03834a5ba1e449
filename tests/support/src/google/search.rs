//! The supported part of Gmail's search language: `in:`, `label:`, `is:unread|read|starred`, `from:`, `subject:`, words
//! of the subject, `-` before any of them, double quotes around words.

use super::answer::Failure;
use super::mailbox::Message;

pub(crate) struct Search(Vec<Term>);

struct Term {
    negated: bool,
    what: What,
}

enum What {
    Anywhere,
    Label(String),
    NoLabel(String),
    From(String),
    Subject(String),
    Text(String),
}

impl Search {
    /// Refuses an unsupported operator, instead of finding something else than Gmail would.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        words(text).into_iter().map(|word| Term::parse(&word)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn finds(&self, message: &Message) -> bool {
        self.0.iter().all(|term| term.what.fits(message) != term.negated)
    }
}

impl Term {
    fn parse(word: &str) -> Result<Self, Failure> {
        let (negated, word) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
        let what = match word.split_once(':') {
            None => What::Text(word.to_lowercase()),
            Some((operator, value)) => match (operator.to_lowercase().as_str(), value.to_lowercase()) {
                ("in", value) if value == "anywhere" => What::Anywhere,
                ("in" | "label", value) => What::Label(value.to_uppercase()),
                ("is", value) if value == "read" => What::NoLabel("UNREAD".to_owned()),
                ("is", value) if ["unread", "starred", "important"].contains(&value.as_str()) => {
                    What::Label(value.to_uppercase())
                }
                ("from", value) => What::From(value),
                ("subject", value) => What::Subject(value),
                _ => return Err(Failure::invalid(&format!("This Gmail does not know the search term {word}"))),
            },
        };
        Ok(Self { negated, what })
    }
}

impl What {
    fn fits(&self, message: &Message) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Label(label) => message.labels.contains(label),
            Self::NoLabel(label) => !message.labels.contains(label),
            Self::From(text) => message.from.to_lowercase().contains(text),
            Self::Subject(text) => message.subject.to_lowercase().contains(text),
            Self::Text(text) => {
                message.subject.to_lowercase().contains(text) || message.from.to_lowercase().contains(text)
            }
        }
    }
}

/// Splits at spaces outside of double quotes, and removes the quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_terms_find_what_they_should() {
        let message = Message {
            id: "1".into(),
            subject: "Lunch on Friday".into(),
            from: "Ann <ann@example.com>".into(),
            labels: vec!["INBOX".into(), "UNREAD".into()],
            date: 0,
            history_id: 1,
            broken: None,
        };
        for (query, found) in [
            ("", true),
            ("in:INBOX", true),
            ("in:inbox is:unread", true),
            ("in:sent", false),
            ("-in:sent", true),
            ("is:read", false),
            ("from:ANN subject:lunch", true),
            ("subject:\"lunch on\"", true),
            ("subject:dinner", false),
            ("friday -lunch", false),
        ] {
            assert_eq!(Search::parse(query).map(|search| search.finds(&message)).ok(), Some(found), "{query}");
        }
        assert!(Search::parse("larger:5M").is_err());
    }
}
