//! Standard output: who reads it may go before the end, as `head` does, and that is no fault.
//!
//! It is apart from what is printed, so that a pipe that is closed is met in one place.

use std::io::{self, ErrorKind, Write};

use crate::fault::Fault;

/// Writes to standard output, buffered.
pub(crate) fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Fault> {
    let mut stdout = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    told(write(&mut stdout).and_then(|()| stdout.flush()))
}

pub(crate) fn print(text: &str) -> Result<(), Fault> {
    write(|stdout| stdout.write_all(text.as_bytes()))
}

/// What came of writing to standard output.
pub(crate) fn told(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::Failed(format!("failed to write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
