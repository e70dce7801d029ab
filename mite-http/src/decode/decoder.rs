//! The codings of one body, each fed by the one before it.
//! It is separate from the codings themselves, which know of neither headers nor each other.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_ENCODING};

use super::{
    Decoded,
    codings::{Brotli, Coding, Corrupt, Deflate, Gzip, Zstd},
};
use crate::error::{Class, Fault};

/// How much is decoded at once.
const PIECE: usize = 16 * 1024;
/// More codings than a server has reason for would be a way to take memory.
const MAX_CODINGS: usize = 5;

/// Undoes what a server has done to a body.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// As the header has them, the first applied first.
    names: Vec<String>,
    /// The first undone first; made with the first byte, since a body without any has no coding to be wrong.
    stages: Option<Vec<Stage>>,
    fed: Bytes,
    ended: bool,
}

struct Stage {
    name: String,
    coding: Box<dyn Coding>,
    input: Bytes,
    /// Bytes that have come in.
    taken: u64,
    output: Box<[u8]>,
}

impl Decoder {
    /// A decoder of the codings that these headers name, if they name any.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let names: Vec<String> = values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
            .filter(|name| !matches!(name.as_str(), "" | "identity"))
            .collect();
        (!names.is_empty()).then(|| Self { names, stages: None, fed: Bytes::new(), ended: false })
    }

    /// Takes the next bytes of the body. Only for one that is hungry.
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        self.fed = bytes;
    }

    /// The body has ended.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The next of what is decoded.
    pub(crate) fn next(&mut self) -> Result<Decoded, Fault> {
        let stages = match &mut self.stages {
            Some(stages) => stages,
            None if self.fed.is_empty() => return Ok(if self.ended { Decoded::End } else { Decoded::Hungry }),
            None => self.stages.insert(stages(&self.names)?),
        };
        let Self { fed, ended, .. } = self;
        pull(stages, &mut || match std::mem::take(fed) {
            bytes if !bytes.is_empty() => Decoded::Bytes(bytes),
            _ if *ended => Decoded::End,
            _ => Decoded::Hungry,
        })
    }
}

fn stages(names: &[String]) -> Result<Vec<Stage>, Fault> {
    if names.len() > MAX_CODINGS {
        let what = format!("failed to decode the body: it has {} codings, and {MAX_CODINGS} are allowed", names.len());
        return Err(Fault::new(Class::Decode, what));
    }
    names.iter().rev().map(|name| Stage::of(name)).collect()
}

/// What the last of these stages has to give, where the first takes from `source`.
fn pull(stages: &mut [Stage], source: &mut dyn FnMut() -> Decoded) -> Result<Decoded, Fault> {
    let Some((stage, before)) = stages.split_last_mut() else { return Ok(source()) };
    loop {
        // It may have kept back what there was no room for, so that it is asked even without input.
        if let Some(bytes) = stage.decode()? {
            return Ok(Decoded::Bytes(bytes));
        }
        match pull(before, source)? {
            Decoded::Bytes(bytes) => {
                stage.taken += bytes.len() as u64;
                stage.input = bytes;
            }
            Decoded::Hungry => return Ok(Decoded::Hungry),
            Decoded::End if stage.coding.is_complete() => return Ok(Decoded::End),
            Decoded::End => return Err(stage.failed(format!("it breaks off after {} bytes", stage.taken))),
        }
    }
}

impl Stage {
    fn of(name: &str) -> Result<Self, Fault> {
        let coding: Box<dyn Coding> = match name {
            "gzip" | "x-gzip" => Box::new(Gzip::new()),
            "deflate" => Box::new(Deflate::new()),
            "br" => Box::new(Brotli::new()),
            "zstd" => Box::new(Zstd::new().map_err(|error| failed(name, error))?),
            _ => {
                let what = format!("failed to decode the body: its coding `{name}` is not known");
                return Err(Fault::new(Class::Decode, what));
            }
        };
        let output = vec![0; PIECE].into_boxed_slice();
        Ok(Self { name: name.to_owned(), coding, input: Bytes::new(), taken: 0, output })
    }

    /// Decodes until there is something, or the input is used up.
    fn decode(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let step = self.coding.step(&self.input, &mut self.output).map_err(|Corrupt(why)| self.failed(why))?;
            self.input = self.input.slice(step.read..);
            if step.written > 0 {
                return Ok(Some(Bytes::copy_from_slice(&self.output[..step.written])));
            }
            if self.input.is_empty() {
                return Ok(None);
            }
            if step.read == 0 {
                return Err(self.failed("it makes no sense"));
            }
        }
    }

    fn failed(&self, why: impl Into<String>) -> Fault {
        failed(&self.name, Corrupt(why.into()))
    }
}

fn failed(name: &str, Corrupt(why): Corrupt) -> Fault {
    Fault::new(Class::Decode, format!("failed to decode the body as {name}")).because(why)
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).field("taken", &self.taken).finish_non_exhaustive()
    }
}
