//! Whether what a charm shows is what the model has.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

/// The names of cells that handlers made themselves: the model's, and the random ones of the runtime.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// What differs first, if anything does.
    pub(crate) fn difference(
        &mut self,
        expected: &Map<String, Value>,
        shown: &BTreeMap<String, Value>,
    ) -> Option<String> {
        let own = |name: &&String| !name.starts_with("fresh/");
        let mut open: VecDeque<String> = expected.keys().filter(own).cloned().collect();
        let mut known = self.0.len();
        open.extend(self.0.keys().cloned());
        while let Some(name) = open.pop_front() {
            let real = self.0.get(&name).unwrap_or(&name);
            let found = shown.get(real);
            if found.is_none_or(|found| !self.same(&expected[&name], found)) {
                let text = found.map_or("not there".to_owned(), Value::to_string);
                return Some(format!("the cell {name}\n  should be {}\n  but is    {text}", expected[&name]));
            }
            if self.0.len() > known {
                // What was found only now may link further.
                open.extend(self.0.keys().cloned());
                known = self.0.len();
            }
        }
        // Those that nothing links to have names that only the runtime knows.
        let differs = expected.len() != shown.len();
        differs.then(|| format!("there should be the cells {:?}, and are {:?}", expected.keys(), shown.keys()))
    }

    /// Whether two values are the same but for names, which are learned on the way.
    fn same(&mut self, expected: &Value, found: &Value) -> bool {
        match (expected, found) {
            (Value::Object(one), Value::Object(other)) => {
                let linked = |of: &Map<String, Value>| Some(of.get("id")?.as_str()?.strip_prefix("of:")?.to_owned());
                if let (Some(name), Some(real)) = (linked(one), linked(other))
                    && name.starts_with("fresh/")
                {
                    let known = self.0.entry(name).or_insert_with(|| real.clone());
                    return *known == real && real.starts_with("__cell/") && one["path"] == other["path"];
                }
                one.len() == other.len()
                    && one.iter().all(|(key, part)| other.get(key).is_some_and(|found| self.same(part, found)))
            }
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(part, found)| self.same(part, found))
            }
            (one, other) => one == other,
        }
    }
}
