//! The newest runs of a charm as bars: the longer the run, the higher; green or red.

use std::fmt::Write as _;

use bg_charm_api::RecentRun;
use bg_poller::OutcomeKind;

/// The width of a bar and its gap, and the height of the highest.
const STEP: usize = 5;
const HEIGHT: f64 = 20.0;
/// The height of a run that took no time. A run of a minute, the longest possible, has full height. Logarithmic,
/// because durations differ by three orders of magnitude.
const LEAST: f64 = 3.0;
const LONGEST_MS: f64 = 60_000.0;

/// An SVG without inline style.
pub(super) fn svg(runs: &[RecentRun]) -> String {
    let Some(newest) = runs.last() else { return String::new() };
    let is_ok = |run: &&RecentRun| run.kind == Some(OutcomeKind::Success);
    let ok = runs.iter().filter(is_ok).count();
    let (mut good, mut bad) = (String::new(), String::new());
    for (place, run) in runs.iter().enumerate() {
        let height = height(run);
        let (x, top) = (place * STEP, HEIGHT - height);
        let path = if is_ok(&run) { &mut good } else { &mut bad };
        let _ = write!(path, "M{x} {top:.0}h4v{height:.0}h-4z");
    }
    let many = runs.len();
    let what = format!(
        "{many} newest runs: {ok} succeeded, {} failed; the last took {} ms",
        many - ok,
        newest.duration.as_millis()
    );
    let mut svg =
        format!("<svg class=\"spark\" viewBox=\"0 0 100 20\" role=\"img\" aria-label=\"{what}\"><title>{what}</title>");
    for (class, path) in [("ok", good), ("fail", bad)] {
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    svg.push_str("</svg>");
    svg
}

fn height(run: &RecentRun) -> f64 {
    let part = (run.duration.as_secs_f64() * 1_000.0 + 1.0).ln() / LONGEST_MS.ln();
    LEAST + (HEIGHT - LEAST) * part.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bg_poller::UnixMillis;

    use super::*;

    #[test]
    fn runs_are_bars_by_outcome_and_duration() {
        let run = |millis, kind| RecentRun { started_at: UnixMillis(1), duration: Duration::from_millis(millis), kind };
        assert_eq!(svg(&[]), "");
        let drawn = svg(&[run(0, Some(OutcomeKind::Success)), run(u64::MAX, Some(OutcomeKind::Timeout)), run(9, None)]);
        assert!(drawn.contains("<path class=\"ok\" d=\"M0 17h4v3h-4z\"/>"), "{drawn}");
        assert!(drawn.contains("<path class=\"fail\" d=\"M5 0h4v20h-4zM10 "), "{drawn}");
        assert!(drawn.contains("3 newest runs: 1 succeeded, 2 failed; the last took 9 ms"), "{drawn}");
    }
}
