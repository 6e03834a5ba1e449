//! Where log lines go: standard error, so that standard output contains only results. Also where spans go, if tracing
//! is on.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use bg_identity::{Lines, pieces, printable_json};
use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::{Common, LogFormat};
use crate::telemetry::{self, Telemetry};

/// Starts logging as configured by the options; `guests` is the default level for guests' log lines.
pub(crate) fn start(common: &Common, guests: Option<&str>, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let filter = match guests {
        Some(level) if !common.log.contains("guest") => format!("{},guest={level}", common.log),
        _ => common.log.clone(),
    };
    // Spans are for traces; in a log they would precede each line.
    let filter = EnvFilter::try_new(format!("{filter},{}=off", telemetry::TARGET)).with_context(|| {
        format!("`{}` is not a log filter; write a level such as `debug`, or `info,egress=debug`", common.log)
    })?;
    let lines = lines(common.log_format).with_filter(filter);
    let spans = telemetry.map(|telemetry| {
        tracing_opentelemetry::layer()
            .with_tracer(telemetry.tracer())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(telemetry::TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry().with(lines).with(spans).init();
    Ok(())
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).fmt_fields(debug_fn(text)).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_writer(|| JsonLines(io::stderr())).boxed(),
    }
}

/// A field for people. Fields that repeat the message are only for programs.
fn text(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(Printable { out: writer, lines: Lines::Kept }, "{value:?}"),
        "space" | "charm_id" => Ok(()),
        name => {
            if writer.has_ansi_escapes() {
                write!(writer, " \u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
            } else {
                write!(writer, " {name}=")?;
            }
            write!(Printable { out: writer, lines: Lines::Escaped }, "{value:?}")
        }
    }
}

/// Escapes everything hidden, except line breaks in a message: foreign text must not move a terminal's cursor. Further
/// lines of a message are indented, so that none looks like a log line.
struct Printable<'a, 'w> {
    out: &'a mut Writer<'w>,
    lines: Lines,
}

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in pieces(text, self.lines) {
            write!(self.out, "{piece}")?;
            if piece.is_line_end() {
                self.out.write_str("    ")?;
            }
        }
        Ok(())
    }
}

/// Writes lines of JSON with hidden characters in strings escaped.
struct JsonLines<W>(W);

impl<W: io::Write> io::Write for JsonLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line arrives whole, and a serializer writes UTF-8.
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(printable_json(text).as_bytes())?,
            Err(_) => self.0.write_all(printable_json(&String::from_utf8_lossy(line)).as_bytes())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_line_of_json_has_nothing_hidden_and_means_the_same() {
        let mut out = Vec::new();
        JsonLines(&mut out).write_all("{\"a\":\"\u{9b}2J\u{202e}\u{7f}é\"}\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":\"\\u009b2J\\u202e\\u007fé\"}\n");
    }

    #[test]
    fn quoted_lines_of_a_message_do_not_look_like_log_lines() {
        let mut text = String::new();
        let mut writer = Writer::new(&mut text);
        let mut printable = Printable { out: &mut writer, lines: Lines::Kept };
        write!(printable, "failed: a\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2K\u{202e}\t").unwrap();
        write!(Printable { out: &mut writer, lines: Lines::Escaped }, "b\nc\u{9b}").unwrap();
        assert_eq!(text, "failed: a\n    2026-01-01T00:00:00Z  INFO all is well\\u{1b}[2K\\u{202e}\\tb\\nc\\u{9b}");
    }
}
