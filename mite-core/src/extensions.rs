//! What extensions keep with a journey or a worker: one value of each type.
//!
//! It is apart from the context, so that core knows no extension by its name.

use std::any::Any;
use std::rc::Rc;

/// Values by their type.
///
/// Most journeys have one, which takes no memory besides.
pub(crate) enum Extensions {
    One(Rc<dyn Any>),
    /// Or none.
    Several(Vec<Rc<dyn Any>>),
}

impl Default for Extensions {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Extensions {
    pub(crate) fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let all = match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        };
        Rc::clone(all.iter().find(|value| (***value).is::<T>())?).downcast().ok()
    }

    pub(crate) fn set<T: 'static>(&mut self, value: Option<Rc<T>>) -> Option<Rc<T>> {
        let before = self.remove::<T>();
        if let Some(value) = value {
            *self = match std::mem::take(self) {
                Self::One(other) => Self::Several(vec![other, value]),
                Self::Several(none) if none.is_empty() => Self::One(value),
                Self::Several(mut others) => {
                    others.push(value);
                    Self::Several(others)
                }
            };
        }
        before
    }

    fn remove<T: 'static>(&mut self) -> Option<Rc<T>> {
        let removed = match self {
            Self::One(value) if (**value).is::<T>() => match std::mem::take(self) {
                Self::One(value) => value,
                Self::Several(_) => return None,
            },
            Self::One(_) => return None,
            Self::Several(values) => {
                let index = values.iter().position(|value| (**value).is::<T>())?;
                values.swap_remove(index)
            }
        };
        removed.downcast().ok()
    }
}
