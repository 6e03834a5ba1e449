//! The files of a charm: which import which.

use std::collections::BTreeMap;
use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::Statement;
use oxc::parser::Parser;
use oxc::span::SourceType;

/// The names of the module that charms import from: the original's, and its newer one, and parts of theirs that have
/// types.
const MODULES: [&str; 5] =
    ["commontools", "commontools/schema", "commonfabric", "commonfabric/cfc", "commonfabric/schema"];

/// Packages that charms may import as well, and what they export. The script guest has them.
const PACKAGES: [(&str, &[&str]); 1] = [("turndown", &["default"])];

/// Ends of names that an import may leave out, in the order in which they are tried.
const ENDS: [&str; 8] = [".ts", ".tsx", ".js", ".jsx", ".mts", ".mjs", "/index.ts", "/index.tsx"];

/// The most files that a charm may have.
pub const MAX_FILES: usize = 100;

/// The sources of a charm.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'s> {
    /// The name of the file with the default export.
    pub file_name: &'s str,
    /// Its text.
    pub source: &'s str,
    /// Other files by their paths, which are relative to the same folder as the name of the first: `lib/client.ts`.
    pub files: &'s BTreeMap<String, String>,
}

impl Sources<'_> {
    /// How long all files are together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.source.len() + self.files.values().map(String::len).sum::<usize>()
    }
}

/// Whether an import's source is the module that charms import from.
pub(super) fn is_module(source: &str) -> bool {
    MODULES.contains(&source)
}

/// What a package exports, if it is one that charms may import.
pub(super) fn package(source: &str) -> Option<&'static [&'static str]> {
    PACKAGES.iter().find(|(name, _)| *name == source).map(|(_, exports)| *exports)
}

/// Whether it names another file of the charm.
pub(super) fn is_relative(source: &str) -> bool {
    source.starts_with("./") || source.starts_with("../")
}

/// The path that `source` means in the file `from`, among those for which `exists` holds.
pub(super) fn resolve(from: &str, source: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    candidates(from, source).into_iter().find(|path| exists(path))
}

/// The paths that `source` may mean in the file `from`, the likeliest first.
fn candidates(from: &str, source: &str) -> Vec<String> {
    let Some(path) = join(from, source) else { return Vec::new() };
    // A TypeScript file may be imported by the name that its JavaScript would have.
    let stem = [(".js", ".ts"), (".js", ".tsx"), (".jsx", ".tsx"), (".mjs", ".mts")];
    let typed = stem.iter().filter_map(|(end, typed)| Some(format!("{}{typed}", path.strip_suffix(end)?)));
    let ended = ENDS.iter().map(|end| format!("{path}{end}"));
    // Charms' files only: gathering them for another's charm must not disclose any other file.
    std::iter::once(path.clone()).chain(typed).chain(ended).filter(|path| super::language(path).is_some()).collect()
}

/// A relative path from the folder of the file `from`, without `.` and with `..` at its start only.
fn join(from: &str, source: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_none_or(|last| *last == "..") => parts.push(".."),
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The relative imports and re-exports of a file, types' included; none if it can't be parsed.
fn imports(file: &str, source: &str) -> Vec<String> {
    if !super::is_acceptable(source) {
        return Vec::new();
    }
    super::on_large_stack(|| imports_of(file, source)).unwrap_or_default()
}

fn imports_of(file: &str, source: &str) -> Vec<String> {
    let allocator = Allocator::default();
    let Ok(language) = SourceType::from_path(Path::new(file)) else { return Vec::new() };
    let parsed = Parser::new(&allocator, source, language.with_module(true)).parse();
    let found = parsed.program.body.iter().filter_map(|statement| match statement {
        Statement::ImportDeclaration(import) => Some(import.source.value.to_string()),
        Statement::ExportFromDeclaration(export) => Some(export.source.value.to_string()),
        Statement::ExportAllDeclaration(export) => Some(export.source.value.to_string()),
        _ => None,
    });
    found.filter(|source| is_relative(source)).collect()
}

/// A file that another one may mean by an import.
#[derive(Clone, Copy, Debug)]
pub struct Import<'i> {
    /// Which file imports it, by its path.
    pub from: &'i str,
    /// What is written there: `./client`.
    pub source: &'i str,
    /// The path that this may mean, relative to what the name of the charm's first file is relative to. It may lead out
    /// of that (`../a.ts`), which is for `read` to refuse.
    pub path: &'i str,
}

/// The names of a charm's files, relative to the deepest folder that has all of them: where the author keeps that folder
/// makes no difference, and the file with the default export is called by its name alone unless files beside its folder
/// are imported. `file_name` and the names of `files` are relative to one folder, and lead out of none.
#[must_use]
pub fn name_from_common_folder(file_name: &str, files: BTreeMap<String, String>) -> (String, BTreeMap<String, String>) {
    let folder_of = |name: &str| name.rfind('/').map_or(0, |end| end + 1);
    let mut common = &file_name[..folder_of(file_name)];
    for name in files.keys() {
        while !name.starts_with(common) {
            common = &common[..folder_of(&common[..common.len() - 1])];
        }
    }
    let start = common.len();
    let further = files.into_iter().map(|(name, text)| (name[start..].to_owned(), text)).collect();
    (file_name[start..].to_owned(), further)
}

