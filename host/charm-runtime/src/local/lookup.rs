//! Reads what is at a path of a charm whose cells are too large to be read ahead: the cells that the answer needs, each
//! once, all of one version.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use bg_poller::{Lookup, RuntimeError, Scope};
use bg_store::document::Document;
use bg_store::links::Reader;
use bg_store::{BadCell, CellTexts, StoredCharm};
use tokio::sync::Semaphore;

/// How often the charm may change between two reads of one lookup. After each change, all its cells are read again at
/// once; so more changes need a charm that is written all the time.
const CHANGES: usize = 10;

/// How many lookups follow links at a time. Each holds the texts of all cells that it comes through, up to 64 MiB: all
/// that a charm may have.
const AT_ONCE: usize = 2;

static FOLLOWING: Semaphore = Semaphore::const_new(AT_ONCE);

/// What was read of one version of a charm. A cell that does not exist has no text.
type Read = HashMap<String, Option<String>>;

/// Looks up a path, with cells that `read` returns by their names.
///
/// A link shows only once its cell is read, so each pass collects all names that it lacks, and skips what is behind
/// them. Skipped links leave more of a [`Reader`]'s budget to the links after them, so that a pass reaches all that the
/// last one does, as deep as it knows the cells: there are at most as many reads as links may follow one another, and
/// one. The last pass lacks nothing, and its answer counts.
pub(super) async fn lookup<F>(
    path: &[String],
    read: impl Fn(Vec<String>) -> F,
) -> Result<Result<Lookup, BadCell>, RuntimeError>
where
    F: Future<Output = Result<(StoredCharm, CellTexts), RuntimeError>>,
{
    let mut missing: Vec<String> = path.iter().take(1).cloned().collect();
    let (mut known, mut version) = (Read::new(), None);
    let (mut changes, mut turn) = (0, None);
    loop {
        let (charm, mut cells) = read(missing.clone()).await?;
        let now = (charm.row, charm.version);
        if *version.get_or_insert(now) != now {
            changes += 1;
            if changes > CHANGES {
                let text = format!("the cells of {} changed {changes} times while they were read", charm.summary.charm);
                return Err(RuntimeError::unavailable_in(Scope::Charm, text));
            }
            missing.extend(known.drain().map(|(name, _)| name));
            version = None;
            continue;
        }
        known.extend(missing.drain(..).map(|name| {
            let text = cells.remove(&name);
            (name, text)
        }));
        let found = pass(&charm, &known, path, &mut missing);
        if missing.is_empty() {
            return Ok(found);
        }
        if turn.is_none() {
            // It is never closed.
            turn = FOLLOWING.acquire().await.ok();
        }
    }
}

/// The answer as far as cells are known, and the names of those that it lacks.
fn pass(charm: &StoredCharm, known: &Read, path: &[String], missing: &mut Vec<String>) -> Result<Lookup, BadCell> {
    let unknown = RefCell::new(BTreeSet::new());
    let cell = |name: &str| {
        if let Some(text) = known.get(name) {
            return parsed(name, text.as_deref());
        }
        unknown.borrow_mut().insert(name.to_owned());
        Ok(None)
    };
    let found = Reader::new(&charm.secrets, &cell).lookup(path);
    missing.extend(unknown.into_inner());
    found
}

