//! That limits run out at their times and no others, whatever the order in which requests end.

use std::{cell::Cell, future::pending, pin::pin};

use tokio::{sync::oneshot, task::spawn_local, time::timeout};

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Deadlines {
    fn waiting(&self) -> usize {
        self.lists.borrow().iter().map(|list| list.limits.len()).sum()
    }
}

#[tokio::test(flavor = "local")]
async fn what_is_done_in_time_is_given_and_what_is_not_is_told() {
    let deadlines = Rc::new(Deadlines::default());
    let start = Instant::now();
    assert_eq!(deadlines.within(ms(1), start, pin!(async { 1 })).await, Some(1), "it never waited");
    let (send, receive) = oneshot::channel();
    let waiting = spawn_local({
        let deadlines = Rc::clone(&deadlines);
        async move { deadlines.within(ms(60_000), Instant::now(), pin!(receive)).await }
    });
    let outcome: Option<()> = deadlines.within(ms(20), Instant::now(), pin!(pending())).await;
    assert!(outcome.is_none() && start.elapsed() >= ms(20));
    assert_eq!(deadlines.waiting(), 1);
    send.send(2).unwrap();
    assert_eq!(waiting.await.unwrap(), Some(Ok(2)));
    assert_eq!(deadlines.waiting(), 0);
}

/// Limits of few lengths, given up, done and run out in every order: each that runs out does so after its time, and all do.
#[tokio::test(flavor = "local")]
async fn each_limit_is_its_own() {
    let deadlines = Rc::new(Deadlines::default());
    let ran_out = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for number in 0..300_u64 {
        let (deadlines, ran_out) = (Rc::clone(&deadlines), Rc::clone(&ran_out));
        tasks.push(spawn_local(async move {
            let (length, start) = (ms(10 + number % 3 * 10), Instant::now());
            let mut outcome: Pin<Box<dyn Future<Output = Option<()>>>> = match number % 5 {
                // Done at once, or given up by whoever asked.
                0 => Box::pin(async { Some(()) }),
                1 => Box::pin(async { timeout(ms(number % 7), pending()).await.ok() }),
                _ => Box::pin(async {
                    let outcome: Option<()> = deadlines.within(length, start, pin!(pending())).await;
                    assert!(outcome.is_none() && start.elapsed() >= length);
                    ran_out.set(ran_out.get() + 1);
                    None
                }),
            };
            let within = pin!(async { (&mut outcome).await });
            deadlines.within(ms(60_000), start, within).await
        }));
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((ran_out.get(), deadlines.waiting()), (180, 0));
}

#[tokio::test(flavor = "local")]
async fn lengths_without_a_list_have_timers() {
    let deadlines = Rc::new(Deadlines::default());
    for length in 1..=3 * MOST_LISTS as u64 {
        let start = Instant::now();
        let outcome: Option<()> = deadlines.within(ms(length), start, pin!(pending())).await;
        assert!(outcome.is_none() && start.elapsed() >= ms(length));
        assert!(deadlines.lists.borrow().len() <= MOST_LISTS);
    }
    let mut later = pin!(tokio::task::yield_now());
    assert_eq!(deadlines.within(Duration::MAX, Instant::now(), later.as_mut()).await, Some(()));
}

#[tokio::test(flavor = "local")]
async fn a_future_may_go_on_in_another_task() {
    let deadlines = Rc::new(Deadlines::default());
    let own = Rc::clone(&deadlines);
    let mut within = Box::pin(async move {
        let outcome: Option<()> = own.within(ms(30), Instant::now(), pin!(pending())).await;
        outcome
    });
    let is_pending = poll_fn(|cx| Poll::Ready(within.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
    assert_eq!(spawn_local(within).await.unwrap(), None);
}
