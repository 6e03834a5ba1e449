//! The figures and their presentation.

use std::fmt;
use std::time::Duration;

use bg_test_support::machine;
use serde_json::{Value, json};

/// The width of the first column.
const WIDTH: usize = 40;

/// All figures, in the order of measurement.
pub(crate) struct Report {
    figures: Vec<Figure>,
    /// Print JSON at the end instead of each figure as it is measured.
    as_json: bool,
}

struct Figure {
    what: String,
    unit: &'static str,
    median: f64,
    /// The 99th percentile, if there are enough values.
    p99: Option<f64>,
    of: usize,
    /// The original's figure.
    original: Option<&'static str>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(as_json: bool) -> Self {
        if !as_json {
            println!("{}", machine());
            println!("{:WIDTH$}  {:>9} {:>9} {:>5}       the original", "", "median", "p99", "of");
        }
        Self { figures: Vec::new(), as_json }
    }

    /// Adds the durations of something.
    pub(crate) fn times(&mut self, what: &str, times: &[Duration], original: Option<&'static str>) {
        let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1_000.0).collect();
        self.add(what, "ms", millis, original);
    }

    /// Adds values, in any order.
    pub(crate) fn add(&mut self, what: &str, unit: &'static str, mut values: Vec<f64>, original: Option<&'static str>) {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| values[(values.len() - 1) * share / 100];
        let p99 = (values.len() >= 100).then(|| at(99));
        let figure = Figure { what: what.to_owned(), unit, median: at(50), p99, of: values.len(), original };
        if !self.as_json {
            println!("{figure}");
        }
        self.figures.push(figure);
    }

    /// Prints the end of the report.
    pub(crate) fn end(&self) {
        if self.as_json {
            let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
            println!("{}", json!({"machine": machine(), "figures": figures}));
        }
    }
}

impl Figure {
    fn json(&self) -> Value {
        let Self { what, unit, median, p99, of, original } = self;
        json!({"what": what, "unit": unit, "median": median, "p99": p99, "of": of, "original": original})
    }
}

/// One row of the table.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, unit, median, p99, of, original } = self;
        let p99 = p99.map_or_else(String::new, |p99| format!("{p99:.3}"));
        write!(f, "{what:WIDTH$}  {median:>9.3} {p99:>9} {of:>5} {unit:<4}  {}", original.unwrap_or_default())
    }
}