/// The value of a cell with that text, if it has one.
pub(super) fn parsed(name: &str, text: Option<&str>) -> Result<Option<Document>, BadCell> {
    text.map(Document::parse).transpose().map_err(|_| BadCell(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, MutexGuard};
    use std::task::{Context, Waker};

    use bg_charm_api::CharmSummary;
    use bg_identity::{CharmId, space_did};
    use bg_poller::{CharmRef, UnixMillis};
    use bg_store::paths::SecretPaths;
    use serde_json::{Value, json};

    use super::*;

    /// A charm in memory, which notes what is read.
    #[derive(Default)]
    struct Home(Mutex<Inner>);

    #[derive(Default)]
    struct Inner {
        cells: CellTexts,
        version: i64,
        reads: Vec<Vec<String>>,
        /// What another process writes after the next reads: one cell after each.
        writes: Vec<(&'static str, Value)>,
    }

    fn link(cell: &str) -> Value {
        json!({"/": {"link@1": {"id": format!("of:{cell}"), "path": []}}})
    }

    impl Home {
        fn new(cells: impl IntoIterator<Item = (String, Value)>) -> Self {
            let home = Self::default();
            home.inner().cells = cells.into_iter().map(|(name, value)| (name, value.to_string())).collect();
            home
        }

        fn inner(&self) -> MutexGuard<'_, Inner> {
            self.0.lock().unwrap()
        }

        fn read(&self, names: Vec<String>) -> (StoredCharm, CellTexts) {
            let mut inner = self.inner();
            let found = names.iter().filter_map(|name| Some((name.clone(), inner.cells.get(name)?.clone()))).collect();
            let read = (charm(inner.version), found);
            inner.reads.push(names);
            if let Some((name, value)) = inner.writes.pop() {
                inner.cells.insert(name.to_owned(), value.to_string());
                inner.version += 1;
            }
            read
        }

        async fn lookup(&self, name: &str) -> Result<Result<Lookup, BadCell>, RuntimeError> {
            lookup(&[name.to_owned()], async |names| Ok(self.read(names))).await
        }
    }

    fn charm(version: i64) -> StoredCharm {
        StoredCharm {
            row: 1,
            version,
            summary: CharmSummary {
                charm: CharmRef { space: space_did("my-space"), charm: CharmId::for_content(b"a") },
                name: None,
                file_name: "a.tsx".to_owned(),
                streams: Vec::new(),
                created_at: UnixMillis(1),
                updated_at: UnixMillis(1),
            },
            secrets: SecretPaths::new(Vec::new()),
            integration: None,
            changed: Vec::new(),
            program: None,
        }
    }

    #[tokio::test]
    async fn a_list_of_many_links_takes_two_reads_and_each_cell_is_read_once() {
        let items = (0..500).map(|number| (format!("item-{number}"), json!({"number": number})));
        let list = (0..500).map(|number| link(&format!("item-{number}"))).collect();
        let home = Home::new(items.chain([("list".to_owned(), Value::Array(list))]));
        let Ok(Ok(Lookup::Value(value))) = home.lookup("list").await else { panic!("a value") };
        assert_eq!(value, (0..500).map(|number| json!({"number": number})).collect::<Value>());
        let reads = &home.inner().reads;
        assert_eq!((reads.len(), reads[0].as_slice()), (2, ["list".to_owned()].as_slice()));
        let names: BTreeSet<&String> = reads.iter().flatten().collect();
        assert_eq!((names.len(), reads.iter().flatten().count()), (501, 501));
    }

    #[tokio::test]
    async fn links_to_links_take_no_more_reads_than_may_follow_one_another_and_answer_as_if_all_were_known() {
        let [chain, twice] = ["chain", "twice"].map(str::to_owned);
        let name = |kind: &str, number| if number == 0 { kind.to_owned() } else { format!("{kind}-{number}") };
        let mut values = CellTexts::new();
        for number in 0..40 {
            let next = |kind| link(&name(kind, number + 1));
            values.insert(name(&chain, number), json!({"n": number, "next": next(&chain)}).to_string());
            values.insert(name(&twice, number), json!([next(&twice), "x".repeat(100), next(&twice)]).to_string());
        }
        // A circle, and one that leads nowhere.
        values.insert("circle".to_owned(), json!([link("circle"), link("back"), link("nowhere")]).to_string());
        values.insert("back".to_owned(), json!([link("circle")]).to_string());
        for start in [chain.as_str(), &twice, "circle", "nowhere"] {
            let home = Home::default();
            home.inner().cells.clone_from(&values);
            let all = |name: &str| parsed(name, values.get(name).map(String::as_str));
            let secrets = SecretPaths::new(Vec::new());
            let expected = Reader::new(&secrets, &all).lookup(&[start.to_owned()]).unwrap();
            assert_eq!(home.lookup(start).await, Ok(Ok(expected)), "{start}");
            let reads = home.inner().reads.len();
            assert!(reads <= 17, "{start}: {reads} reads");
        }
    }

    #[tokio::test]
    async fn an_answer_is_of_one_version_of_the_charm() {
        let cells = [("list", json!([link("a"), link("b")])), ("a", json!("old")), ("b", json!("old"))];
        let home = Home::new(cells.map(|(name, value)| (name.to_owned(), value)));
        // After the list was read, and again after its cells were.
        home.inner().writes = vec![("b", json!("new")), ("list", json!([link("b"), link("c")])), ("c", json!("new"))];
        assert_eq!(home.lookup("list").await, Ok(Ok(Lookup::Value(json!(["new", "new"])))));
        // If each read finds links to other cells, the lookup gives up.
        home.inner().writes = (0..100).map(|number| ("list", json!([link(&format!("other-{number}"))]))).collect();
        let given_up = home.lookup("list").await;
        assert!(matches!(given_up, Err(RuntimeError::Unavailable { scope: Scope::Charm, .. })), "{given_up:?}");
        assert!(home.inner().writes.len() > 50);
    }

    #[tokio::test]
    async fn however_many_lookups_follow_links_a_few_at_a_time_hold_what_they_read() {
        let attempt = bg_abuse::Attempt::begin("memory", "many lookups through links to many large cells at once");
        let home = Home::new([("list", json!([link("a")])), ("a", json!(1))].map(|(n, value)| (n.to_owned(), value)));
        let (holding, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let one = || async {
            let read = async |names: Vec<String>| {
                let follows = names == ["a"];
                if follows {
                    most.fetch_max(holding.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                }
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                holding.fetch_sub(usize::from(follows), Ordering::SeqCst);
                Ok(home.read(names))
            };
            assert_eq!(lookup(&["list".to_owned()], read).await, Ok(Ok(Lookup::Value(json!([1])))));
        };
        let mut all: Vec<_> = (0..50).map(|_| Box::pin(one())).collect();
        while !all.is_empty() {
            let mut context = Context::from_waker(Waker::noop());
            all.retain_mut(|one| one.as_mut().poll(&mut context).is_pending());
        }
        assert!((1..=AT_ONCE).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        attempt.ended("two at a time");
    }

    #[tokio::test]
    async fn a_damaged_cell_is_named() {
        let cells = [("list", json!([link("a"), link("b")])), ("a", json!(1))];
        let home = Home::new(cells.map(|(name, value)| (name.to_owned(), value)));
        home.inner().cells.insert("b".to_owned(), "{".to_owned());
        assert_eq!(home.lookup("list").await, Ok(Err(BadCell("b".to_owned()))));
    }
}
