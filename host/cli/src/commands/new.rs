//! `new`: writes a folder with a working integration.

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
    output::line(format!("{} contains a working integration. Next commands:\n", folder.display()))?;
    output::line(format!("    cd {}", quoted(&folder)))?;
    for command in template.commands() {
        output::line(format!("    {command}"))?;
    }
    Ok(output::line("\nIts README.md explains each of them.")?)
}

/// Creates the folder if needed, and checks that it is empty.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot create the folder {}; choose another with --dir", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    if fs::read_dir(folder).with_context(cannot)?.next().is_some() {
        bail!("{} is not empty; choose another folder with --dir", folder.display());
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

/// A path in shell syntax.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if path.bytes().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_if_a_shell_would_split_it() {
        for (path, shown) in [("my-news", "my-news"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
