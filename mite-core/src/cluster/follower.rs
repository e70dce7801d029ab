//! Reads what a run's controller has decided and what its runners tell, and hands it to the controller's loop of this process, which
//! decides nothing then.
//!
//! It is apart from the [`leader`](super::leader), which is that loop's other end where it leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::attendance::Attended;
use super::clock::RunClock;
use super::clock_reading::{CLOCK_READINGS, read_clock};
use super::error::ClusterError;
use super::keeper::{self, Change};
use super::news::{News, Usage};
use super::places::{LOOK, WRITE_WITHIN, kept};
use super::protocol::{EpochRecord, MembersRecord, State, unpack};
use super::readings::Readings;
use super::recall::{first_shares, recall_orders};
use super::records::KEPT;
use super::records::messages::{Relay, RelayError, messages_log};
use crate::bus::{Fabric, Item, Log};
use crate::clock;
use crate::names::{NameCache, Names};
use crate::runner::permit::{Permit, boot_nanos};
use crate::runner::protocol::Command;
use crate::sink::queue::SinkQueue;

struct Follower {
    readings: Readings,
    lists: Vec<MembersRecord>,
    /// Who has been told to the controller's loop as having a share.
    joined: BTreeSet<u32>,
    epoch: Option<EpochRecord>,
    clock: RunClock,
    news: mpsc::UnboundedSender<News>,
    /// Nothing more will be told, but for what is in the logs by now; and all of that is taken in.
    is_over: bool,
    has_all: bool,
}

/// Follows a run until it is over and all that was told of it is handed on; whether its messages too.
pub(super) async fn follow(
    (fabric, attended, collects): (Arc<dyn Fabric>, Attended, bool),
    names: Arc<Names>,
    queues: Vec<SinkQueue>,
    commands: mpsc::UnboundedReceiver<Command>,
    news: mpsc::UnboundedSender<News>,
) {
    let failed = news.clone();
    if let Err(error) = carry_out((fabric, attended, collects), names, queues, commands, news).await {
        let _ = failed.send(News::Failed(error));
    }
}

async fn carry_out(
    (fabric, attended, collects): (Arc<dyn Fabric>, Attended, bool),
    names: Arc<Names>,
    queues: Vec<SinkQueue>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    news: mpsc::UnboundedSender<News>,
) -> Result<(), ClusterError> {
    let failed = |doing: &'static str| move |cause| ClusterError::new(doing, cause);
    let log = |of: &str| fabric.log(&format!("{}_{of}", attended.run), kept());
    let stats = log("stats").await.map_err(failed("open the log of figures"))?;
    let orders = log("orders").await.map_err(failed("open the log of orders"))?;
    let clock = clock_of(&*fabric.bus(), &attended.run).await?;
    let mut relay = None;
    if collects {
        let messages = fabric.log(&messages_log(&attended.run), KEPT).await;
        let messages = messages.map_err(failed("open the log of messages"))?;
        relay = Some(Relaying::start(messages, queues, NameCache::new(Arc::clone(&names))));
    }
    let (changes, mut changed) = mpsc::unbounded_channel();
    let lease = attended.plan.lease;
    // It is not used to start anything.
    let permit = Arc::new(Permit::none());
    let keeper = tokio::spawn(keeper::keep(Arc::clone(&attended.register), permit, lease, changes));
    let mut follower = Follower {
        readings: Readings::new(names, Arc::clone(&stats)),
        lists: Vec::new(),
        joined: BTreeSet::new(),
        epoch: None,
        clock,
        news,
        is_over: false,
        has_all: false,
    };
    let followed = follower.serve(&*stats, &*orders, &mut changed, &mut commands, &mut relay).await;
    keeper.abort();
    followed?;
    attended.done(BTreeMap::new(), Vec::new()).await
}

