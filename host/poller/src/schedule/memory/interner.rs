//! Names that many share, kept once.

use std::collections::HashMap;
use std::hash::Hash;

use super::slab::Slab;

/// Each name has a number as long as somebody uses it.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    names: Slab<(T, u32)>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { names: Slab::default(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of a name, which has one more user now.
    pub(crate) fn take(&mut self, name: &T) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            self.names[*number].1 += 1;
            return *number;
        }
        let number = self.names.insert((name.clone(), 1));
        self.numbers.insert(name.clone(), number);
        number
    }

    /// The name has one user less.
    pub(crate) fn give_back(&mut self, number: u32) {
        let (name, users) = &mut self.names[number];
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(name);
            self.names.remove(number);
        }
    }

    /// The number of a name that is in use.
    pub(crate) fn number(&self, name: &T) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of a number that is in use.
    pub(crate) fn name(&self, number: u32) -> &T {
        &self.names[number].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_as_long_as_it_is_used() {
        let mut names = Interner::default();
        let numbers = ["a", "b", "a"].map(|name| names.take(&name));
        assert_eq!((numbers[0], names.name(numbers[1])), (numbers[2], &"b"));
        names.give_back(numbers[0]);
        assert_eq!(names.number(&"a"), Some(numbers[0]));
        names.give_back(numbers[0]);
        assert_eq!(names.number(&"a"), None);
        assert_eq!((names.take(&"c"), names.names.len()), (numbers[0], 2));
    }
}
