//! Runs other programs while showing progress.

use std::collections::VecDeque;
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::BuildError;
use crate::progress::Progress;

/// How many last lines of a failed program are shown.
const LAST: usize = 20;

/// The origin of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Runs a program to its end, without input, and passes each line it writes to `each`; a carriage return ends a line,
/// too. It is stopped after `limit`.
pub(crate) fn run(
    command: &mut Command,
    progress: &Progress,
    limit: Option<Duration>,
    mut each: impl FnMut(Stream, &str),
) -> Result<ExitStatus, BuildError> {
    let failed = |source, command: &Command| BuildError::Start { command: line(command), source };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| failed(source, command))?;
    let (sender, lines) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        forward(out, Stream::Out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        forward(err, Stream::Err, sender.clone());
    }
    drop(sender);
    let started = Instant::now();
    let mut stopped = false;
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok((stream, text)) => each(stream, &text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress.tick();
        if !stopped && limit.is_some_and(|limit| started.elapsed() > limit) {
            stopped = true;
            child.kill().map_err(|source| failed(source, command))?;
        }
    }
    child.wait().map_err(|source| failed(source, command))
}

/// Like [`run`], for a program whose output matters only if it fails.
pub(crate) fn run_quietly(
    command: &mut Command,
    progress: &Progress,
    limit: Option<Duration>,
) -> Result<(), BuildError> {
    let mut last = VecDeque::new();
    let status = run(command, progress, limit, |_, text| {
        progress.item(text.trim());
        if last.len() == LAST {
            last.pop_front();
        }
        last.push_back(text.to_owned());
    })?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed { command: line(command), ended: ended(status), last: last.into() })
}

/// The standard output of a short program.
pub(crate) fn output_of(command: &mut Command) -> Result<String, BuildError> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|source| BuildError::Start { command: line(command), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(BuildError::Failed {
        command: line(command),
        ended: ended(output.status),
        last: String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect(),
    })
}

/// A command in shell syntax.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"\\$`".contains(c)) {
            format!("'{}'", word.replace('\'', r"'\''"))
        } else {
            word.into_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// How a program ended.
pub(crate) fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| format!("was stopped ({status})"), |code| format!("failed with status {code}"))
}

/// Sends the lines of a stream until it ends or the receiver is gone.
fn forward(mut from: impl Read + Send + 'static, stream: Stream, to: Sender<(Stream, String)>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        let mut line = Vec::new();
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            for &byte in &buffer[..read] {
                if byte != b'\n' && byte != b'\r' {
                    line.push(byte);
                } else if !line.is_empty() {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    line.clear();
                    if to.send((stream, text)).is_err() {
                        return;
                    }
                }
            }
        }
        if !line.is_empty() {
            // If the receiver is gone, the rest of the output is not needed.
            let _ = to.send((stream, String::from_utf8_lossy(&line).into_owned()));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn every_line_of_both_streams_arrives() {
        let mut seen = Vec::new();
        let status = run(&mut shell(r"printf 'a\rb\nc'; printf 'd\n' >&2"), &Progress::new(), None, |stream, text| {
            seen.push((stream, text.to_owned()));
        })
        .unwrap();
        assert!(status.success());
        let of = |wanted| seen.iter().filter(move |(stream, _)| *stream == wanted).map(|(_, text)| text.as_str());
        assert_eq!(of(Stream::Out).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(of(Stream::Err).collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn a_failure_says_what_ran_and_what_it_wrote_last() {
        let error = run_quietly(&mut shell("echo one; echo 'no such target' >&2; exit 3"), &Progress::new(), None);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("failed with status 3") && text.contains("no such target"), "{text}");
        let text = run_quietly(&mut Command::new("no-such-program"), &Progress::new(), None).unwrap_err().to_string();
        assert!(text.starts_with("cannot run `no-such-program`"), "{text}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error = run_quietly(&mut command, &Progress::new(), Some(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("was stopped"), "{error}");
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("cargo");
        command.args(["build", "a b", "it's", ""]);
        assert_eq!(line(&command), r"cargo build 'a b' 'it'\''s' ''");
    }
}
