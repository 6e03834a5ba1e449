//! What a charm threw, as the world's `handler-error` has it.

use std::fmt::Write as _;

use boa_engine::error::RuntimeLimitError;
use boa_engine::{Context, JsError, JsObject, JsValue, js_string};

use crate::host::RequestId;
use crate::naming;
use crate::source_map::SourceMap;

/// How many frames of a stack are kept.
const MAX_FRAMES: usize = 20;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `TypeError: x is not a function`.
    pub message: String,
    /// `at fetchMail (gmail.tsx:12:3)`, innermost first, one frame a line.
    pub stack: Option<String>,
    /// The request that it comes from, which failed or was answered with an error; none if it is the charm's own.
    pub request: Option<RequestId>,
    /// The status that the answer to that request amounts to, if the charm says that it is not the one that it has.
    pub status: Option<u16>,
}

impl Failure {
    /// A failure that no line of the charm is to blame for.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), stack: None, request: None, status: None }
    }

    /// What `error` says; `runtime` is the object that the files in `js/` make. If the error has no frames, `place` has
    /// one.
    pub(crate) fn of(
        error: &JsError,
        place: &str,
        runtime: &JsObject,
        maps: &[SourceMap<'_>],
        context: &mut Context,
    ) -> Self {
        // The charm can't catch a limit of the engine, which is not a JavaScript value. It prints its frames after its
        // message.
        let printed = error.to_string();
        let frames = printed.find("\n    at ").map_or("", |at| &printed[at..]);
        if let Some(engine) = error.as_engine() {
            let message = if over_a_limit(error) {
                "RangeError: the calls are nested too deeply".to_owned()
            } else {
                format!("Error: {engine}")
            };
            return Self { message, stack: stack_of(maps, frames, MAX_FRAMES), request: None, status: None };
        }
        let Ok(value) = error.clone().into_opaque(context) else {
            return Self::new(printed);
        };
        let message = ask(runtime, "describe", &value, context).unwrap_or_else(|| "an error that has no text".into());
        let stack = ask(runtime, "stackOf", &value, context).unwrap_or_default();
        let message = name(maps, if stack.is_empty() { frames } else { &stack }, &message).unwrap_or(message);
        let stack = stack_of(maps, &stack, MAX_FRAMES).or_else(|| stack_of(maps, frames, MAX_FRAMES));
        let stack = stack.or_else(|| stack_of(maps, place, 1));
        let mut number = |of| answer(runtime, of, &value, context).and_then(|number| number.as_number());
        let (request, status) = (number("requestOf"), number("statusOf"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was one of the host's numbers")]
        let request = request.map(|number| number as RequestId);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a status has three digits")]
        let status = status.map(|number| number as u16);
        Self { message, stack, request, status }
    }
}

/// Whether the engine hit a limit of its own. Where it did so in a place that it did not expect to, the limit is the
/// cause of another error.
fn over_a_limit(error: &JsError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<RuntimeLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Calls a function of the runtime that makes a text of a value.
fn ask(runtime: &JsObject, function: &str, value: &JsValue, context: &mut Context) -> Option<String> {
    Some(answer(runtime, function, value, context)?.as_string()?.to_std_string_lossy())
}

/// What a function of the runtime answers about a value.
fn answer(runtime: &JsObject, function: &str, value: &JsValue, context: &mut Context) -> Option<JsValue> {
    let function = runtime.get(js_string!(function), context).ok()?;
    function.as_callable()?.call(&JsValue::undefined(), std::slice::from_ref(value), context).ok()
}

/// The message with the name of what it is about, if the innermost frame is the charm's, or a function of the engine's
/// that it called.
fn name(maps: &[SourceMap<'_>], stack: &str, message: &str) -> Option<String> {
    let mut frames = stack.lines().filter(|frame| frame.trim_start().starts_with("at "));
    let frame = frames.find(|frame| !frame.ends_with(" (native)"));
    let place = frame.and_then(|frame| maps.iter().find_map(|map| Some((map, map.frame(frame)?))));
    match place {
        Some((map, (_, line, column))) => naming::named(message, map.module(), line, column),
        None => naming::reworded(message),
    }
}

/// The frames of the charm's own files in a stack of the engine, at the author's lines; `None` if it has none.
fn stack_of(maps: &[SourceMap<'_>], stack: &str, most: usize) -> Option<String> {
    let mut text = String::new();
    let frames = stack.lines().filter_map(|frame| maps.iter().find_map(|map| Some((map, map.frame(frame)?))));
    for (map, (function, line, column)) in frames.take(most) {
        let (line, column) = map.original(line, column);
        let file = map.file();
        let separator = if text.is_empty() { "" } else { "\n" };
        let written = if function.is_empty() || function == "<main>" {
            write!(text, "{separator}at {file}:{line}:{column}")
        } else {
            write!(text, "{separator}at {function} ({file}:{line}:{column})")
        };
        written.ok()?;
    }
    (!text.is_empty()).then_some(text)
}

impl SourceMap<'_> {
    /// Function, line and column of a frame: `    at name (file:1:2)`.
    fn frame<'f>(&self, frame: &'f str) -> Option<(&'f str, u32, u32)> {
        // Names of functions and files may have parentheses in them.
        let frame = frame.trim_start().strip_prefix("at ")?.strip_suffix(')')?;
        let (function, place) = frame.split_once(&format!(" ({}:", self.file()))?;
        let (line, column) = place.split_once(':')?;
        Some((function, line.parse().ok()?, column.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_of_the_charms_file_are_kept() {
        let maps = ["charm (1).ts", "lib/a.ts"].map(|file| SourceMap::of(file, "no map"));
        let stack = "\n    at inner (charm (1).ts:3:7)\n    at get (commontools:1:1)\n    at map (native)\n    at <main> (charm (1).ts:9:1)\n    at b (lib/a.ts:2:2)\n    at x (charm (1).ts:?:?)";
        assert_eq!(
            stack_of(&maps, stack, 20).as_deref(),
            Some("at inner (charm (1).ts:3:7)\nat charm (1).ts:9:1\nat b (lib/a.ts:2:2)")
        );
        assert_eq!(stack_of(&maps, stack, 1).as_deref(), Some("at inner (charm (1).ts:3:7)"));
        assert_eq!(stack_of(&maps, "", 20), None);
    }
}
