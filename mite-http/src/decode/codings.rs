//! The content codings of HTTP (RFC 9110, 8878, 7932), each as a machine that is given bytes and room.
//! They are separate from the bodies that they are applied to: the libraries below are called here and nowhere else.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// Why bytes are not what their coding says.
#[derive(Debug)]
pub(crate) struct Corrupt(pub(crate) String);

impl Corrupt {
    fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// How far a step has come: bytes of input used, bytes of output made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) read: usize,
    pub(crate) written: usize,
}

/// A coding that is being undone.
pub(crate) trait Coding {
    /// Reads from `input` and writes to `output`, which is not empty, what it can. It has stopped for want of input only
    /// when it has used all of it and written less than there was room for.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt>;

    /// Whether the input may end here.
    fn is_complete(&self) -> bool;
}

/// Reads and writes until one of both is at its end, or the data.
fn inflate(inflater: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(Step, bool), Corrupt> {
    let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
    let status = inflater
        .decompress(input, output, FlushDecompress::None)
        .map_err(|error| Corrupt(format!("its deflated data: {error}")))?;
    let step = Step {
        read: (inflater.total_in() - before_in) as usize,
        written: (inflater.total_out() - before_out) as usize,
    };
    Ok((step, status == Status::StreamEnd))
}

/// `deflate`: what the standard says is zlib's format, and what some servers send is bare.
pub(crate) struct Deflate {
    inflater: Option<Decompress>,
    /// The first byte, while the second decides what it is.
    first: Option<u8>,
    ended: bool,
}

impl Deflate {
    pub(crate) fn new() -> Self {
        Self { inflater: None, first: None, ended: false }
    }

    /// Takes the first byte aside and knows by the second which of the formats this is.
    fn begin(&mut self, input: &[u8]) -> Result<Step, Corrupt> {
        let (first, second, read) = match (self.first, input) {
            (_, []) => return Ok(Step::default()),
            (None, [first]) => {
                self.first = Some(*first);
                return Ok(Step { read: 1, written: 0 });
            }
            (None, [first, second, ..]) => (*first, *second, 1),
            (Some(first), [second, ..]) => (first, *second, 0),
        };
        let is_zlib = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
        let inflater = self.inflater.insert(Decompress::new(is_zlib));
        // One byte of either format makes no output yet.
        inflate(inflater, &[first], &mut [0; 1])?;
        Ok(Step { read, written: 0 })
    }
}

impl Coding for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
        if self.ended {
            return nothing_after(input);
        }
        let begun = if self.inflater.is_none() { self.begin(input)? } else { Step::default() };
        let Some(inflater) = &mut self.inflater else { return Ok(begun) };
        let (step, ended) = inflate(inflater, &input[begun.read..], output)?;
        self.ended = ended;
        Ok(Step { read: begun.read + step.read, written: step.written })
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}

fn nothing_after(input: &[u8]) -> Result<Step, Corrupt> {
    if input.is_empty() { Ok(Step::default()) } else { Err(Corrupt::new("there are bytes after its end")) }
}

/// `gzip`: members one after the other, each with a header and a footer around deflated data (RFC 1952).
pub(crate) struct Gzip {
    place: Place,
    flags: u8,
    footer: [u8; GZIP_FOOTER],
    inflater: Decompress,
    crc: Crc,
}

/// What the next byte of a member belongs to, and how many bytes of that have come or, of the extra field, are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Fixed(usize),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(usize),
    Data,
    Footer(usize),
}

const GZIP_FOOTER: usize = 8;

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

