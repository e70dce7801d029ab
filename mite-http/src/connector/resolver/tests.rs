//! Lookups are counted by a resolver that is a closure.

use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::sync::Notify;

use super::*;

/// Answers from a list, one for each lookup, once it is told to; and counts.
#[derive(Default)]
struct Names {
    asked: Cell<usize>,
    answers: RefCell<Vec<io::Result<Vec<IpAddr>>>>,
    go: Notify,
}

type Counted = Resolver<Box<dyn Fn(String) -> LookingUp>>;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn counted(dns: Dns, answers: impl IntoIterator<Item = io::Result<Vec<IpAddr>>>) -> (Rc<Counted>, Rc<Names>) {
    let mut answers: Vec<_> = answers.into_iter().collect();
    answers.reverse();
    let names = Rc::new(Names { answers: answers.into(), ..Names::default() });
    let own = Rc::clone(&names);
    let look_up: Box<dyn Fn(String) -> LookingUp> = Box::new(move |name| {
        assert_eq!(name, "a.test");
        let own = Rc::clone(&own);
        own.asked.set(own.asked.get() + 1);
        Box::pin(async move {
            own.go.notified().await;
            own.answers.borrow_mut().pop().unwrap()
        })
    });
    (Rc::new(Resolver::with(dns, look_up)), names)
}

async fn answer(resolver: &Counted, names: &Names) -> Result<(Vec<IpAddr>, bool), Fault> {
    names.go.notify_one();
    let answer = resolver.look_up("a.test").await?;
    Ok((answer.addresses.to_vec(), answer.kept))
}

#[tokio::test(flavor = "local")]
async fn names_are_looked_up_as_often_as_is_said() {
    let table = [
        (Dns::EachConnection, 3),
        (Dns::Once, 1),
        (Dns::Ttl(Duration::from_secs(3_600)), 1),
        // What is found is too old at once.
        (Dns::Ttl(Duration::ZERO), 3),
    ];
    for (dns, times) in table {
        let (resolver, names) = counted(dns, (1..=3).map(|last| Ok(vec![ip(last)])));
        for round in 1..=3 {
            let (addresses, kept) = answer(&resolver, &names).await.unwrap();
            assert_eq!(kept, round > times, "{dns:?}, round {round}");
            assert_eq!(addresses, [ip(round.min(times) as u8)], "{dns:?}, round {round}");
        }
        assert_eq!(names.asked.get(), times, "{dns:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn those_who_ask_at_the_same_time_wait_for_one_lookup() {
    let (resolver, names) = counted(Dns::Once, [Ok(vec![ip(1)])]);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let resolver = Rc::clone(&resolver);
            tokio::task::spawn_local(async move { resolver.look_up("a.test").await.unwrap() })
        })
        .collect();
    // A local task begins when those before it have: then all wait.
    tokio::task::spawn_local(async {}).await.unwrap();
    // The one that has asked may go: the others ask nobody either.
    waiting[0].abort();
    names.go.notify_one();
    for (number, waits) in waiting.into_iter().enumerate().skip(1) {
        let answer = waits.await.unwrap();
        assert_eq!((&*answer.addresses, answer.kept), (&[ip(1)][..], false), "{number}");
    }
    assert_eq!(names.asked.get(), 1);
}

#[tokio::test(flavor = "local")]
async fn a_failure_is_for_all_who_wait_and_for_nobody_after() {
    let failure = || Err(io::Error::other("SERVFAIL"));
    let (resolver, names) = counted(Dns::Once, [failure(), Ok(vec![]), Ok(vec![ip(1)])]);
    let mut all = Box::pin(futures::future::join_all((0..3).map(|_| resolver.look_up("a.test"))));
    assert!(poll_fn(|cx| Poll::Ready(all.as_mut().poll(cx).is_pending())).await);
    names.go.notify_one();
    for outcome in all.await {
        let error = outcome.unwrap_err().of_none();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "SERVFAIL");
    }
    assert_eq!(names.asked.get(), 1);
    // An empty answer is a failure too.
    let error = answer(&resolver, &names).await.unwrap_err().of_none();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the name has no address");
    assert_eq!(answer(&resolver, &names).await.unwrap(), (vec![ip(1)], false));
    assert_eq!(answer(&resolver, &names).await.unwrap(), (vec![ip(1)], true));
    assert_eq!(names.asked.get(), 3);
}

#[tokio::test(flavor = "local")]
async fn a_lookup_that_nobody_waits_for_is_given_up() {
    let (resolver, names) = counted(Dns::Once, [Ok(vec![ip(1)])]);
    for _ in 0..2 {
        let mut asking = Box::pin(resolver.look_up("a.test"));
        assert!(poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await);
    }
    assert_eq!(names.asked.get(), 2);
    assert_eq!(answer(&resolver, &names).await.unwrap(), (vec![ip(1)], false));
    assert_eq!(names.asked.get(), 3);
}

#[test]
fn turns_are_counted_for_each_host_and_port() {
    let resolver = Resolver::new(Dns::EachConnection);
    let turn = |name, port| resolver.turn(AddressSelection::RoundRobin, &Host::Domain(name), port);
    let (a, b, other_port) = (turn("a.test", 80), turn("b.test", 80), turn("a.test", 81));
    assert_eq!((a, a), (b, other_port));
    assert_eq!(turn("a.test", 80), a + 1);
    assert_eq!(turn("a.test", 80), a + 2);
    assert_eq!(turn("b.test", 80), b + 1);
    assert_eq!(resolver.turn(AddressSelection::First, &Host::Domain("a.test"), 80), 0);
}
