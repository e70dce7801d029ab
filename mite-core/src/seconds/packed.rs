//! The seconds that all workers have told, in as few bytes as they can be told in: a run of hours keeps all of them.
//!
//! How they are kept is known here alone. They are never moved once they are written: a vector that grows leaves the half of its
//! room behind with the allocator, each time that it doubles.

use crate::report::{SecondQuantiles, SecondRow};

/// So many seconds are written one after the other; to read one, those of its block before it are read.
const BLOCK: usize = 32;
/// Bits of a number in each byte: the highest one says that there are more.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// Seconds, one after the other, from the first.
#[derive(Debug)]
pub(super) struct Packed {
    /// How many rows each second has.
    rows: usize,
    seconds: usize,
    /// Full ones.
    blocks: Vec<Box<[u8]>>,
    last: Vec<u8>,
}

/// One second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) rows: Vec<SecondRow>,
    /// Of all rows.
    pub(super) response_time: SecondQuantiles,
    /// Requests and errors.
    pub(super) besides: [u64; 2],
}

impl Packed {
    /// For so many rows in each second.
    pub(super) fn new(rows: usize) -> Self {
        Self { rows, seconds: 0, blocks: Vec::new(), last: Vec::new() }
    }

    /// How many seconds there are.
    pub(super) fn len(&self) -> usize {
        self.seconds
    }

    /// Adds the next second. Of each row the number is its place, and of all times the count is how many completed.
    pub(super) fn push(&mut self, rows: &[SecondRow], all_rows: SecondQuantiles, besides: [u64; 2]) {
        for SecondRow { planned, started, completed, failed, running, response_time, .. } in rows {
            for number in [planned, started, completed, failed, running] {
                write(&mut self.last, *number);
            }
            write_times(&mut self.last, *response_time);
        }
        // Those of the only row are those of all.
        if self.rows != 1 {
            write_times(&mut self.last, all_rows);
        }
        for number in besides {
            write(&mut self.last, number);
        }
        self.seconds += 1;
        if self.seconds.is_multiple_of(BLOCK) {
            // The next one has room already, for as much and a little more.
            let next = Vec::with_capacity(self.last.len() + self.last.len() / 8);
            self.blocks.push(std::mem::replace(&mut self.last, next).into_boxed_slice());
        }
    }

    /// One second, if there is one of that number.
    pub(super) fn get(&self, second: usize) -> Option<Whole> {
        self.block(second / BLOCK).nth(second % BLOCK)
    }

    /// All seconds.
    pub(super) fn iter(&self) -> impl Iterator<Item = Whole> {
        (0..=self.blocks.len()).flat_map(|block| self.block(block))
    }

    fn block(&self, number: usize) -> impl Iterator<Item = Whole> {
        let mut bytes = match self.blocks.get(number) {
            Some(block) => block,
            None if number == self.blocks.len() => &self.last[..],
            None => &[],
        };
        let seconds = self.seconds.saturating_sub(number * BLOCK).min(BLOCK);
        (0..seconds).map(move |_| read_second(&mut bytes, self.rows))
    }
}

fn write_times(bytes: &mut Vec<u8>, SecondQuantiles { p50, p95, p99, max, .. }: SecondQuantiles) {
    for micros in [p50, p95, p99, max] {
        write(bytes, micros);
    }
}

/// Seven bits to a byte, the lowest first (LEB128): counts and times of a second take two bytes for the most part.
fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        bytes.push(number as u8 | MORE);
        number >>= BITS;
    }
    bytes.push(number as u8);
}

fn read_second(bytes: &mut &[u8], rows: usize) -> Whole {
    let row = |index| {
        let [planned, started, completed, failed, running] = std::array::from_fn(|_| read(bytes));
        let response_time = read_times(bytes, completed);
        SecondRow { row: index as u32 + 1, planned, started, completed, failed, running, response_time }
    };
    let rows: Vec<SecondRow> = (0..rows).map(row).collect();
    let response_time = match &rows[..] {
        [only] => only.response_time,
        _ => read_times(bytes, rows.iter().map(|row| row.completed).sum()),
    };
    Whole { rows, response_time, besides: std::array::from_fn(|_| read(bytes)) }
}

fn read_times(bytes: &mut &[u8], count: u64) -> SecondQuantiles {
    let [p50, p95, p99, max] = std::array::from_fn(|_| read(bytes));
    SecondQuantiles { count, p50, p95, p99, max }
}

fn read(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u64::from(byte & !MORE) << shift;
        shift += BITS;
        if *byte < MORE {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        let edges = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        let numbers: Vec<u64> = edges.collect();
        let mut bytes = Vec::new();
        for number in &numbers {
            write(&mut bytes, *number);
        }
        let mut rest = &bytes[..];
        assert!(numbers.iter().all(|number| read(&mut rest) == *number));
        assert!(rest.is_empty());
    }

    /// With no row, one and several, over more than two blocks.
    #[test]
    fn seconds_come_back_as_they_were() {
        for rows in [0, 1, 3] {
            let quantiles =
                |count: u64| SecondQuantiles { count, p50: 2 * count, p95: 3 * count, p99: 40, max: count << 40 };
            let row = |second: u64, row: u64| SecondRow {
                row: row as u32 + 1,
                planned: second * 1000,
                started: second,
                completed: second * row,
                failed: u64::MAX >> (second % 64),
                running: row,
                response_time: quantiles(second * row),
            };
            let whole = |second: u64| {
                let rows: Vec<SecondRow> = (0..rows).map(|number| row(second, number)).collect();
                let response_time = match &rows[..] {
                    [only] => only.response_time,
                    _ => quantiles(rows.iter().map(|row| row.completed).sum()),
                };
                Whole { rows, response_time, besides: [2 * second, second] }
            };
            let mut packed = Packed::new(rows as usize);
            for second in 0..150 {
                assert_eq!((packed.len(), packed.get(second)), (second, None));
                let Whole { rows, response_time, besides } = whole(second as u64);
                packed.push(&rows, response_time, besides);
                assert_eq!(packed.get(second), Some(whole(second as u64)));
            }
            assert_eq!(packed.get(64), Some(whole(64)));
            assert!(packed.iter().eq((0..150).map(whole)), "{rows} rows");
        }
    }

    /// 5 000 starts a second in one row, and ten rows of which nine are idle.
    #[test]
    fn an_hour_takes_what_is_said() {
        let times = SecondQuantiles { count: 5000, p50: 180, p95: 900, p99: 15_000, max: 70_000 };
        let busy = SecondRow {
            planned: 5000,
            started: 5000,
            completed: 4990,
            running: 12,
            response_time: times,
            ..SecondRow::default()
        };
        let bytes = |rows: &[SecondRow]| {
            let mut packed = Packed::new(rows.len());
            (0..3600).for_each(|_| packed.push(rows, times, [5000, 0]));
            packed.last.capacity()
                + packed.blocks.iter().map(|block| block.len() + size_of::<Box<[u8]>>()).sum::<usize>()
        };
        let mut ten = vec![SecondRow::default(); 10];
        let one = bytes(std::slice::from_ref(&busy));
        ten[0] = busy;
        let ten = bytes(&ten);
        assert!(one <= 21 * 3600 && ten <= 113 * 3600, "{one} and {ten} bytes");
    }
}
