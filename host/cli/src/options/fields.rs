//! The fields of options: one value that may be missing, a list, or a switch.

use std::path::Path;

use serde::{Deserialize, Deserializer};

/// One value, in the form of a file.
pub(crate) trait Value: Sized + PartialEq {
    /// Parses it.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// A path of a file is relative to the file's folder.
    fn below(self, _base: &Path) -> Self {
        self
    }

    /// For people.
    fn shown(&self) -> String;

    /// The same for a default from the help.
    fn default_shown(text: &str) -> String {
        text.to_owned()
    }
}

/// One of several values: in a file they are a list, or a table by name.
pub(crate) trait Listed: Sized + PartialEq {
    /// Parses all of them.
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error>;

    /// Adds those of a file in the folder `base` to those of the command line.
    fn merge_all(own: &mut Vec<Self>, file: Vec<Self>, base: &Path);

    /// For people.
    fn line(&self) -> String;
}

/// Lists are combined, unless a type overrides it.
impl<T: Value> Listed for T {
    fn read_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        struct Read<T>(T);

        impl<'de, T: Value> Deserialize<'de> for Read<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                T::read(deserializer).map(Self)
            }
        }

        Ok(Vec::<Read<Self>>::deserialize(deserializer)?.into_iter().map(|read| read.0).collect())
    }

    fn merge_all(own: &mut Vec<Self>, file: Vec<Self>, base: &Path) {
        own.extend(file.into_iter().map(|value| value.below(base)));
    }

    fn line(&self) -> String {
        self.shown()
    }
}

/// A field.
pub(crate) trait Field: PartialEq + Sized {
    /// Parses it from a file.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Adds the value from a file in the folder `base`.
    fn merge(&mut self, file: Self, base: &Path);

    /// Its values for people; none if it is not set.
    fn shown(&self) -> Vec<String>;

    /// A default from the help, in the same form.
    fn default_shown(text: &str) -> String {
        text.to_owned()
    }
}

impl<T: Value> Field for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }

    fn merge(&mut self, file: Self, base: &Path) {
        if self.is_none() {
            *self = file.map(|value| value.below(base));
        }
    }

    fn shown(&self) -> Vec<String> {
        self.iter().map(T::shown).collect()
    }

    fn default_shown(text: &str) -> String {
        T::default_shown(text)
    }
}

impl<T: Listed> Field for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read_all(deserializer)
    }

    fn merge(&mut self, file: Self, base: &Path) {
        T::merge_all(self, file, base);
    }

    fn shown(&self) -> Vec<String> {
        self.iter().map(T::line).collect()
    }
}

impl Field for bool {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer)
    }

    fn merge(&mut self, file: Self, _base: &Path) {
        *self |= file;
    }

    fn shown(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}
