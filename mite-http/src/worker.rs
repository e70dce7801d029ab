//! What all sessions of a worker share, whatever their settings.
//! It is separate from the clients because each of them has a hand on it.

use std::rc::Rc;

use crate::{deadlines::Deadlines, target::Sites, transport::Scratch};

#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) sites: Sites,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) scratch: Rc<Scratch>,
}
