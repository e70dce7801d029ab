//! The controller's end of a cluster: it lets runners in, writes which of them have which share, and hands what they tell to the
//! controller's loop, to which each of them looks like a worker.
//!
//! It is apart from that loop, which is the one of a run in one process, and from [`members`](super::members), which decides.

mod attendants;
mod items;
mod taking_over;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::OnRunnerLoss;
use super::clock::RunClock;
use super::error::ClusterError;
use super::keeper::runner_key;
use super::members::{Members, Seen, Times};
use super::news::{News, Usage};
use super::places::{CURRENT, DIRECTORY, LOOK, kept, random};
use super::pools::{LostItems, PoolKind, Pools};
use super::protocol::{
    ClockReading, EpochRecord, Heartbeat, Hello, Order, Phase, PlanRecord, State, VERSION, Welcome, pack, unpack,
};
use super::readings::Readings;
use super::recording::{Recording, ended_early};
use super::records;
use super::takeover;
use crate::bus::{Bus, BusError, Delivery, Fabric, Item, Log, Reader, Register, Subscription};
use crate::clock;
use crate::names::Names;
use crate::recordings::Records;
use crate::runner::permit::boot_nanos;
use crate::runner::protocol::Command;

/// How often it tells itself that the bus works.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// It has not heard itself for longer than heartbeats are apart: it is the bus, or this process, that was silent.
const MISSED: u64 = 300_000_000;
/// How long runners take to be heard again after the bus was away for so long that they are taken to be lost otherwise: until they
/// try to connect again, and the next heartbeat.
const AWAY: u64 = 1_000_000_000;
/// How long somebody who attends a run, but for its recorder, may take after its end.
const ATTENDED_WITHIN: Duration = Duration::from_secs(10);
/// What nobody else is called: it tells itself whether messages arrive at all.
const OWN: u32 = 0;

/// How a run is led: see [`Run::lead`](crate::Run::lead).
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) expect: u32,
    pub(crate) least: u32,
    pub(crate) within: Duration,
    pub(crate) on_loss: OnRunnerLoss,
    /// Waits for a run that another one leads.
    pub(crate) stands_by: bool,
    pub(crate) lost_items: LostItems,
    /// Where what journeys record is written, if anywhere.
    pub(crate) record_to: Option<PathBuf>,
    /// It is written by a recorder of its own.
    pub(crate) with_recorder: bool,
    /// All messages are collected elsewhere.
    pub(crate) with_collector: bool,
    /// What the run is called, once that is known.
    pub(crate) name: Arc<OnceLock<String>>,
}

pub(super) struct Leader {
    bus: Arc<dyn Bus>,
    fabric: Arc<dyn Fabric>,
    register: Arc<dyn Register>,
    orders: Arc<dyn Log>,
    /// Who has which items of data, as it is written down, and how much of that there is.
    pools: Pools,
    journal: Arc<dyn Log>,
    noted: u64,
    /// Who has gone, and whose items have gone to others.
    leaving: Vec<u32>,
    gone: BTreeSet<u32>,
    run: String,
    options: Options,
    members: Members,
    epoch: EpochRecord,
    revision: u64,
    readings: Readings,
    beats: BTreeMap<u32, Heartbeat>,
    /// Who has been told to the controller's loop as having a share.
    joined: BTreeSet<u32>,
    order: u64,
    news: mpsc::UnboundedSender<News>,
    /// When it last heard itself.
    heard_itself: u64,
    since: Instant,
    clock: RunClock,
    gathered: bool,
    prepared: bool,
    over: bool,
}

/// Makes the run's places, and leads it until it is told that all is over.
pub(super) async fn lead(
    fabric: Arc<dyn Fabric>,
    (plan, kinds): (PlanRecord, Vec<PoolKind>),
    names: Arc<Names>,
    options: Options,
    commands: mpsc::UnboundedReceiver<Command>,
    news: mpsc::UnboundedSender<News>,
) {
    let failed = news.clone();
    if let Err(error) = carry_out(fabric, (plan, kinds), names, options, commands, news).await {
        let _ = failed.send(News::Failed(error));
    }
}

