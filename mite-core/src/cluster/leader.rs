//! The controller's end of a cluster: it lets runners in, writes which of them have which share, and hands what they tell to the
//! controller's loop, to which each of them looks like a worker.
//!
//! It is apart from that loop, which is the one of a run in one process, and from [`members`](super::members), which decides.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::account::Reported;
use super::attendance::{Attendant, COLLECTOR, RECORDER, attendant, attendants};
use super::clock::RunClock;
use super::keeper::{members_key, runner_key};
use super::members::{Members, Seen, Times};
use super::pools::{Ask, LostItems, Noted, PoolKind, Pools};
use super::protocol::{
    ClockReading, EpochRecord, Heartbeat, Hello, MembersRecord, Order, Phase, PlanRecord, State, VERSION, Welcome,
    pack, unpack,
};
use super::readings::Readings;
use super::recording::{Recording, ended_early};
use super::records;
use super::runner::LAST_STARTS;
use super::takeover::{self, Left};
use super::wire::Unpacked;
use super::{CURRENT, ClusterError, DIRECTORY, LOOK, OnRunnerLoss, WRITE_WITHIN, kept, random};
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

/// What the controller's loop is told of its runners. A runner's number is that of its worker.
#[derive(Debug)]
pub(crate) enum News {
    /// Enough runners are there.
    Gathered,
    /// All of them have made their workers ready.
    Prepared,
    /// The run was under way so long, in nanoseconds, when this controller took it over; all that was ordered and told before comes
    /// before.
    Resumed { since_start: u64, is_stopped: bool },
    /// Somebody asks for the run's end: now, or once what runs has finished.
    Asked { now: bool },
    /// What the controller before has ordered.
    Ordered(Order),
    /// A runner has a share from this second on.
    Joined { rid: u32, from: u64 },
    /// One entry of a runner's figures.
    Told { rid: u32, told: Box<Unpacked> },
    /// A runner is not heard any more. It may come back.
    Lost { rid: u32, why: String },
    /// One that was not heard is heard again, and will tell its end.
    Back { rid: u32 },
    /// What is known of a runner that has not told its end: what it told so far, and its share.
    Unaccounted { rid: u32, reported: Reported, lists: Vec<MembersRecord> },
    /// Items of a pool, counted from 0, that a runner had and nobody is given any more.
    Burned { pool: usize, rid: u32, range: Range<u64> },
    /// So many items of a pool were given to nobody.
    NotUsed { pool: usize, items: u64 },
    /// What is recorded is accounted for here.
    Recording { records: Records, warnings: Arc<Mutex<Vec<String>>> },
    /// What people should know.
    Warned(String),
    /// How many messages were handed to each sink of this process, where it follows a run.
    Relayed { sent_messages: Vec<u64> },
    /// All that was asked for was told.
    Accounted { generator: Usage },
    /// The run cannot go on.
    Failed(ClusterError),
}

/// What the runners' processes have used together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) workers: u32,
    pub(crate) cpu_percent: f64,
}

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
        members: Members::new(plan.binary.clone(), Times::with_lease(plan.lease)),
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
    let now = Duration::from_nanos(unix_nanos());
    format!("{:011x}{:08x}", now.as_millis(), random() & 0xffff_ffff)
}