impl Gzip {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Fixed(0),
            flags: 0,
            footer: [0; GZIP_FOOTER],
            inflater: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    /// Takes a byte of a header or a footer, and answers what comes then.
    fn take(&mut self, byte: u8) -> Result<Place, Corrupt> {
        Ok(match self.place {
            Place::Fixed(at) => {
                let right = match at {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    // Deflate, the one method there is.
                    2 => byte == 8,
                    3 => byte & RESERVED == 0,
                    _ => true,
                };
                if !right {
                    return Err(Corrupt::new("it has no header of gzip"));
                }
                match at {
                    3 => {
                        self.flags = byte;
                        Place::Fixed(4)
                    }
                    9 => self.optional(&[HAS_EXTRA, HAS_NAME, HAS_COMMENT, HAS_HEADER_CRC]),
                    _ => Place::Fixed(at + 1),
                }
            }
            Place::ExtraLength(None) => Place::ExtraLength(Some(byte)),
            Place::ExtraLength(Some(low)) => self.extra(u16::from_le_bytes([low, byte])),
            Place::Extra(left) => self.extra(left - 1),
            Place::Name if byte == 0 => self.optional(&[HAS_COMMENT, HAS_HEADER_CRC]),
            Place::Comment if byte == 0 => self.optional(&[HAS_HEADER_CRC]),
            Place::HeaderCrc(0) => Place::HeaderCrc(1),
            Place::HeaderCrc(_) => Place::Data,
            Place::Footer(at) => {
                self.footer[at] = byte;
                if at + 1 < GZIP_FOOTER { Place::Footer(at + 1) } else { self.next_member()? }
            }
            Place::Name | Place::Comment | Place::Data => self.place,
        })
    }

    fn extra(&self, left: u16) -> Place {
        if left > 0 { Place::Extra(left) } else { self.optional(&[HAS_NAME, HAS_COMMENT, HAS_HEADER_CRC]) }
    }

    /// The first of these parts of a header that this one has.
    fn optional(&self, parts: &[u8]) -> Place {
        match parts.iter().find(|part| self.flags & **part != 0) {
            Some(&HAS_EXTRA) => Place::ExtraLength(None),
            Some(&HAS_NAME) => Place::Name,
            Some(&HAS_COMMENT) => Place::Comment,
            Some(_) => Place::HeaderCrc(0),
            None => Place::Data,
        }
    }

    fn next_member(&mut self) -> Result<Place, Corrupt> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = self.footer;
        let footer = (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([l0, l1, l2, l3]));
        if footer != (self.crc.sum(), self.crc.amount()) {
            return Err(Corrupt::new("its checksum is wrong"));
        }
        self.inflater.reset(false);
        self.crc.reset();
        Ok(Place::Fixed(0))
    }
}

impl Coding for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
        let mut done = Step::default();
        loop {
            if self.place == Place::Data {
                let room = &mut output[done.written..];
                let (step, ended) = inflate(&mut self.inflater, &input[done.read..], room)?;
                self.crc.update(&room[..step.written]);
                done.read += step.read;
                done.written += step.written;
                if !ended {
                    return Ok(done);
                }
                self.place = Place::Footer(0);
            }
            let Some(byte) = input.get(done.read) else { return Ok(done) };
            self.place = self.take(*byte)?;
            done.read += 1;
        }
    }

    fn is_complete(&self) -> bool {
        self.place == Place::Fixed(0)
    }
}

/// `br`.
pub(crate) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    total: usize,
    ended: bool,
}

impl Brotli {
    pub(crate) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: Box::new(BrotliState::new(alloc(), alloc(), alloc())), total: 0, ended: false }
    }
}

impl Coding for Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
        if self.ended {
            return nothing_after(input);
        }
        let mut done = Step::default();
        let (mut unread, mut room) = (input.len(), output.len());
        let result = BrotliDecompressStream(
            &mut unread,
            &mut done.read,
            input,
            &mut room,
            &mut done.written,
            output,
            &mut self.total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultFailure => return Err(Corrupt::new("its data makes no sense")),
        }
        Ok(done)
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}

/// `zstd`: frames one after the other.
pub(crate) struct Zstd {
    context: DCtx<'static>,
    in_frame: bool,
}

/// What a server may ask a client to keep: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

impl Zstd {
    pub(crate) fn new() -> Result<Self, Corrupt> {
        let mut context = DCtx::create();
        context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(zstd_error)?;
        Ok(Self { context, in_frame: false })
    }
}

impl Coding for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Corrupt> {
        if input.is_empty() && !self.in_frame {
            return Ok(Step::default());
        }
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(output);
        let wanted = self.context.decompress_stream(&mut to, &mut from).map_err(zstd_error)?;
        self.in_frame = wanted > 0;
        Ok(Step { read: from.pos(), written: to.pos() })
    }

    fn is_complete(&self) -> bool {
        !self.in_frame
    }
}

fn zstd_error(code: zstd_safe::ErrorCode) -> Corrupt {
    Corrupt::new(zstd_safe::get_error_name(code))
}
