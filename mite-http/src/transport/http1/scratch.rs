//! What the connections of a worker read into and write from.
//! It is separate from the connections because they have it in turn: an idle one holds no buffer, and there may be thousands.

use std::cell::RefCell;

/// How much is read at once.
const INPUT: usize = 64 << 10;

/// Buffers that are lent for one read or one write.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    input: RefCell<Vec<u8>>,
    output: RefCell<Vec<u8>>,
}

impl Scratch {
    /// Lends what is read into.
    pub(super) fn reading<T>(&self, read: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut input = self.input.borrow_mut();
        if input.is_empty() {
            input.resize(INPUT, 0);
        }
        read(&mut input)
    }

    /// Lends what is written from, with nothing in it.
    pub(super) fn writing<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut output = self.output.borrow_mut();
        output.clear();
        write(&mut output)
    }
}
