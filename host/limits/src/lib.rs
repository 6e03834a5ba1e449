//! Limits that an operator sets by name. A crate writes each of its limits as one row of [`limits!`], from which the
//! constant, the field, the default and the name are generated.

use std::fmt;
use std::time::Duration;

use bg_identity::units::{self, Millis, parse_bytes, parse_millis};

const KIB: u64 = 1024;

/// Allowed times: from a tick of the clock that ends calls, to a day.
const TIMES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(24));
/// Allowed numbers of bytes: from what any guest needs to start, to all that 32 bits can address.
const BYTES: (u64, u64) = (KIB, 4 * KIB * KIB * KIB);
/// Allowed counts.
const COUNTS: (u64, u64) = (1, 10_000_000);

/// Defines a struct of limits, with their defaults and names.
///
/// A row is `"name" => field [CONSTANT]: Kind(type) = default;`, where the kind is one of [`LimitValue`]'s. The
/// constant, which holds the default, may be omitted.
///
/// ```
/// use std::time::Duration;
///
/// bg_limits::limits! {
///     /// How much one call may take.
///     Limits
///     /// The time for one call.
///     "call-time" => call_time [CALL_TIME]: Time(Duration) = Duration::from_secs(5);
///     /// The requests of one call.
///     "requests" => requests: Count(u32) = 200;
/// }
///
/// let mut limits = Limits::default();
/// assert_eq!(limits.call_time, CALL_TIME);
/// // As an operator writes it: `--limit call-time=500ms`.
/// let mut named = limits.by_name().into_iter().find(|limit| limit.name == "call-time").unwrap();
/// named.value.set("500ms").unwrap();
/// assert_eq!(named.value.set("a while").unwrap_err().to_string().split(" is not ").next(), Some("`a while`"));
/// assert_eq!(limits.call_time, Duration::from_millis(500));
/// ```
#[macro_export]
macro_rules! limits {
    (
        $(#[$about:meta])*
        $Limits:ident
        $($(#[$doc:meta])* $name:literal => $field:ident $([$constant:ident])?: $kind:ident($type:ty) = $value:expr;)*
    ) => {
        $($(
            #[doc = concat!("The default of [`", stringify!($Limits), "::", stringify!($field), "`].")]
            pub const $constant: $type = $value;
        )?)*

        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for $Limits {
            fn default() -> Self {
                Self { $($field: $value),* }
            }
        }

        impl $Limits {
            /// Every limit by its name.
            pub fn by_name(&mut self) -> Vec<$crate::NamedLimit<'_>> {
                vec![$($crate::NamedLimit { name: $name, value: $crate::LimitValue::$kind(&mut self.$field) }),*]
            }
        }
    };
}

/// One limit, to be read or set.
pub struct NamedLimit<'a> {
    /// Its name: its field's, in kebab-case.
    pub name: &'static str,
    /// Its value.
    pub value: LimitValue<'a>,
}

/// The value of a limit.
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
    /// The number.
    fn get(&self) -> u64;
    /// Sets the number, if it fits.
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

/// A limit cannot have this value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not a value of that kind.
    #[error("`{text}` is not {expected}")]
    Form {
        /// The given text.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Zero, or unreasonably large.
    #[error("{text} is out of range: it can be {least} to {most}")]
    Range {
        /// The given text.
        text: String,
        /// The minimum.
        least: String,
        /// The maximum.
        most: String,
    },
}

impl LimitValue<'_> {
    /// Sets it from a person's text: `500ms`, `5s` (or `5`), `2m`, `1h`; `4096`, `64KiB`, `64MiB`, `1GiB`; `200`.
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

/// In the form that [`set`](LimitValue::set) accepts.
impl fmt::Display for LimitValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).fmt(f),
            Self::Bytes(bytes) => units::Bytes(bytes.get()).fmt(f),
            Self::Count(count) => write!(f, "{}", count.get()),
        }
    }
}
