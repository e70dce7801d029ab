//! What extensions keep with a journey or a worker: one value of each type.

use std::any::{Any, TypeId};
use std::rc::Rc;

/// Values by their type.
#[derive(Default)]
pub(crate) struct Extensions(Vec<(TypeId, Rc<dyn Any>)>);

impl Extensions {
    pub(crate) fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let (_, value) = self.0.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Rc::clone(value).downcast().ok()
    }

    pub(crate) fn set<T: 'static>(&mut self, value: Option<Rc<T>>) -> Option<Rc<T>> {
        let before =
            self.0.iter().position(|(id, _)| *id == TypeId::of::<T>()).map(|index| self.0.swap_remove(index).1);
        if let Some(value) = value {
            self.0.push((TypeId::of::<T>(), value));
        }
        before.and_then(|before| before.downcast().ok())
    }
}
