//! Messages of protocol buffers, written field by field.
//!
//! It is apart from the messages themselves: those of remote write and those of native histograms are written with it.

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// How a field's value is laid out.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
}

impl Message {
    fn key(&mut self, field: u32, wire: Wire) {
        varint(&mut self.0, u64::from(field << 3 | wire as u32));
    }

    /// A field of `uint64`, `uint32`, `int64` or an enum.
    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Varint);
        varint(&mut self.0, value);
    }

    /// A field of `sint32` or `sint64`.
    pub(crate) fn sint(&mut self, field: u32, value: i64) {
        self.uint(field, zigzag(value));
    }

    /// A field of `double`.
    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.key(field, Wire::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A field of `string` or `bytes`.
    pub(crate) fn text(&mut self, field: u32, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.key(field, Wire::Length);
        varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A field that is a message.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut message = Message::default();
        write(&mut message);
        self.text(field, message.0);
    }

    /// A field of many `sint64`, one after another.
    pub(crate) fn packed_sints(&mut self, field: u32, values: impl IntoIterator<Item = i64>) {
        let mut packed = Vec::new();
        values.into_iter().for_each(|value| varint(&mut packed, zigzag(value)));
        self.text(field, packed);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Adds the message to others, its length before it.
    pub(crate) fn delimited(self, bytes: &mut Vec<u8>) {
        varint(bytes, self.0.len() as u64);
        bytes.extend(self.0);
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_specification_has_them() {
        let mut message = Message::default();
        // The specification's own examples.
        message.uint(1, 150);
        message.text(2, "testing");
        message.message(3, |inner| inner.uint(1, 150));
        assert_eq!(
            message.into_bytes(),
            [0x08, 0x96, 0x01, 0x12, 0x07, b't', b'e', b's', b't', b'i', b'n', b'g', 0x1a, 0x03, 0x08, 0x96, 0x01]
        );
        let rows = [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)];
        for (value, written) in rows {
            assert_eq!(zigzag(value), written);
        }
        let mut message = Message::default();
        message.double(1, 1.0);
        message.packed_sints(2, [1, -1]);
        assert_eq!(message.into_bytes(), [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x12, 2, 2, 1]);
    }
}
