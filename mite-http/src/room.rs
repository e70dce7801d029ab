//! How many connections one server may have, and the requests that wait for room.
//! It is separate from the origin because a connection gives its seat back wherever it is dropped, after the origin too.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use tokio::sync::oneshot;

/// The connections that one server may have.
#[derive(Debug)]
pub(crate) struct Room {
    seats: usize,
    taken: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

/// The right to hold one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Rc<Room>);

impl Room {
    pub(crate) fn new(seats: usize) -> Rc<Self> {
        Rc::new(Self { seats, taken: Cell::new(0), waiting: RefCell::default() })
    }

    /// A seat, if one is free.
    pub(crate) fn seat(self: &Rc<Self>) -> Option<Seat> {
        if self.taken.get() >= self.seats {
            return None;
        }
        self.taken.set(self.taken.get() + 1);
        Some(Seat(Rc::clone(self)))
    }

    /// Whether there is a queue, in which a newcomer is the last.
    pub(crate) fn has_queue(&self) -> bool {
        self.waiting.borrow().iter().any(|call| !call.is_closed())
    }

    /// Waits until it is this request's turn to look again: at the end of the queue, or, having had a turn in vain, at its
    /// front.
    pub(crate) async fn wait(self: &Rc<Self>, in_vain: Option<Turn>) -> Turn {
        let (call, called) = oneshot::channel();
        if let Some(turn) = in_vain {
            // Nobody else could do more with it.
            turn.keep();
            self.waiting.borrow_mut().push_front(call);
        } else {
            self.waiting.borrow_mut().push_back(call);
        }
        Waiting { called, room: Rc::clone(self) }.turn().await
    }

    /// Something changed that the next in the queue may have waited for.
    pub(crate) fn call_next(&self) {
        // Whoever has stopped waiting cannot be called.
        while let Some(next) = self.waiting.borrow_mut().pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
    }
}

impl Seat {
    /// See [`Room::call_next`].
    #[cfg(feature = "http2")]
    pub(crate) fn call_next(&self) {
        self.0.call_next();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.call_next();
    }
}

/// A request's turn, which goes to the next one when it is dropped: there may be room for that one too.
#[derive(Debug)]
pub(crate) struct Turn(Option<Rc<Room>>);

impl Turn {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(room) = &self.0 {
            room.call_next();
        }
    }
}

/// A place in the queue.
struct Waiting {
    called: oneshot::Receiver<()>,
    room: Rc<Room>,
}

impl Waiting {
    async fn turn(mut self) -> Turn {
        // The room, which this holds, never drops a sender without calling.
        let _ = (&mut self.called).await;
        Turn(Some(Rc::clone(&self.room)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Called, and dropped before it could answer: the turn must not be lost.
        if self.called.try_recv().is_ok() {
            self.room.call_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn there_are_as_many_seats_as_was_said() {
        let room = Room::new(2);
        let first = room.seat().unwrap();
        let _second = room.seat().unwrap();
        assert!(room.seat().is_none());
        drop(first);
        assert!(room.seat().is_some());
    }

    #[test]
    fn the_first_to_wait_is_the_first_to_be_called() {
        let room = Room::new(1);
        let seat = room.seat().unwrap();
        let mut first = pin!(room.wait(None));
        let mut second = pin!(room.wait(None));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());

        drop(seat);
        assert!(poll(second.as_mut()).is_pending());
        let Poll::Ready(turn) = poll(first.as_mut()) else { panic!("the first was not called") };

        // A turn in vain keeps its place before the second.
        let mut again = pin!(room.wait(Some(turn)));
        assert!(poll(again.as_mut()).is_pending());
        room.call_next();
        assert!(poll(second.as_mut()).is_pending());
        let Poll::Ready(turn) = poll(again.as_mut()) else { panic!("the first was not called again") };

        // One that was used is passed on.
        drop(turn);
        assert!(poll(second.as_mut()).is_ready());
    }

    #[test]
    fn a_turn_is_not_lost_with_the_request_that_it_was_given_to() {
        let room = Room::new(1);
        let mut last = pin!(room.wait(None));
        {
            let mut cancelled = pin!(room.wait(None));
            assert!(poll(cancelled.as_mut()).is_pending());
            assert!(poll(last.as_mut()).is_pending());
            room.call_next();
        }
        assert!(poll(last.as_mut()).is_ready());

        let mut last = pin!(room.wait(None));
        {
            let mut gone = pin!(room.wait(None));
            assert!(poll(gone.as_mut()).is_pending());
        }
        assert!(poll(last.as_mut()).is_pending());
        room.call_next();
        assert!(poll(last.as_mut()).is_ready());
        assert!(!room.has_queue());
    }
}
