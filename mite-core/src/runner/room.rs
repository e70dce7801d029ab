//! How many journeys may be under way at once, and since when there has been room for one more.
//!
//! It is apart from the [worker's state](super::state), which has such a limit for each row and one for all of them.

use std::cell::Cell;

/// The room of one worker.
#[derive(Debug)]
pub(super) struct Room {
    limit: Limit,
    /// This worker's part of the limit, as things stand.
    most: Cell<u64>,
    taken: Cell<u64>,
    since: Cell<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    /// So many on this worker.
    Own,
    /// So many on all workers together, of all processes.
    Shared(u64),
}

impl Room {
    /// Room for so many on this worker.
    pub(super) fn own(most: u64) -> Self {
        Self { limit: Limit::Own, most: Cell::new(most), taken: Cell::new(0), since: Cell::new(0) }
    }

    /// Room for so many on all workers together. This one has none of it before [`Room::resize`].
    pub(super) fn shared(most: u64) -> Self {
        Self { limit: Limit::Shared(most), ..Self::own(0) }
    }

    /// There is no limit.
    pub(super) fn endless() -> Self {
        Self::own(u64::MAX)
    }

    pub(super) fn is_endless(&self) -> bool {
        self.most.get() == u64::MAX
    }

    /// From `now` on this worker has this part of what is shared, and room for one at least. What is under way stays.
    pub(super) fn resize(&self, now: u64, part: impl FnOnce(u64) -> u64) {
        let Limit::Shared(all) = self.limit else { return };
        let was_full = self.is_full();
        self.most.set(part(all).max(1));
        if was_full && !self.is_full() {
            self.since.set(now);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken.get() >= self.most.get()
    }

    /// How many are under way.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// When a start last had to wait for room and got it, in nanoseconds since the start of the run.
    pub(super) fn since(&self) -> u64 {
        self.since.get()
    }

    /// One more is under way.
    pub(super) fn take(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    /// One has ended, and says how many are left.
    pub(super) fn leave(&self, now: impl FnOnce() -> u64) -> u64 {
        let before = self.taken.get();
        self.taken.set(before - 1);
        if before == self.most.get() {
            self.since.set(now());
        }
        before - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_there_since_one_has_left_or_the_part_has_grown() {
        let room = Room::shared(10);
        assert!(room.is_full());
        room.resize(3, |all| all / 5);
        assert_eq!((room.is_full(), room.since()), (false, 3));
        room.take();
        room.take();
        assert!(room.is_full());
        // One is too many now: its end makes no room.
        room.resize(4, |all| all / 10);
        assert_eq!(room.leave(|| 5), 1);
        assert_eq!((room.is_full(), room.since()), (true, 3));
        room.resize(6, |all| all / 5);
        assert_eq!((room.is_full(), room.since()), (false, 6));
        room.take();
        assert_eq!(room.leave(|| 7), 1);
        assert_eq!((room.is_full(), room.since()), (false, 7));
        // Nobody is left without any.
        room.resize(8, |_| 0);
        assert_eq!((room.leave(|| 9), room.is_full(), room.since()), (0, false, 9));
    }

    #[test]
    fn what_is_not_shared_stays() {
        let room = Room::own(1);
        room.resize(1, |_| 7);
        room.take();
        assert!(room.is_full() && !room.is_endless());
        assert!(Room::endless().is_endless() && !Room::endless().is_full());
    }
}