async fn carry_out(
    fabric: Arc<dyn Fabric>,
    (plan, kinds): (PlanRecord, Vec<PoolKind>),
    names: Arc<Names>,
    options: Options,
    mut commands: mpsc::UnboundedReceiver<Command>,
    news: mpsc::UnboundedSender<News>,
) -> Result<(), ClusterError> {
    let failed = |doing: &'static str| move |cause| ClusterError::new(doing, cause);
    let left = takeover::look(&*fabric, &plan, options.stands_by).await?;
    let run = left.as_ref().map_or_else(run_id, |left| left.run.clone());
    // It is led once.
    let _ = options.name.set(run.clone());
    let bus = fabric.bus();
    let register = fabric.register(&run).await.map_err(failed("make the run's register"))?;
    let log = |of: &str| fabric.log(&format!("{run}_{of}"), kept());
    let stats = log("stats").await.map_err(failed("make the log of figures"))?;
    let orders = log("orders").await.map_err(failed("make the log of orders"))?;
    let journal = log("pool").await.map_err(failed("make the log of data pools"))?;
    let records = fabric.log(&records::log_name(&run), records::KEPT).await;
    let records = records.map_err(failed("make the log of records"))?;
    let ears = Ears::open(&*bus, &run).await.map_err(failed("listen to runners"))?;
    let mut figures = stats.read("stats.*", 0).await.map_err(failed("read the runners' figures"))?;
    let now = boot_nanos();
    let mut leader = Leader {
        bus: Arc::clone(&bus),
        fabric: Arc::clone(&fabric),
        register,
        orders,
        readings: Readings::new(names, Arc::clone(&stats)),
        members: Members::new(plan.binary.clone(), plan.most_workers, Times::with_lease(plan.lease)),
        pools: Pools::new(kinds, options.lost_items),
        journal,
        noted: 0,
        leaving: Vec::new(),
        gone: BTreeSet::new(),
        options,
        epoch: EpochRecord { v: VERSION, epoch: 0, term: 1, state: State::Gathering, origin: 0, pending: None },
        revision: 0,
        beats: BTreeMap::new(),
        joined: BTreeSet::new(),
        order: 0,
        news,
        heard_itself: now,
        since: clock::now(),
        gathered: false,
        prepared: false,
        over: false,
        clock: RunClock::OWN,
        run,
    };
    match left {
        None => {
            let epoch = pack(&leader.epoch);
            leader.revision = leader.set("epoch", None, epoch).await?;
            leader.set("plan", None, pack(&plan)).await?;
            announce(&*fabric, &leader.run).await?;
            tracing::info!(run = leader.run, cluster = fabric.description(), "leading a run");
        }
        Some(left) => {
            let last = stats.last().await.map_err(failed("read the runners' figures"))?;
            leader.take_over(left, &mut *figures, last).await?;
        }
    }
    let apart = leader.options.with_recorder.then(Records::default);
    if let Some(records) = &apart {
        leader.tell(News::Recording { records: records.clone(), warnings: Arc::default() });
    }
    let mut recording = match leader.options.record_to.clone() {
        Some(folder) => {
            let recording = Recording::start(Arc::clone(&fabric), leader.run.clone(), folder).await?;
            leader.tell(News::Recording {
                records: recording.records.clone(),
                warnings: Arc::clone(&recording.warnings),
            });
            Some(recording)
        }
        None => None,
    };
    let mut ears = ears;
    let led = leader.serve(&mut ears, &mut *figures, &mut commands, &mut recording).await;
    if led.as_ref().is_err_and(ClusterError::is_of_takeover) {
        // The run is another controller's now.
        return led;
    }
    // All that was acknowledged is written before the log is taken away.
    let recorded = match recording {
        Some(recording) => recording.finish(&*records).await.map(drop),
        None => Ok(()),
    };
    // Runners are not left waiting, whatever has gone wrong. What was wrong first is told.
    let ended = leader.write_epoch(EpochRecord { state: State::Over, ..leader.epoch }).await;
    let attended = match &ended {
        Ok(()) => leader.await_attendants(&mut ears, &mut commands, apart).await,
        Err(_) => Ok(()),
    };
    let cleaned = match &attended {
        // What is not written yet is left where it is.
        Err(_) => Ok(()),
        Ok(()) => leader.clean_up().await,
    };
    led.and(recorded).and(ended).and(attended).and(cleaned)
}

/// A run's name in the cluster: when it was begun, in milliseconds, and a random number, so that names sort by time.
fn run_id() -> String {
    let now = Duration::from_nanos(clock::unix_nanos());
    format!("{:011x}{:08x}", now.as_millis(), random() & 0xffff_ffff)
}

