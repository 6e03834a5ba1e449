//! Limits by name, as an operator sets them.

use std::fmt;
use std::time::Duration;

use bg_identity::units::{self, Millis, parse_bytes, parse_millis};

const KIB: u64 = 1024;

/// Times that can be set: a tick of the clock that ends calls, to a day.
const TIMES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(24));
/// Bytes that can be set: what any guest needs to start, to all that 32 bits can address.
const BYTES: (u64, u64) = (KIB, 4 * KIB * KIB * KIB);
/// Counts that can be set.
const COUNTS: (u64, u64) = (1, 10_000_000);

/// One limit, to be read or set.
pub struct NamedLimit<'a> {
    /// Its name: that of its field, in kebab-case.
    pub name: &'static str,
    /// It.
    pub value: LimitValue<'a>,
}

/// Where the value of a limit is.
pub enum LimitValue<'a> {
    /// A time.
    Time(&'a mut Duration),
    /// A number of bytes.
    Bytes(&'a mut dyn Number),
    /// A number of something else.
    Count(&'a mut dyn Number),
}

/// A whole number of some size.
pub trait Number {
    /// What it is.
    fn get(&self) -> u64;
    /// Sets it, if that fits.
    fn set(&mut self, value: u64) -> Option<()>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn get(&self) -> u64 {
                u64::try_from(*self).unwrap_or(u64::MAX)
            }

            fn set(&mut self, value: u64) -> Option<()> {
                *self = Self::try_from(value).ok()?;
                Some(())
            }
        }
    )*};
}

numbers!(u32, u64, usize);

/// A limit that cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not a value of that kind.
    #[error("`{text}` is not {expected}")]
    Form {
        /// What was given.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Zero, or beyond all reason.
    #[error("{text} is out of range: it can be {least} to {most}")]
    Range {
        /// What was given.
        text: String,
        /// The least that can be set.
        least: String,
        /// The most.
        most: String,
    },
}

impl LimitValue<'_> {
    /// Sets it to what a person wrote: `500ms`, `5s` (or `5`), `2m`, `1h`; `4096`, `64KiB`, `64MiB`, `1GiB`; `200`.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let read = match self {
            Self::Time(_) => parse_millis(text),
            Self::Bytes(_) => parse_bytes(text),
            Self::Count(_) => parse_bytes(text).filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())),
        };
        let Some(value) = read else {
            return Err(LimitError::Form { text: text.into(), expected: self.expected() });
        };
        match self {
            Self::Time(time) => {
                let wanted = Duration::from_millis(value);
                if !(TIMES.0..=TIMES.1).contains(&wanted) {
                    return Err(LimitError::Range { text: text.into(), least: "10ms".into(), most: "24h".into() });
                }
                **time = wanted;
            }
            Self::Bytes(bytes) => {
                let fits = (BYTES.0..=BYTES.1).contains(&value);
                fits.then(|| bytes.set(value)).flatten().ok_or_else(|| LimitError::Range {
                    text: text.into(),
                    least: "1KiB".into(),
                    most: "4GiB".into(),
                })?;
            }
            Self::Count(count) => {
                let fits = (COUNTS.0..=COUNTS.1).contains(&value);
                fits.then(|| count.set(value)).flatten().ok_or_else(|| LimitError::Range {
                    text: text.into(),
                    least: COUNTS.0.to_string(),
                    most: COUNTS.1.to_string(),
                })?;
            }
        }
        Ok(())
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Time(_) => "a time: a number of seconds, or a number with ms, s, m or h, such as 500ms or 5s",
            Self::Bytes(_) => "a number of bytes: a number, or one with KiB, MiB or GiB, such as 64MiB",
            Self::Count(_) => "a whole number",
        }
    }
}

/// As [`set`](LimitValue::set) takes it.
impl fmt::Display for LimitValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).fmt(f),
            Self::Bytes(bytes) => units::Bytes(bytes.get()).fmt(f),
            Self::Count(count) => write!(f, "{}", count.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Limits;

    #[test]
    fn every_field_has_its_name_and_can_be_set_to_what_it_shows() {
        let mut limits = Limits::default();
        let debug = format!("{limits:#?}");
        let fields: Vec<String> = debug
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(':'))
            .map(|(field, _)| field.replace('_', "-"))
            .collect();
        let names: Vec<&str> = limits.by_name().iter().map(|limit| limit.name).collect();
        assert_eq!(names, fields);
        for mut limit in limits.by_name() {
            let shown = limit.value.to_string();
            limit.value.set(&shown).unwrap_or_else(|error| panic!("{}: {error}", limit.name));
        }
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn setting_one_sets_that_one() {
        let names: Vec<&str> = Limits::default().by_name().iter().map(|limit| limit.name).collect();
        for (place, name) in names.iter().enumerate() {
            let mut limits = Limits::default();
            limits.by_name()[place].value.set("7777").unwrap();
            let (changed, before) = (format!("{limits:#?}"), format!("{:#?}", Limits::default()));
            let differing: Vec<&str> =
                changed.lines().zip(before.lines()).filter(|(new, old)| new != old).map(|(new, _)| new).collect();
            let [line] = differing.as_slice() else { panic!("{name}: {differing:?}") };
            assert!(line.trim().starts_with(&name.replace('-', "_")) && line.contains("7777"), "{name}: {line}");
        }
    }

    #[test]
    fn values_have_units_and_bounds() {
        let set = |name: &str, text: &str| {
            let mut limits = Limits::default();
            let mut named = limits.by_name();
            let limit = named.iter_mut().find(|limit| limit.name == name).unwrap();
            limit.value.set(text).map(|()| limit.value.to_string()).map_err(|error| error.to_string())
        };
        for (name, text, shown) in [
            ("charm-time", "90", "90s"),
            ("charm-time", "2m", "2m"),
            ("charm-time", "1500ms", "1500ms"),
            ("charm-memory", "256MiB", "256MiB"),
            ("charm-memory", "1048577", "1048577"),
            ("charm-memory", "2GiB", "2GiB"),
            ("log-lines", "10", "10"),
        ] {
            assert_eq!(set(name, text).as_deref(), Ok(shown), "{name}={text}");
        }
        for (name, text, said) in [
            ("charm-time", "0", "10ms to 24h"),
            ("charm-time", "25h", "10ms to 24h"),
            ("charm-time", "99999999999999999999", "10ms to 24h"),
            ("charm-time", "5MiB", "is not a time"),
            ("charm-time", "", "is not a time"),
            ("charm-time", "-1", "is not a time"),
            ("charm-memory", "0", "1KiB to 4GiB"),
            ("charm-memory", "5GiB", "1KiB to 4GiB"),
            ("charm-memory", "64MB", "64MiB"),
            ("charm-memory", "64 MiB", "64MiB"),
            ("log-lines", "0", "1 to 10000000"),
            ("log-lines", "10KiB", "is not a whole number"),
            ("log-lines", "1.5", "is not a whole number"),
        ] {
            let error = set(name, text).unwrap_err();
            assert!(error.contains(said), "{name}={text}: {error}");
        }
    }
}