/// What the wall clock says, in nanoseconds since 1970.
pub(super) fn unix_nanos() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    // A clock that stands before 1970 tells 1970.
    now.unwrap_or_default().as_nanos().try_into().unwrap_or(u64::MAX)
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

    /// Grants items of data to a runner, once that is written down.
    async fn ask(&mut self, asked: Option<Delivery>) -> Result<(), ClusterError> {
        let Some(asked) = asked.filter(Delivery::is_request) else { return Ok(()) };
        let ask = match unpack::<Ask>("a question for data", asked.payload()) {
            Ok(ask) => ask,
            Err(error) => {
                tracing::warn!("{error}");
                return Ok(());
            }
        };
        let now = self.now();
        self.gone.remove(&ask.rid);
        let share = self.members.is_here(ask.rid).then(|| self.members.share(ask.rid));
        let (grant, is_new) = self.pools.answer(&ask, share, now);
        if is_new {
            self.note(&Noted::Answered { rid: ask.rid, ask: ask.pools, grant: grant.clone() }).await?;
        }
        // One that is lost is asked for again.
        let _ = asked.respond(pack(&grant)).await;
        Ok(())
    }

    /// Writes down who has which items.
    async fn note(&mut self, noted: &Noted) -> Result<(), ClusterError> {
        self.noted += 1;
        let id = format!("{}.{}", self.epoch.term, self.noted);
        self.append(&self.journal, "pool", &id, pack(noted)).await
    }

    /// What runners had that are gone goes to others: of those that are lost with their shares, which they have until then.
    async fn pass_on_items(&mut self) -> Result<(), ClusterError> {
        for rid in std::mem::take(&mut self.leaving) {
            let has_share = self.epoch.state == State::Running && self.members.has_share(rid);
            if has_share && !self.members.has_ended(rid) {
                // Nobody is missed who is heard again before others have its share.
                if !self.members.is_here(rid) {
                    self.leaving.push(rid);
                }
            } else if self.gone.insert(rid) {
                self.pass_on_items_of(rid).await?;
            }
        }
        Ok(())
    }

    async fn pass_on_items_of(&mut self, rid: u32) -> Result<(), ClusterError> {
        // Nobody starts anything any more, or the last list is none of its own. It may take so long to start what was due before.
        let last_start = self.members.lists().last().map_or(0, |list| self.epoch.origin + list.at + LAST_STARTS);
        let at = if self.members.has_ended(rid) { self.now() } else { last_start.max(self.now()) };
        self.pools.lost(rid, at);
        self.note(&Noted::Lost { rid, at }).await
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
            OnRunnerLoss::Rebalance => self.members.present() == 0,
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
        for seen in self.members.look(now) {
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

    /// Writes a new list of members, then the epoch that names it.
    ///
    /// Nobody may go by the new list while somebody still may by the one before. So it is said first from when on there may be
    /// another one: who reads that waits from then on, and who does not read it has no permit then. Only if that was written in time
    /// the list is; otherwise a later time is said. However long a write takes, or this process stands still, no start is two
    /// runners'.
    async fn write_list(&mut self, mut list: MembersRecord) -> Result<(), ClusterError> {
        while self.epoch.epoch > 0 {
            self.write_epoch(EpochRecord { pending: Some(list.at), ..self.epoch }).await?;
            let now = self.now().saturating_sub(self.epoch.origin);
            let Times { lease, margin, .. } = self.members.times();
            // What clocks are wrong by, on both sides.
            let apart = self.beats.values().map(|beat| beat.clock_error).max().unwrap_or_default();
            let last_permit = now + lease + 2 * apart + self.clock.error();
            if list.at >= last_permit {
                break;
            }
            list.at = last_permit + margin;
            self.members.put_off(list.at);
        }
        let epoch = self.epoch.epoch + 1;
        self.set_list(&members_key(epoch), pack(&list)).await?;
        self.write_epoch(EpochRecord { epoch, pending: None, ..self.epoch }).await?;
        for member in &list.members {
            if self.joined.insert(member.rid) {
                self.tell(News::Joined { rid: member.rid, from: list.at / 1_000_000_000 });
            }
        }
        Ok(())
    }

    async fn write_epoch(&mut self, epoch: EpochRecord) -> Result<(), ClusterError> {
        self.revision = self.set("epoch", Some(self.revision), pack(&epoch)).await?;
        self.epoch = epoch;
        Ok(())
    }

    /// As [`Leader::set_list`], once; says whether this one still leads.
    async fn try_list(&self, key: &str, value: &[u8]) -> Result<bool, BusError> {
        let before = self.register.get(key).await?;
        if before.as_ref().is_some_and(|entry| entry.value == value) {
            return Ok(true);
        }
        // Looked at after the list: whoever takes over later writes that anew, and this one is not written over it.
        let is_leading = self.register.get("epoch").await?.is_some_and(|entry| entry.revision == self.revision);
        if is_leading {
            self.register.set_if(key, before.map(|entry| entry.revision), value.to_vec()).await?;
        }
        Ok(is_leading)
    }

    /// Sets a list that no epoch names yet. A controller before may have left another one under its number.
    async fn set_list(&self, key: &str, value: Vec<u8>) -> Result<(), ClusterError> {
        let since = clock::now();
        loop {
            match self.try_list(key, &value).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(ClusterError::taken_over()),
                Err(error) if error.is_conflict() => tracing::debug!("written again: {error}"),
                Err(error) if clock::now() - since > WRITE_WITHIN || error.is_not_found() => {
                    return Err(ClusterError::new("write who takes part", error));
                }
                Err(error) => {
                    tracing::debug!("written again: {error}");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Sets a key until it is set, or somebody else has.
    async fn set(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, ClusterError> {
        let since = clock::now();
        loop {
            let error = match self.register.set_if(key, expected, value.clone()).await {
                Ok(revision) => return Ok(revision),
                Err(error) => error,
            };
            if error.is_conflict() {
                match self.register.get(key).await {
                    // The answer to an earlier try was lost.
                    Ok(Some(entry)) if entry.value == value => return Ok(entry.revision),
                    Ok(_) => {
                        return Err(ClusterError::taken_over());
                    }
                    Err(error) => tracing::debug!("read again: {error}"),
                }
            } else if clock::now() - since > WRITE_WITHIN || error.is_not_found() {
                return Err(ClusterError::new("write what the runners should do", error));
            }
            tokio::time::sleep(LOOK).await;
        }
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

    async fn order(&mut self, order: Order) -> Result<(), ClusterError> {
        self.order += 1;
        let id = format!("{}.{}", self.epoch.term, self.order);
        self.append(&self.orders, "orders", &id, pack(&order)).await
    }

    /// Appends to a log until it is there.
    async fn append(&self, log: &Arc<dyn Log>, lane: &str, id: &str, payload: Vec<u8>) -> Result<(), ClusterError> {
        let since = clock::now();
        loop {
            match log.append(lane, id, payload.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if clock::now() - since > WRITE_WITHIN || error.is_not_found() || error.is_invalid() => {
                    return Err(ClusterError::new("write down what the runners should do", error));
                }
                Err(error) => tracing::debug!("told again: {error}"),
            }
            tokio::time::sleep(LOOK).await;
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

    /// Who has to be there before the run begins, and is not.
    async fn missing_attendant(&self) -> Result<Option<&'static str>, ClusterError> {
        let Options { with_recorder, with_collector, .. } = self.options;
        let wanted = [(RECORDER, with_recorder), (COLLECTOR, with_collector)];
        for (who, _) in wanted.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            match attendant(&*self.register, who).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(who)),
                Err(error) if error.is_not_found() => return Err(ClusterError::new("see who attends the run", error)),
                Err(error) => {
                    tracing::debug!("looked again: {error}");
                    return Ok(Some(who));
                }
            }
        }
        Ok(None)
    }

    /// Waits, once the run is over, until all who attend it are done: a recorder for as long as it takes, others for a while.
    async fn await_attendants(
        &self,
        ears: &mut Ears,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        records: Option<Records>,
    ) -> Result<(), ClusterError> {
        let since = clock::now();
        let mut told = since;
        loop {
            let waited = clock::now() - since;
            match attendants(&*self.register).await {
                Ok(all) => {
                    let late =
                        |(who, of): &&(String, Attendant)| !of.is_done && (who == RECORDER || waited < ATTENDED_WITHIN);
                    match all.iter().find(late) {
                        Some((who, of)) if clock::now() - told >= ATTENDED_WITHIN => {
                            told = clock::now();
                            tracing::warn!("waiting for the {who} {}: start it again if it is gone", of.name);
                        }
                        Some(_) => {}
                        None => {
                            self.attended(&all, records.as_ref());
                            return Ok(());
                        }
                    }
                }
                Err(error) if waited > WRITE_WITHIN => return Err(ClusterError::new("see who attends the run", error)),
                Err(error) => tracing::debug!("looked again: {error}"),
            }
            let given_up = tokio::select! {
                clock = ears.clocks.next() => {
                    self.clock(clock.unwrap_or_default()).await;
                    false
                }
                stop = ears.stops.next() => {
                    let stop = stop.unwrap_or_default();
                    let is_now = stop.as_ref().is_some_and(|asked| asked.payload() == [1]);
                    if let Some(asked) = stop {
                        let _ = asked.respond(Vec::new()).await;
                    }
                    is_now
                }
                command = commands.recv() => matches!(command, Some(Command::Abort) | None),
                () = tokio::time::sleep(LOOK) => false,
            };
            if given_up {
                let why = "the recorder has not written all that was recorded: what is in no file is in the cluster still, where a recorder \
                           that is started again finds it, and `cluster stop` takes it away";
                return Err(ClusterError::refused(why));
            }
        }
    }

    /// Takes over what those who attended have told at their ends.
    fn attended(&self, all: &[(String, Attendant)], records: Option<&Records>) {
        for (who, of) in all {
            if !of.is_done {
                self.tell(News::Warned(format!(
                    "the {who} {} was not waited for: what it has may not be complete",
                    of.name
                )));
            }
            for warning in &of.warnings {
                self.tell(News::Warned(warning.clone()));
            }
            if let Some(records) = records
                && who == RECORDER
            {
                records.written_by(&of.name, &of.records);
            }
        }
    }

    /// Takes away what the run has left in the cluster.
    async fn clean_up(&self) -> Result<(), ClusterError> {
        let forgotten = takeover::forget(&*self.fabric, &self.run).await;
        forgotten.map_err(|cause| ClusterError::new("clean up after the run", cause))
    }

    /// Goes on where another controller has left off: with what it has ordered, and with all that runners have told.
    async fn take_over(&mut self, left: Left, figures: &mut dyn Reader, last: u64) -> Result<(), ClusterError> {
        let now = boot_nanos();
        self.register = left.register;
        self.members.take_over(left.lists, left.runners, now);
        (self.epoch, self.revision, self.clock) = (left.epoch, left.revision, left.clock);
        (self.gathered, self.prepared) = (true, true);
        self.write_epoch(EpochRecord { term: left.epoch.term + 1, pending: None, ..left.epoch }).await?;
        let failed = |cause| ClusterError::new("read the run's orders", cause);
        let end = self.orders.last().await.map_err(failed)?;
        let mut orders = self.orders.read("orders", 0).await.map_err(failed)?;
        recall_orders(&mut *orders, end, |order| self.tell(News::Ordered(order))).await.map_err(failed)?;
        let failed = |cause| ClusterError::new("read who has which data", cause);
        let end = self.journal.last().await.map_err(failed)?;
        let mut journal = self.journal.read("pool", 0).await.map_err(failed)?;
        let mut at = 0;
        while at < end {
            let item = journal.next().await.map_err(failed)?;
            at = item.sequence;
            self.pools.recall(&unpack("who has which data", &item.payload).map_err(failed)?);
        }
        // Others have their shares, and may not have their items yet.
        self.leaving = self.members.lost().map(|(rid, _)| rid).filter(|rid| self.pools.has_any(*rid)).collect();
        for (rid, from) in first_shares(self.members.lists()) {
            self.joined.insert(rid);
            self.tell(News::Joined { rid, from });
        }
        while self.readings.read() < last {
            let item = figures.next().await.map_err(|cause| ClusterError::new("read the runners' figures", cause))?;
            self.figures(&item)?;
        }
        // Others have their shares by now; who has not told its end is not waited for until it is heard.
        for (rid, name) in self.members.lost() {
            if !self.readings.has_ended(rid) {
                self.tell(News::Lost { rid, why: format!("{name} (runner {rid}) was not heard any more") });
            }
        }
        let (origin, state) = (self.epoch.origin, self.epoch.state);
        let since_start = self.now().saturating_sub(origin);
        self.tell(News::Resumed { since_start, is_stopped: state != State::Running });
        Ok(())
    }
}

/// Reads the orders up to this item of their log.
///
/// # Errors
/// They cannot be read.
pub(super) async fn recall_orders(
    orders: &mut dyn Reader,
    end: u64,
    mut recall: impl FnMut(Order),
) -> Result<(), BusError> {
    let mut at = 0;
    while at < end {
        let item = orders.next().await?;
        at = item.sequence;
        recall(unpack("an order", &item.payload)?);
    }
    Ok(())
}

/// From which second on each runner has had a share.
pub(super) fn first_shares(lists: &[MembersRecord]) -> BTreeMap<u32, u64> {
    let mut first = BTreeMap::new();
    for list in lists {
        for member in &list.members {
            first.entry(member.rid).or_insert(list.at / 1_000_000_000);
        }
    }
    first
}