/// Says which run it is that runners should join.
async fn announce(fabric: &dyn Fabric, run: &str) -> Result<(), ClusterError> {
    let failed = |cause| ClusterError::new("announce the run", cause);
    let directory = fabric.register(DIRECTORY).await.map_err(failed)?;
    loop {
        let before = directory.get(CURRENT).await.map_err(failed)?;
        match directory.set_if(CURRENT, before.map(|entry| entry.revision), run.into()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// What runners say, by what it is about.
struct Ears {
    clocks: Box<dyn Subscription>,
    stops: Box<dyn Subscription>,
    asks: Box<dyn Subscription>,
    hellos: Box<dyn Subscription>,
    beats: Box<dyn Subscription>,
}

impl Ears {
    async fn open(bus: &dyn Bus, run: &str) -> Result<Self, BusError> {
        let subscribe = |subject: &str| bus.subscribe(&format!("{run}.{subject}"));
        Ok(Self {
            clocks: subscribe("clk").await?,
            stops: subscribe("stop").await?,
            asks: subscribe("alloc").await?,
            hellos: subscribe("hello").await?,
            beats: subscribe("hb.*").await?,
        })
    }
}

impl Leader {
    /// Does what runners, the controller's loop and time ask for, until it is told that all is over.
    async fn serve(
        &mut self,
        ears: &mut Ears,
        figures: &mut dyn Reader,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        recording: &mut Option<Recording>,
    ) -> Result<(), ClusterError> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut own_beats = tokio::time::interval(HEARTBEAT);
        own_beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listening = |cause| ClusterError::new("listen to runners", cause);
        while !self.over {
            let heard = tokio::select! {
                biased;
                clock = ears.clocks.next() => match clock {
                    Ok(clock) => {
                        self.clock(clock).await;
                        Ok(())
                    }
                    Err(error) => Err(listening(error)),
                },
                stop = ears.stops.next() => match stop {
                    Ok(stop) => {
                        self.stop(stop).await;
                        Ok(())
                    }
                    Err(error) => Err(listening(error)),
                },
                ask = ears.asks.next() => match ask {
                    Ok(ask) => self.ask(ask).await,
                    Err(error) => Err(listening(error)),
                },
                hello = ears.hellos.next() => match hello {
                    Ok(hello) => self.hello(hello).await,
                    Err(error) => Err(listening(error)),
                },
                beat = ears.beats.next() => beat.map(|beat| self.beat(beat)).map_err(listening),
                command = commands.recv() => self.command(command.unwrap_or(Command::Exit)).await,
                item = figures.next() => match item {
                    Ok(item) => self.figures(&item),
                    Err(error) => Err(ClusterError::new("read the runners' figures", error)),
                },
                failed = ended_early(recording) => Err(failed),
                _ = own_beats.tick() => self.own_beat().await,
                _ = looks.tick() => self.look().await,
            };
            heard?;
        }
        Ok(())
    }

    async fn clock(&self, asked: Option<Delivery>) {
        if let Some(asked) = asked.filter(Delivery::is_request) {
            // It may be lost; then the runner asks again.
            let _ = asked.respond(pack(&ClockReading { now: self.now() })).await;
        }
    }

    async fn stop(&self, asked: Option<Delivery>) {
        let Some(asked) = asked else { return };
        self.tell(News::Asked { now: asked.payload() == [1] });
        // Whoever asks and does not hear it may ask again.
        let _ = asked.respond(Vec::new()).await;
    }

    async fn hello(&mut self, asked: Option<Delivery>) -> Result<(), ClusterError> {
        let Some(asked) = asked.filter(Delivery::is_request) else { return Ok(()) };
        match unpack::<Hello>("a runner's hello", asked.payload()) {
            Ok(hello) => {
                let welcome = self.members.hello(hello, boot_nanos());
                if let Welcome::Taken { rid } = welcome
                    && let Some(record) = self.members.record(rid)
                {
                    // No other controller gives the same number to somebody else.
                    self.set(&runner_key(rid), None, pack(&record)).await?;
                }
                let _ = asked.respond(pack(&welcome)).await;
            }
            Err(error) => tracing::warn!("{error}"),
        }
        Ok(())
    }

    fn beat(&mut self, told: Option<Delivery>) {
        let Some(told) = told else { return };
        let beat = match unpack::<Heartbeat>("a heartbeat", told.payload()) {
            Ok(beat) => beat,
            Err(error) => return tracing::warn!("{error}"),
        };
        let now = boot_nanos();
        if beat.rid == OWN {
            let silence = now.saturating_sub(self.heard_itself);
            if silence >= MISSED {
                self.members.all_heard(if silence >= self.silence() { now + AWAY } else { now });
            }
            self.heard_itself = now;
            return;
        }
        let seen = self.members.heard(&beat, now);
        if matches!(beat.phase, Phase::Done | Phase::Failed) {
            self.leaving.push(beat.rid);
        }
        self.beats.insert(beat.rid, beat);
        if let Some(seen) = seen {
            self.saw(seen);
        }
    }

    /// What the run's clock says: this machine's boot clock where the run was begun here.
    fn now(&self) -> u64 {
        self.clock.at(boot_nanos())
    }

    async fn own_beat(&self) -> Result<(), ClusterError> {
        let beat = Heartbeat {
            v: VERSION,
            rid: OWN,
            boot: 0,
            phase: Phase::Running,
            epoch: self.epoch.epoch,
            running: 0,
            cpu_percent: 0.0,
            clock_error: 0,
            why: None,
        };
        // One that is lost is missed when looking.
        let _ = tokio::time::timeout(HEARTBEAT, self.bus.publish(&format!("{}.hb.{OWN}", self.run), pack(&beat))).await;
        // Somebody may have taken over while this process stood still, and even ended the run.
        let is_led_by_another = match tokio::time::timeout(HEARTBEAT, self.register.get("epoch")).await {
            Ok(Ok(Some(entry))) => {
                unpack::<EpochRecord>("the run's epoch", &entry.value).is_ok_and(|epoch| epoch.term > self.epoch.term)
            }
            Ok(Ok(None)) => true,
            Ok(Err(error)) => error.is_not_found(),
            Err(_) => false,
        };
        if is_led_by_another { Err(ClusterError::taken_over()) } else { Ok(()) }
    }

    fn tell(&self, news: News) {
        // The controller's loop is gone only when the run is over.
        let _ = self.news.send(news);
    }

    fn saw(&mut self, seen: Seen) {
        match seen {
            Seen::Back { rid, name } => {
                tracing::warn!("{name} (runner {rid}) is heard again");
                self.tell(News::Back { rid });
            }
            Seen::Left { rid, name } => tracing::info!("{name} (runner {rid}) leaves"),
            Seen::Lost { rid, name } => self.lost(rid, &format!("{name} (runner {rid}) is not heard any more")),
            Seen::Failed { rid, name, why } => self.lost(rid, &format!("{name} (runner {rid}) has failed: {why}")),
        }
    }

    fn lost(&mut self, rid: u32, why: &str) {
        tracing::warn!("{why}");
        self.leaving.push(rid);
        if !self.gathered {
            return;
        }
        if self.epoch.epoch == 0 {
            if self.members.present() < self.options.least as usize {
                let least = self.options.least;
                let too_few =
                    format!("{why}, and fewer than the {least} runners that are needed are left to begin with");
                self.tell(News::Failed(ClusterError::refused(too_few)));
            }
            return;
        }
        let all = self.members.runners().count();
        let gone = self.members.runners().filter(|(_, runner)| runner.is_lost || runner.phase == Phase::Failed).count();
        let too_many = match self.options.on_loss {
            // Where one has ended by itself, the plan is over: what the others did not tell is told as lost.
            OnRunnerLoss::Rebalance => self.members.present() == 0 && !self.members.has_any_finished(),
            OnRunnerLoss::Fail => true,
            OnRunnerLoss::Tolerate(percent) => gone as f64 * 100.0 > percent * all as f64,
        };
        self.tell(News::Lost { rid, why: why.to_owned() });
        if too_many {
            self.tell(News::Failed(ClusterError::refused(format!("{why}, and too few runners are left"))));
        }
    }

    /// Looks who is not heard, whether enough are there, and whether others should have a share.
    async fn look(&mut self) -> Result<(), ClusterError> {
        let now = boot_nanos();
        if now.saturating_sub(self.heard_itself) >= self.silence() {
            // It is the bus that is silent. Who is there is heard soon after it works again.
            self.members.all_heard(now);
        }
        for seen in self.members.look(now, |rid| self.readings.has_ended(rid)) {
            if let Seen::Left { rid, .. } = seen {
                self.leaving.push(rid);
            }
            self.saw(seen);
        }
        self.pass_on_items().await?;
        if !self.gathered {
            let present = self.members.present();
            let is_late = clock::now().saturating_duration_since(self.since) >= self.options.within;
            if present >= self.options.expect as usize || (is_late && present >= self.options.least as usize) {
                match self.missing_attendant().await? {
                    None => {
                        self.gathered = true;
                        self.tell(News::Gathered);
                    }
                    Some(who) if is_late => {
                        return Err(ClusterError::refused(format!(
                            "no {who} came within {:?}: start one with `{who}`, or leave out `--with-{who}`",
                            self.options.within
                        )));
                    }
                    Some(_) => {}
                }
            } else if is_late {
                let Options { expect, least, within, .. } = &self.options;
                return Err(ClusterError::refused(format!(
                    "{present} of {expect} runners came within {within:?}, and {least} are needed: start more of them, or ask for \
                     fewer by `--expect` and `--min`"
                )));
            }
        }
        if self.epoch.state == State::Preparing && !self.prepared && self.members.are_ready() {
            let (present, least) = (self.members.present(), self.options.least);
            if present < least as usize {
                return Err(ClusterError::refused(format!(
                    "{present} runners are left before the run has begun, and {least} are needed"
                )));
            }
            self.prepared = true;
            self.tell(News::Prepared);
        }
        if self.epoch.state == State::Running
            && let Some(list) = self.members.next(now, self.now().saturating_sub(self.epoch.origin))
        {
            self.write_list(list).await?;
            self.pass_on_items().await?;
        }
        Ok(())
    }

    /// For how long nobody is heard before the bus is taken to be silent.
    fn silence(&self) -> u64 {
        self.members.times().silence
    }

    async fn command(&mut self, command: Command) -> Result<(), ClusterError> {
        match command {
            Command::Prepare => self.write_epoch(EpochRecord { state: State::Preparing, ..self.epoch }).await,
            Command::Go(start) => {
                let ahead = start.since(clock::Moment::now());
                let epoch = EpochRecord { state: State::Running, origin: self.now() + ahead, ..self.epoch };
                let list = self.members.first();
                if list.members.is_empty() {
                    return Err(ClusterError::refused("all runners have gone before the run began"));
                }
                self.epoch = epoch;
                self.write_list(list).await
            }
            Command::Extend(row, unit, segment) => {
                let running = unit == crate::volume::Unit::Running;
                self.order(Order::Extend { row: row.0, running, segment: segment.into_parts() }).await
            }
            Command::Asked(second) => self.order(Order::Asked { second }).await,
            Command::Complete(row) => self.order(Order::Complete { row: row.0 }).await,
            Command::Exhausted(row) => self.order(Order::Exhausted { row: row.0 }).await,
            Command::Stop => self.write_epoch(EpochRecord { state: State::Draining, ..self.epoch }).await,
            Command::Abort => self.write_epoch(EpochRecord { state: State::Aborted, ..self.epoch }).await,
            Command::Account => {
                // Who is gone may have told more than was read by now.
                self.pass_on_items().await?;
                self.readings.await_all().await?;
                self.account_if_all_is_there();
                Ok(())
            }
            Command::Exit => {
                self.over = true;
                Ok(())
            }
            Command::Hook(_) | Command::Share(..) | Command::Slew(_) | Command::Tell => Ok(()),
        }
    }

    /// Takes in what a runner tells of its figures, and tells what is known once that was waited for.
    fn figures(&mut self, item: &Item) -> Result<(), ClusterError> {
        let elapsed = Duration::from_nanos(self.now().saturating_sub(self.epoch.origin));
        if let Some(told) = self.readings.take(item, elapsed)? {
            self.tell(told);
        }
        self.account_if_all_is_there();
        Ok(())
    }

    fn account_if_all_is_there(&mut self) {
        if self.readings.are_all_there() {
            self.account();
        }
    }

    /// Tells what is known of the runners that have not told their ends, and what all have used.
    fn account(&mut self) {
        for known in self.readings.unaccounted(&self.joined, self.members.lists()) {
            self.tell(known);
        }
        for (pool, rid, range) in self.pools.burned() {
            self.tell(News::Burned { pool, rid, range: range.clone() });
        }
        for (pool, items) in self.pools.left() {
            self.tell(News::NotUsed { pool, items });
        }
        let workers = self.members.runners().map(|(_, runner)| runner.weight()).sum();
        // Tenths, as each of them is told.
        let cpu_percent = (self.beats.values().map(|beat| beat.cpu_percent).sum::<f64>() * 10.0).round() / 10.0;
        self.tell(News::Accounted { generator: Usage { workers, cpu_percent } });
    }

    /// Takes away what the run has left in the cluster.
    async fn clean_up(&self) -> Result<(), ClusterError> {
        let forgotten = takeover::forget(&*self.fabric, &self.run).await;
        forgotten.map_err(|cause| ClusterError::new("clean up after the run", cause))
    }
}