/// Whether a file's name is one that an import can lead to: a relative path that leads out of no folder.
pub(super) fn is_name(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The further files that a charm is made of: what its first file imports by relative paths, and what those import.
/// `read` answers the text of a file, or `None` if it does not exist. [`transpile`](super::transpile) reports what is
/// missing.
pub fn gather<E>(
    file_name: &str,
    source: &str,
    mut read: impl FnMut(Import<'_>) -> Result<Option<String>, E>,
) -> Result<BTreeMap<String, String>, E> {
    let mut files = BTreeMap::new();
    let mut open = vec![(file_name.to_owned(), source.to_owned())];
    while let Some((from, text)) = open.pop() {
        for import in imports(&from, &text) {
            let candidates = candidates(&from, &import);
            if files.len() >= MAX_FILES || candidates.iter().any(|path| path == file_name || files.contains_key(path)) {
                continue;
            }
            for path in candidates {
                if let Some(text) = read(Import { from: &from, source: &import, path: &path })? {
                    open.push((path.clone(), text.clone()));
                    files.insert(path, text);
                    break;
                }
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_imports_mean_files_as_in_typescript() {
        let there = ["a.ts", "lib/b.tsx", "lib/index.ts", "../up.js", "lib/data.mjs", "notes.txt", "../id_rsa"];
        for (from, source, expected) in [
            ("main.tsx", "./a.ts", Some("a.ts")),
            ("main.tsx", "./a", Some("a.ts")),
            ("main.tsx", "./a.js", Some("a.ts")),
            ("main.tsx", "./lib/b.jsx", Some("lib/b.tsx")),
            ("main.tsx", "./lib", Some("lib/index.ts")),
            ("lib/b.tsx", "../a.ts", Some("a.ts")),
            ("lib/b.tsx", "./data.mjs", Some("lib/data.mjs")),
            ("lib/b.tsx", "../../up.js", Some("../up.js")),
            ("main.tsx", "./lib/../lib/./b", Some("lib/b.tsx")),
            ("main.tsx", "./missing", None),
            ("main.tsx", "./", None),
            ("main.tsx", "./notes.txt", None),
            ("main.tsx", "../id_rsa", None),
        ] {
            let found = resolve(from, source, |path| there.contains(&path));
            assert_eq!(found.as_deref(), expected, "{source} in {from}");
        }
    }

    #[test]
    fn files_are_named_from_the_deepest_folder_that_has_all_of_them() {
        for (first, further, expected) in [
            ("main.tsx", &["lib/a.ts"][..], &["main.tsx", "lib/a.ts"][..]),
            ("a/b/main.tsx", &[], &["main.tsx"]),
            ("a/b/main.tsx", &["a/b/lib/a.ts"], &["main.tsx", "lib/a.ts"]),
            ("a/b/main.tsx", &["a/c.ts"], &["b/main.tsx", "c.ts"]),
            ("a/b/main.tsx", &["a/bc/d.ts"], &["b/main.tsx", "bc/d.ts"]),
            ("a/b/main.tsx", &["c.ts", "a/d.ts"], &["a/b/main.tsx", "c.ts", "a/d.ts"]),
        ] {
            let files = further.iter().map(|name| ((*name).to_owned(), format!("text of {name}"))).collect();
            let (named, files) = name_from_common_folder(first, files);
            let texts: BTreeMap<_, _> = expected[1..]
                .iter()
                .zip(further)
                .map(|(new, old)| ((*new).to_owned(), format!("text of {old}")))
                .collect();
            assert_eq!((named.as_str(), files), (expected[0], texts), "{first}");
        }
    }

    #[test]
    fn all_files_that_are_imported_are_gathered_also_through_one_another_and_types() {
        let disk = BTreeMap::from([
            ("a.ts", "import type { B } from './lib/b'; export const a = 1;"),
            ("lib/b.ts", "export * from '../a.ts'; export { c } from './c.ts'; export interface B {}"),
            ("lib/c.ts", "import x from 'elsewhere'; export const c = 2;"),
            ("other.ts", "export {};"),
        ]);
        let read = |import: Import<'_>| Ok::<_, ()>(disk.get(import.path).map(|text| (*text).to_owned()));
        let found = gather("main.tsx", "import { a } from './a'; import './gone'; import 'x';", read).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a.ts", "lib/b.ts", "lib/c.ts"]);
        assert_eq!(gather("main.tsx", "import './a'", |_| Err("no disk")), Err("no disk"));
    }
}
