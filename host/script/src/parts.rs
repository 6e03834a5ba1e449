//! What belongs to one engine, found by its type: who keeps something knows its type, and nobody else has to.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

/// One value of each type. There are a few, so they are searched in turn.
#[derive(Default)]
pub(crate) struct Parts(RefCell<Vec<Rc<dyn Any>>>);

impl Parts {
    /// The value of this type. The first time it is the type's default.
    pub(crate) fn get<T: Default + 'static>(&self) -> Rc<T> {
        let mut parts = self.0.borrow_mut();
        let known = parts.iter().find(|part| part.is::<T>()).cloned().and_then(|part| part.downcast().ok());
        known.unwrap_or_else(|| {
            let part = Rc::<T>::default();
            parts.push(part.clone());
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_type_has_one_value_which_is_kept() {
        let parts = Parts::default();
        parts.get::<Cell<u8>>().set(1);
        parts.get::<Cell<u16>>().set(2);
        assert_eq!((parts.get::<Cell<u8>>().get(), parts.get::<Cell<u16>>().get()), (1, 2));
        assert_eq!(Parts::default().get::<Cell<u8>>().get(), 0);
    }
}
