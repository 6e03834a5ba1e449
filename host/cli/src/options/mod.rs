//! The other forms of command-line options: keys of a configuration file, rows of `config check`, lines of the sample
//! file, and the comparison with previous values. An option is written once, as a field of a struct that clap reads;
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

/// A group of options: each field of the struct is an option, or a group.
pub(crate) trait Options: Sized {
    /// The keys of configuration files that set them.
    fn keys() -> Vec<&'static str>;

    /// Parses the value of a key; returns whether an option here has that key.
    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error>;

    /// Adds the options of a file in the folder `base`: the command line overrides them, and lists are combined.
    fn merge(&mut self, file: Self, base: &Path);

    /// The keys of options whose values differ in `other`.
    fn changed(&self, other: &Self) -> Vec<&'static str>;

    /// Their values for people.
    fn rows(&self) -> Vec<Row>;
}

/// One option, for display.
pub(crate) struct Row {
    /// Its name on the command line, without `--`.
    pub(crate) option: &'static str,
    /// Its key in a file.
    pub(crate) key: &'static str,
    /// Its values; none if it is not set.
    pub(crate) values: Vec<String>,
    /// What is shown if it is not set, if that is neither the default in its help nor "none".
    pub(crate) unset: Option<&'static str>,
    /// Its part of the sample file.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes the sample file"))]
    pub(crate) sample: Sample,
    /// Converts a default from the help to the form of `values`.
    pub(crate) default_shown: fn(&str) -> String,
}

/// An option's part of the sample file, in TOML.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "a test makes the sample file"))]
pub(crate) enum Sample {
    /// The default in its help, as a comment.
    Default,
    /// This, as a comment.
    Example(&'static str),
    /// This, not commented out.
    InForce(&'static str),
    /// These lines, which begin with the name of a table.
    Table(&'static str),
}

/// Parses one value of a file.
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
