//! One rule of what is secret in a charm: a pattern for paths.

use serde::{Deserialize, Serialize};

use crate::secret_names::names_secret;

/// The longest pattern. Programs may declare half as much.
const MAX_STEPS: usize = 63;

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// This key, or array index.
    Key(String),
    /// Any key: `*`.
    Any,
    /// Any number of keys, also none: `**`.
    Deep,
    /// A key that [names a secret](names_secret): `<secret>`.
    Named,
}

impl From<String> for Step {
    fn from(text: String) -> Self {
        match text.as_str() {
            "*" => Self::Any,
            "**" => Self::Deep,
            "<secret>" => Self::Named,
            _ => Self::Key(text),
        }
    }
}

impl From<Step> for String {
    fn from(step: Step) -> Self {
        match step {
            Step::Key(key) => key,
            Step::Any => "*".to_owned(),
            Step::Deep => "**".to_owned(),
            Step::Named => "<secret>".to_owned(),
        }
    }
}

/// A pattern for paths: what it matches is secret, with all that is within.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub(crate) struct Rule(Vec<Step>);

impl From<Vec<String>> for Rule {
    fn from(path: Vec<String>) -> Self {
        let mut steps: Vec<Step> = path.into_iter().map(Step::from).collect();
        steps.dedup_by(|step, before| *step == Step::Deep && *before == Step::Deep);
        // What is cut off makes it secret further up.
        steps.truncate(MAX_STEPS);
        Self(steps)
    }
}

impl From<Rule> for Vec<String> {
    fn from(rule: Rule) -> Self {
        rule.0.into_iter().map(String::from).collect()
    }
}

/// How far a path has come in a rule: a bit for each step that may be next, and one for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached(u64);

impl Reached {
    /// Whether what is further down may be secret.
    pub(crate) fn leads_on(self) -> bool {
        self.0 != 0
    }
}

impl Rule {
    /// Of a path as programs declare it. None if it is empty: it would name nothing.
    pub(crate) fn new(path: Vec<String>) -> Option<Self> {
        (!path.is_empty()).then(|| Self::from(path))
    }

    /// What is [secret by its name](crate::secret_names) below a cell of a sign-in.
    pub(crate) fn by_name() -> Self {
        Self(vec![Step::Any, Step::Deep, Step::Named])
    }

    /// Before the first key of a path.
    pub(crate) fn start(&self) -> Reached {
        self.past_deep(1)
    }

    /// One key further.
    pub(crate) fn next(&self, reached: Reached, key: &str) -> Reached {
        let mut next = 0;
        for (at, step) in self.0.iter().enumerate().filter(|(at, _)| reached.0 & (1 << at) != 0) {
            match step {
                Step::Deep => next |= 1 << at,
                Step::Any => next |= 1 << (at + 1),
                Step::Key(own) if own == key => next |= 1 << (at + 1),
                Step::Named if names_secret(key) => next |= 1 << (at + 1),
                Step::Key(_) | Step::Named => {}
            }
        }
        self.past_deep(next)
    }

    /// Whether the path so far is matched.
    pub(crate) fn is_met(&self, reached: Reached) -> bool {
        reached.0 & (1 << self.0.len()) != 0
    }

    /// How far `path` gets; none if something on its way is matched, or itself.
    pub(crate) fn along(&self, path: &[String]) -> Option<Reached> {
        let mut reached = self.start();
        for key in path {
            reached = self.next(reached, key);
            if self.is_met(reached) {
                return None;
            }
        }
        Some(reached)
    }

    /// Where a [`Step::Deep`] is next, what follows it may be, too.
    fn past_deep(&self, mut reached: u64) -> Reached {
        for (at, step) in self.0.iter().enumerate() {
            if *step == Step::Deep && reached & (1 << at) != 0 {
                reached |= 1 << (at + 1);
            }
        }
        Reached(reached)
    }
}
