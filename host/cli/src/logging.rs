//! Where log lines go: standard error, so that standard output holds results only. And where spans go, if they do.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use anyhow::Context as _;
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

/// Starts logging as the options say; `guests` is how much of what charms log is shown if they do not say.
pub(crate) fn start(common: &Common, guests: Option<&str>, telemetry: Option<&Telemetry>) -> anyhow::Result<()> {
    let filter = match guests {
        Some(level) if !common.log.contains("guest") => format!("{},guest={level}", common.log),
        _ => common.log.clone(),
    };
    // Spans are for traces; in a log they would be in front of each line.
    let filter = EnvFilter::try_new(format!("{filter},{}=off", telemetry::TARGET)).with_context(|| {
        format!("`{}` is no log filter; write a level such as `debug`, or `info,egress=debug`", common.log)
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
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// A field as people read it. What a line's message says already is there for programs alone.
fn text(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(Escaping(writer), "{value:?}"),
        "space" | "charm_id" => Ok(()),
        name if writer.has_ansi_escapes() => write!(writer, " \u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value:?}"),
        name => write!(writer, " {name}={value:?}"),
    }
}

/// Writes no control character but the ends of lines: none of a stranger's text may move the cursor of a terminal.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}
