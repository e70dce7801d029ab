//! A process's connection to a fabric that is shared, which can stand still and break.
//!
//! It is apart from what the other tests share, since it is for those of clusters.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::sync::Arc;
use std::time::Duration;

use mite_core::Result;
use mite_core::bus::{
    Bus, BusError, Entry, Fabric, Item, Kept, Later, Local, Log, Reader, Register, Subscription, Watch,
};
use tokio::sync::watch;

/// How a process is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Up,
    /// Nothing gets through, and what is asked for waits.
    Stands,
    /// Nothing gets through any more, and what is asked for fails.
    Cut,
}

/// A process's connection to a fabric that is shared: it can stand still, and break.
#[derive(Debug, Clone)]
pub(crate) struct Through<T> {
    pub(crate) to: T,
    pub(crate) connection: watch::Receiver<Connection>,
}

impl<T> Through<T> {
    /// What is asked for, once it gets through.
    async fn pass<R>(&self, asked: impl Future<Output = Result<R, BusError>>) -> Result<R, BusError> {
        up(&mut self.connection.clone()).await?;
        asked.await
    }

    fn to<U>(&self, to: U) -> Through<U> {
        Through { to, connection: self.connection.clone() }
    }
}

async fn up(connection: &mut watch::Receiver<Connection>) -> Result<(), BusError> {
    let found = connection.wait_for(|connection| *connection != Connection::Stands).await.map(|found| *found);
    match found {
        Ok(Connection::Up) => Ok(()),
        Ok(_) | Err(_) => Err(BusError::disconnected("the connection is cut")),
    }
}

impl Fabric for Through<Local> {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.to(self.to.bus()))
    }

    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>> {
        let name = name.to_owned();
        Box::pin(async move {
            let register = self.pass(self.to.register(&name)).await?;
            Ok(Arc::new(self.to(register)) as Arc<dyn Register>)
        })
    }

    fn delete_register(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move { self.pass(self.to.delete_register(&name)).await })
    }

    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>> {
        let name = name.to_owned();
        Box::pin(async move {
            let log = self.pass(self.to.log(&name, kept)).await?;
            Ok(Arc::new(self.to(log)) as Arc<dyn Log>)
        })
    }

    fn delete_log(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move { self.pass(self.to.delete_log(&name)).await })
    }

    fn description(&self) -> String {
        self.to.description()
    }
}

impl Bus for Through<Arc<dyn Bus>> {
    fn publish(&self, subject: &str, payload: Vec<u8>) -> Later<'_, ()> {
        let subject = subject.to_owned();
        Box::pin(async move { self.pass(self.to.publish(&subject, payload)).await })
    }

    fn subscribe(&self, pattern: &str) -> Later<'_, Box<dyn Subscription>> {
        let pattern = pattern.to_owned();
        Box::pin(async move {
            let subscription = self.pass(self.to.subscribe(&pattern)).await?;
            Ok(Box::new(self.to(subscription)) as Box<dyn Subscription>)
        })
    }

    fn request(&self, subject: &str, payload: Vec<u8>, within: Duration) -> Later<'_, Vec<u8>> {
        let subject = subject.to_owned();
        Box::pin(async move { self.pass(self.to.request(&subject, payload, within)).await })
    }
}

impl Subscription for Through<Box<dyn Subscription>> {
    fn next(&mut self) -> Later<'_, Option<mite_core::bus::Delivery>> {
        Box::pin(async {
            if up(&mut self.connection).await.is_err() {
                std::future::pending::<()>().await;
            }
            self.to.next().await
        })
    }
}

impl Register for Through<Arc<dyn Register>> {
    fn get(&self, key: &str) -> Later<'_, Option<Entry>> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.get(&key)).await })
    }

    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Later<'_, u64> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.set_if(&key, expected, value)).await })
    }

    fn keys(&self, pattern: &str) -> Later<'_, Vec<String>> {
        let pattern = pattern.to_owned();
        Box::pin(async move { self.pass(self.to.keys(&pattern)).await })
    }

    fn watch(&self, key: &str) -> Later<'_, Box<dyn Watch>> {
        // Nothing of what is tested here follows a key.
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.watch(&key)).await })
    }

    fn delete(&self, key: &str) -> Later<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move { self.pass(self.to.delete(&key)).await })
    }
}

impl Log for Through<Arc<dyn Log>> {
    fn append(&self, lane: &str, id: &str, payload: Vec<u8>) -> Later<'_, u64> {
        let (lane, id) = (lane.to_owned(), id.to_owned());
        Box::pin(async move { self.pass(self.to.append(&lane, &id, payload)).await })
    }

    fn read(&self, lanes: &str, from: u64) -> Later<'_, Box<dyn Reader>> {
        let lanes = lanes.to_owned();
        Box::pin(async move {
            let reader = self.pass(self.to.read(&lanes, from)).await?;
            Ok(Box::new(self.to(reader)) as Box<dyn Reader>)
        })
    }

    fn last(&self) -> Later<'_, u64> {
        Box::pin(async { self.pass(self.to.last()).await })
    }

    fn purge_to(&self, sequence: u64) -> Later<'_, ()> {
        Box::pin(async move { self.pass(self.to.purge_to(sequence)).await })
    }
}

impl Reader for Through<Box<dyn Reader>> {
    fn next(&mut self) -> Later<'_, Item> {
        Box::pin(async {
            if up(&mut self.connection).await.is_err() {
                std::future::pending::<()>().await;
            }
            self.to.next().await
        })
    }
}
