//! Options in the forms that they have beside that of the command line: as keys of a configuration file, as rows of what `config check`
//! shows, as lines of the sample file, and compared with what they were. An option is written once, as a field of a struct that clap reads;
//! deriving [`Options`] for that struct does the rest.

mod fields;
mod values;

use std::marker::PhantomData;
use std::path::Path;

pub(crate) use bg_options_derive::Options;
pub(crate) use fields::{Field, Listed, Value};
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess};
pub(crate) use values::{Count, Parsed, Percent, last, written_as_text};

/// A group of options: each field of the struct is one, or a group.
pub(crate) trait Options: Sized {
    /// The keys of configuration files that set them.
    fn keys() -> Vec<&'static str>;

    /// Reads the value of a key; whether an option here has that key.
    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error>;

    /// Adds what a file in the folder `base` says: the command line's wins, and lists add up.
    fn merge(&mut self, file: Self, base: &Path);

    /// The keys of those that have other values in `other`.
    fn changed(&self, other: &Self) -> Vec<&'static str>;

    /// Their values as people read them.
    fn rows(&self) -> Vec<Row>;
}

/// One option, as it is shown.
pub(crate) struct Row {
    /// Its name on the command line, without `--`.
    pub(crate) option: &'static str,
    /// Its key in a file.
    pub(crate) key: &'static str,
    /// Its values; none if it is not set.
    pub(crate) values: Vec<String>,
    /// What is shown if it is not set, if that is neither the default in its help nor "none".
    pub(crate) unset: Option<&'static str>,
    /// What the sample file says.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes the sample file"))]
    pub(crate) sample: Sample,
    /// A default as its help has it, in the form of `values`.
    pub(crate) default_shown: fn(&str) -> String,
}

/// What the sample file says of an option, in TOML.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "a test makes the sample file"))]
pub(crate) enum Sample {
    /// The default in its help, as a comment.
    Default,
    /// This, as a comment.
    Example(&'static str),
    /// This, in force.
    InForce(&'static str),
    /// These lines, which begin with the name of a table.
    Table(&'static str),
}

/// Reads one value of a file.
pub(crate) fn read<'de, F: Field, M: MapAccess<'de>>(map: &mut M) -> Result<F, M::Error> {
    struct Seed<F>(PhantomData<F>);

    impl<'de, F: Field> DeserializeSeed<'de> for Seed<F> {
        type Value = F;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<F, D::Error> {
            F::read(deserializer)
        }
    }

    map.next_value_seed(Seed(PhantomData))
}
