//! What every section needs: what was asked for, the machine, and where programs are.
//! It is separate because it is made once.

use mite::prelude::*;

use crate::{machine::Machine, options::Options, programs::Programs, server::Server};

/// See the module.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) machine: Machine,
    pub(crate) programs: Programs,
}

impl Bench {
    pub(crate) fn new(options: Options) -> Result<Self> {
        Ok(Self { options, machine: Machine::found()?, programs: Programs::new()? })
    }

    /// A server with one worker, on the server's core.
    pub(crate) fn server(&self) -> Result<Server> {
        Server::start(&self.programs, &[self.machine.for_server()])
    }

    /// Tells what is being done, unless only the tables are wanted.
    pub(crate) fn tell(&self, what: &str) {
        if !self.options.quiet {
            eprintln!("   {what}");
        }
    }
}