/// What the run's clock says, once its controller answers.
async fn clock_of(bus: &dyn crate::bus::Bus, run: &str) -> Result<RunClock, ClusterError> {
    let since = clock::now();
    loop {
        match read_clock(bus, &format!("{run}.clk"), CLOCK_READINGS).await {
            Ok(clock) => return Ok(clock),
            Err(error) if clock::now() - since > WRITE_WITHIN => {
                return Err(ClusterError::new("ask for the run's clock", error));
            }
            Err(error) => tracing::debug!("asked for the clock again: {error}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Messages on their way from the log to sinks.
struct Relaying {
    log: Arc<dyn Log>,
    last: Option<oneshot::Sender<u64>>,
    work: JoinHandle<Result<Vec<u64>, RelayError>>,
}

impl Relaying {
    fn start(log: Arc<dyn Log>, queues: Vec<SinkQueue>, names: NameCache) -> Self {
        let (last, told) = oneshot::channel();
        let relay = Relay::new(Arc::clone(&log), queues, names);
        let last_of = async {
            match told.await {
                Ok(last) => last,
                // Whoever follows has ended, and this with it.
                Err(_) => std::future::pending().await,
            }
        };
        Self { log, last: Some(last), work: tokio::spawn(relay.run(last_of)) }
    }

    /// Waits until all that is in the log by now is handed on; for each sink, how many messages were meant for it.
    async fn finish(&mut self) -> Result<Vec<u64>, ClusterError> {
        let last = self.log.last().await.map_err(|cause| ClusterError::new("read the log of messages", cause))?;
        if let Some(told) = self.last.take() {
            // One that has failed says so below.
            let _ = told.send(last);
        }
        match (&mut self.work).await {
            Ok(relayed) => relayed.map_err(|error| ClusterError::refused(error.to_string())),
            Err(error) => Err(ClusterError::refused(format!("what relays messages has ended: {error}"))),
        }
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Follower {
    async fn serve(
        &mut self,
        stats: &dyn Log,
        orders: &dyn Log,
        changed: &mut mpsc::UnboundedReceiver<Change>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        relay: &mut Option<Relaying>,
    ) -> Result<(), ClusterError> {
        let reading = |cause| ClusterError::new("read the runners' figures", cause);
        let ordering = |cause| ClusterError::new("read the run's orders", cause);
        if !self.wait_for_start(changed, commands).await? {
            return Ok(());
        }
        let ordered = orders.last().await.map_err(ordering)?;
        let mut orders = orders.read("orders", 0).await.map_err(ordering)?;
        recall_orders(&mut *orders, ordered, |order| self.tell(News::Ordered(order))).await.map_err(ordering)?;
        self.tell_joined();
        let last = stats.last().await.map_err(reading)?;
        let mut figures = stats.read("stats.*", 0).await.map_err(reading)?;
        while self.readings.read() < last {
            let item = figures.next().await.map_err(reading)?;
            self.figures(&item)?;
        }
        let state = self.epoch.map(|epoch| epoch.state);
        let is_stopped = matches!(state, Some(State::Draining | State::Aborted));
        self.tell(News::Resumed { since_start: self.elapsed(), is_stopped });
        if state == Some(State::Over) {
            self.over().await?;
        }
        // What the controller's loop is told of the run's end, it tells back.
        let mut echoes = u32::from(is_stopped);
        let (mut wants_account, mut is_done) = (false, false);
        loop {
            tokio::select! {
                biased;
                change = changed.recv(), if !self.is_over && !is_done => match change {
                    Some(Change::List(_, list)) => {
                        self.lists.push(list);
                        self.tell_joined();
                    }
                    Some(Change::Epoch(epoch)) => {
                        self.epoch = Some(epoch);
                        match epoch.state {
                            State::Draining | State::Aborted => {
                                echoes += 1;
                                self.tell(News::Asked { now: epoch.state == State::Aborted });
                            }
                            State::Over => self.over().await?,
                            State::Gathering | State::Preparing | State::Running => {}
                        }
                    }
                    Some(Change::Gone) | None => self.over().await?,
                },
                command = commands.recv() => match command {
                    Some(Command::Stop | Command::Abort) => {
                        echoes = echoes.checked_sub(1).ok_or_else(ClusterError::left)?;
                    }
                    Some(Command::Account) => wants_account = true,
                    Some(Command::Exit) | None => return Ok(()),
                    Some(_) => {}
                },
                order = orders.next(), if !self.is_over && !is_done => {
                    let order = order.map_err(ordering)?;
                    self.tell(News::Ordered(unpack("an order", &order.payload).map_err(ordering)?));
                }
                item = figures.next(), if !is_done => self.figures(&item.map_err(reading)?)?,
            }
            // Until then the controller may send something too.
            if self.is_over && self.readings.are_all_there() {
                self.tell_lost();
                self.has_all = true;
            }
            if self.has_all && wants_account && !is_done {
                self.account(relay).await?;
                is_done = true;
            }
        }
    }

    /// Waits for the run's start; says whether it was waited for, and not for another end.
    async fn wait_for_start(
        &mut self,
        changed: &mut mpsc::UnboundedReceiver<Change>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<bool, ClusterError> {
        loop {
            let until_start = match self.epoch {
                Some(epoch) if epoch.origin > 0 => {
                    let now = self.clock.at(boot_nanos());
                    if now >= epoch.origin {
                        return Ok(true);
                    }
                    Duration::from_nanos(epoch.origin - now)
                }
                _ => Duration::MAX,
            };
            tokio::select! {
                change = changed.recv() => match change {
                    Some(Change::List(_, list)) => self.lists.push(list),
                    Some(Change::Epoch(epoch)) if epoch.origin == 0 && epoch.state == State::Over => return Err(ClusterError::ended_before()),
                    Some(Change::Epoch(epoch)) => self.epoch = Some(epoch),
                    Some(Change::Gone) | None => return Err(ClusterError::ended_before()),
                },
                command = commands.recv() => match command {
                    Some(Command::Stop | Command::Abort) => return Err(ClusterError::left()),
                    Some(Command::Exit) | None => return Ok(false),
                    Some(_) => {}
                },
                () = tokio::time::sleep(until_start) => {}
            }
        }
    }

    /// Since the start of the run, in nanoseconds.
    fn elapsed(&self) -> u64 {
        let origin = self.epoch.map_or(0, |epoch| epoch.origin);
        self.clock.at(boot_nanos()).saturating_sub(origin)
    }

    fn tell(&self, news: News) {
        // The controller's loop is gone only when the run is over.
        let _ = self.news.send(news);
    }

    fn tell_joined(&mut self) {
        for (rid, from) in first_shares(&self.lists) {
            if self.joined.insert(rid) {
                self.tell(News::Joined { rid, from });
            }
        }
    }

    fn figures(&mut self, item: &Item) -> Result<(), ClusterError> {
        if let Some(told) = self.readings.take(item, Duration::from_nanos(self.elapsed()))? {
            self.tell(told);
        }
        Ok(())
    }

    /// Nothing more is to come but what is in the log by now.
    async fn over(&mut self) -> Result<(), ClusterError> {
        self.is_over = true;
        self.readings.await_all().await
    }

    /// Nobody waits for those that have not told their ends.
    fn tell_lost(&self) {
        for rid in self.joined.iter().filter(|rid| !self.readings.has_ended(**rid)) {
            self.tell(News::Lost { rid: *rid, why: format!("runner {rid} has not told its end") });
        }
    }

    async fn account(&self, relay: &mut Option<Relaying>) -> Result<(), ClusterError> {
        for known in self.readings.unaccounted(&self.joined, &self.lists) {
            self.tell(known);
        }
        if let Some(mut relay) = relay.take() {
            let sent_messages = relay.finish().await?;
            self.tell(News::Relayed { sent_messages });
        }
        self.tell(News::Accounted { generator: Usage::default() });
        Ok(())
    }
}
