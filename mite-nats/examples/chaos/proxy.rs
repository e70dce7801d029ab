//! A proxy of TCP between a process and the server of NATS: it delays each direction, stands still, or cuts.
//!
//! It is what a bad network is here: the kernels of test machines seldom have a module for that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// So long on the way to the server, and on the way back.
    Up(Duration, Duration),
    /// Nothing gets through, and connections stay.
    Frozen,
    /// Connections break, and new ones too.
    Cut,
}

impl Network {
    pub(crate) const GOOD: Self = Self::Up(Duration::ZERO, Duration::ZERO);
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// One to a server at `to`, `127.0.0.1:PORT`.
    pub(crate) async fn start(to: String, network: Network) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let url = format!("nats://{}", listener.local_addr().expect("it is bound"));
        let (sender, told) = watch::channel(network);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *told.borrow() != Network::Cut {
                    tokio::spawn(carry(near, to.clone(), told.clone()));
                }
            }
        });
        Self { url, network: sender }
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn carry(near: TcpStream, to: String, network: watch::Receiver<Network>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let mut cut = network.clone();
    tokio::select! {
        () = pipe(near_read, far_write, network.clone(), |there, _| there) => {}
        () = pipe(far_read, near_write, network, |_, back| back) => {}
        _ = cut.wait_for(|network| *network == Network::Cut) => {}
    }
}

/// Carries one direction until either end closes; what is under way by then arrives, unless the network is away.
async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    delay: fn(Duration, Duration) -> Duration,
) {
    let mut under_way: VecDeque<(Instant, Arc<[u8]>)> = VecDeque::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let next = under_way.front().cloned();
        tokio::select! {
            read = from.read(&mut buffer), if under_way.len() < 10_000 => match read {
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    let waits = match *network.borrow() {
                        Network::Up(there, back) => delay(there, back),
                        Network::Frozen | Network::Cut => Duration::ZERO,
                    };
                    under_way.push_back((Instant::now() + waits, buffer[..read].into()));
                }
            },
            Some(bytes) = due(next, &mut network) => {
                under_way.pop_front();
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }
    while matches!(*network.borrow(), Network::Up(..))
        && let Some(bytes) = due(under_way.pop_front(), &mut network).await
    {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// What is to be handed on next, once it may be.
async fn due(next: Option<(Instant, Arc<[u8]>)>, network: &mut watch::Receiver<Network>) -> Option<Arc<[u8]>> {
    let (at, bytes) = next?;
    sleep_until(at).await;
    network.wait_for(|network| matches!(network, Network::Up(..))).await.ok()?;
    Some(bytes)
}
