//! `new`: a folder with an integration that works, for its author to go on from.

mod template;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::args::NewArgs;
use crate::output;
use template::Template;

/// `new NAME --lang LANGUAGE`
pub(crate) fn run(args: &NewArgs) -> anyhow::Result<()> {
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    let template = Template::new(&args.name, args.lang);
    make_empty(&folder)?;
    for (name, text) in template.files() {
        write_new(&folder.join(name), &text)?;
    }
    output::line(format!("{} is an integration that works. What to type next:\n", folder.display()))?;
    output::line(format!("    cd {}", quoted(&folder)))?;
    for command in template.commands() {
        output::line(format!("    {command}"))?;
    }
    Ok(output::line("\nIts README.md says what each of these does.")?)
}

/// Sees to it that the folder is there, and that nothing is in it.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make the folder {}; --dir names another", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    if fs::read_dir(folder).with_context(cannot)?.next().is_some() {
        bail!("{} is not empty, and nothing is overwritten; name another folder with --dir", folder.display());
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    };
    written().map_err(|error: io::Error| anyhow::anyhow!("cannot write {}: {error}", path.display()))
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if path.bytes().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        for (path, shown) in [("my-news", "my-news"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
