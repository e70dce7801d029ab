//! What a journey is handed: its config, transactions, messages, and what extensions attach.
//!
//! A [`Context`] belongs to one run of a journey and stands at one place in its tree of transactions; a [`Scope`] is an
//! owned handle on such a place, for what outlives a borrow.

use std::cell::{Cell, RefMut};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand_xoshiro::rand_core::{Rng as _, SeedableRng};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};
use serde::Serialize;

use crate::clock::Moment;
use crate::exchange::{Exchange, ExchangeText, OnExchange};
use crate::extensions::Extensions;
use crate::figures::{ErrorKey, PartFigures};
use crate::limits::RanOut;
use crate::message::{self, Head, Place, RESERVED};
use crate::names::{DATA_CREATED, KindId, PathId};
use crate::panics::{self, Panic};
use crate::part::Part;
use crate::recorder;
use crate::request::RequestSample;
use crate::runner::env::Env;
use crate::sink::outbox::Wanted;
use crate::stats::{Counting, Handle, Kind, Setting, Spreading};
use crate::{Config, Error, Result, pack};

/// The random numbers of a journey: xoshiro256++, seeded for the run and the start, so that a run can be repeated.
pub type Rng = Xoshiro256PlusPlus;

/// One run of a journey, as the journey sees it.
///
/// It is not `Send`: a journey stays on its worker's thread, and may hold things that are not `Send` either.
///
/// ```
/// # use mite_core::{Context, Result};
/// async fn buy(ctx: &mut Context, item: String) -> Result {
///     ctx.transaction("Pay", async |ctx| ctx.record("orders", &item).await).await?;
///     ctx.check("is tea", item == "tea");
///     ctx.counter("items").add(1);
///     Ok(())
/// }
/// ```
pub struct Context {
    scope: Scope,
    /// Time spent waiting for the recorder, in nanoseconds: it is taken out of the journey's times.
    paused: Cell<u64>,
    rng: Option<Box<Rng>>,
    /// The number of this fork in the order in which they were made, from 1; 0 for the journey's own context.
    fork: u32,
}

/// An owned, cheap handle on the place where a context stood when it was taken: what it sends and measures belongs to
/// that transaction.
///
/// Extensions hold one, so that two requests can be under way while the context is borrowed.
#[derive(Clone)]
pub struct Scope {
    visit: Rc<Visit>,
    path: PathId,
    transaction_id: u32,
}

/// What all contexts and scopes of one run of a journey share. There may be a million of them, so that each field is as small
/// as it can be.
pub(crate) struct Visit {
    pub(crate) env: Rc<Env>,
    pub(crate) ids: VisitIds,
    transactions: Cell<u32>,
    forks: Cell<u32>,
    extensions: Cell<Extensions>,
    has_ended: Cell<bool>,
    /// The innermost transaction that a panic or a timeout cut off; boxed, since it is rare and there are many visits.
    cut_off: Cell<Option<Box<(PathId, u32)>>>,
}

/// The numbers of one run of a journey.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VisitIds {
    pub(crate) row: u32,
    pub(crate) context_id: u64,
    pub(crate) data_id: Option<u64>,
    pub(crate) start_index: u64,
    pub(crate) part: Part,
}

impl Context {
    pub(crate) fn new(env: Rc<Env>, ids: VisitIds, path: PathId) -> Self {
        let visit = Visit {
            env,
            ids,
            transactions: Cell::new(0),
            forks: Cell::new(0),
            extensions: Cell::default(),
            has_ended: Cell::new(false),
            cut_off: Cell::new(None),
        };
        let scope = Scope { visit: Rc::new(visit), path, transaction_id: 0 };
        Self { scope, paused: Cell::new(0), rng: None, fork: 0 }
    }

    /// The configuration of the run.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     let app: String = ctx.config().get("app_url")?;
    ///     let pages: u32 = ctx.config().get_or("pages", 5)?;
    ///     # let _ = (app, pages);
    ///     Ok(())
    /// }
    /// ```
    pub fn config(&self) -> &Config {
        self.scope.config()
    }

    /// Runs `body` as a named, timed part of the journey. Transactions nest: within `Create user`, `inner` is told as
    /// `Create user :: inner`.
    ///
    /// The body is given the context anew; `return` within it returns from it alone. Names should be few: what differs from
    /// user to user belongs into a message.
    ///
    /// # Errors
    /// What the body returns, once it has been reported by the innermost transaction that it passes through.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// async fn journey(ctx: &mut Context) -> Result {
    ///     let total = ctx
    ///         .transaction("Add up", async |ctx| {
    ///             let items: u32 = ctx.config().get("items")?;
    ///             Ok(items * 3)
    ///         })
    ///         .await?;
    ///     mite_core::ensure!(total > 0, "nothing to pay");
    ///     Ok(())
    /// }
    /// ```
    pub async fn transaction<T>(&mut self, name: &str, body: impl AsyncFnOnce(&mut Context) -> Result<T>) -> Result<T> {
        let mut transaction = Transaction::begin(self, name);
        let result = body(transaction.context()).await;
        let result = transaction.end(result);
        if self.scope.visit.env.outbox.is_behind() {
            // Boxed, since it is rare. The journey goes on without a sink that has failed, or the run is about to end.
            let _ = Box::pin(self.wait_for_room(u64::MAX)).await;
        }
        result
    }

    /// Sends a message of a type of one's own, or `data_created` and `purge_data` for the recorder. `fields` is anything
    /// that serde makes a map of.
    ///
    /// It waits while the recorder is behind; that time is taken out of the times of the journey and its transactions.
    ///
    /// # Errors
    /// `fields` is no map, or has a name that mite adds itself (`type`, `time`, `journey`, …); for recorded data: the run has
    /// no recorder, the name is none for a file, or the recorder has failed.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// use serde_json::json;
    ///
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.send("order", json!({"country": "DE", "total": 20})).await
    /// }
    /// ```
    #[must_use = "a message is only sent when this is awaited: write `.await?` after it"]
    #[track_caller]
    pub fn send<'a>(&'a self, kind: &'a str, fields: impl Serialize + 'a) -> impl Future<Output = Result> + 'a {
        let place = Location::caller();
        async move {
            let located = |error: Error| error.located(place);
            let env = &self.scope.visit.env;
            let id = env.names.borrow_mut().kind(kind);
            let wanted = env.outbox.who_wants(kind);
            self.wait_for_room(wanted.lanes).await.map_err(located)?;
            self.push_fields(id, kind, wanted, &fields).map_err(located)
        }
    }

    /// Records `data` under `name`: the short form of sending `data_created`. It is on its way to
    /// `recorder-data/NAME.msgpack` when this returns.
    ///
    /// # Errors
    /// As [`Context::send`].
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// #[derive(serde::Serialize)]
    /// struct User<'a> {
    ///     username: &'a str,
    /// }
    ///
    /// async fn create_user(ctx: &mut Context) -> Result {
    ///     ctx.record("users", &User { username: "ann" }).await
    /// }
    /// ```
    #[must_use = "data is only recorded when this is awaited: write `.await?` after it"]
    #[track_caller]
    pub fn record<'a>(&'a self, name: &'a str, data: impl Serialize + 'a) -> impl Future<Output = Result> + 'a {
        let place = Location::caller();
        async move {
            let located = |error: Error| error.located(place);
            let wanted = self.scope.visit.env.outbox.records();
            check_record_name(name, wanted.kept).map_err(located)?;
            self.wait_for_room(wanted.lanes).await.map_err(located)?;
            self.push_record(name, wanted, &data).map_err(located)
        }
    }

    /// Waits until the sinks that want a message have room. Nothing is packed before, so that no future holds what is: those on a
    /// message's way are moved with each message, and small.
    async fn wait_for_room(&self, lanes: u64) -> Result {
        let waited = self.scope.visit.env.outbox.room(lanes).await?;
        self.paused.set(self.paused.get() + waited.as_nanos() as u64);
        Ok(())
    }

    fn push_fields<T: Serialize>(&self, id: KindId, kind: &str, wanted: Wanted, fields: &T) -> Result {
        let env = &self.scope.visit.env;
        let mut own = env.scratch();
        let (count, start) = message::own_fields(kind, fields, &mut own)?;
        if id == KindId::DATA_CREATED || id == KindId::PURGE_DATA {
            check_record(kind, count, &own[start..], wanted.kept)?;
        }
        if wanted.lanes != 0 {
            env.outbox.push(wanted.lanes, self.scope.head(id, count), &own[start..])?;
        }
        env.put_back(own);
        Ok(())
    }

    /// As [`Context::push_fields`], where it is known what there is: nothing is looked for in what was packed.
    fn push_record<T: Serialize>(&self, name: &str, wanted: Wanted, data: &T) -> Result {
        let env = &self.scope.visit.env;
        let mut own = env.scratch();
        let count = message::record_fields(name, data, &mut own)?;
        env.outbox.push(wanted.lanes, self.scope.head(KindId::DATA_CREATED, count), &own)?;
        env.put_back(own);
        Ok(())
    }

    /// Whether the row of this journey has stopped: a journey that goes on for long should end soon.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn watch(ctx: &mut Context) -> Result {
    ///     while !ctx.should_stop() {
    ///         tokio::time::sleep(Duration::from_millis(5)).await;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(watch, NoData, constant(10, SECOND / 5))).run_blocking()?;
    /// assert_eq!((report.journey("watch").completed, report.journey("watch").cancelled), (2, 0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn should_stop(&self) -> bool {
        self.scope.visit.env.should_stop(self.scope.visit.ids.row)
    }

    /// Counts how often something held, without failing when it did not.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     ctx.check("is even", ctx.start_index() % 2 == 0);
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(browse, NoData, at_once(10))).run_blocking()?;
    /// assert_eq!((report.checks[0].passed, report.checks[0].failed), (5, 5));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn check(&self, name: &str, holds: bool) -> bool {
        self.scope.visit.stats().check(self.scope.path, name, holds);
        holds
    }

    /// Counts something under a name of one's own, for reports and thresholds: see [`stats`](crate::stats).
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// async fn fill_cart(ctx: &mut Context) -> Result {
    ///     ctx.counter("cart_items").label("shop", "berlin").add(3);
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(fill_cart, NoData, at_once(5))).run_blocking()?;
    /// assert_eq!(report.metric("cart_items").label("shop", "berlin").number(), Some(15.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn counter<'a>(&'a self, name: &'a str) -> Handle<'a, Counting> {
        self.scope.counter(name)
    }

    /// Sets a value under a name of one's own: `ctx.gauge("queue_depth").set(4.0)`. See [`stats`](crate::stats).
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// async fn look(ctx: &mut Context) -> Result {
    ///     ctx.gauge("queue_depth").set(4.0);
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(look, NoData, at_once(1))).run_blocking()?;
    /// assert_eq!(report.metric("queue_depth").number(), Some(4.0));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn gauge<'a>(&'a self, name: &'a str) -> Handle<'a, Setting> {
        self.scope.gauge(name)
    }

    /// Counts a value under a name of one's own, of which buckets and percentiles are told:
    /// `ctx.histogram("basket_value").record(12.5)`. See [`stats`](crate::stats).
    ///
    /// Its buckets are those of [`stats::Histogram`](crate::stats::Histogram) that has said nothing of them; percentiles do not
    /// depend on them.
    ///
    /// ```
    /// # use mite_core::volume::{HOUR, MINUTE, SECOND, at_once, constant};
    /// # use mite_core::{Context, NoData, Result, Row, Run, Scenario};
    /// use mite_core::threshold::{metric, p99};
    ///
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     ctx.histogram("basket_value").record(12.5);
    ///     Ok(())
    /// }
    ///
    /// let report = Run::new(Scenario::new().journey(buy, NoData, at_once(3))).run_blocking()?;
    /// assert!(p99(metric("basket_value")).under(13.0).check(&report).passed());
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn histogram<'a>(&'a self, name: &'a str) -> Handle<'a, Spreading> {
        self.scope.histogram(name)
    }

    /// Random numbers that are the same for this start in each run with the same seed.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// use rand::RngExt;
    ///
    /// async fn browse(ctx: &mut Context) -> Result {
    ///     let page = ctx.rng().random_range(1..=100);
    ///     # let _ = page;
    ///     Ok(())
    /// }
    /// ```
    pub fn rng(&mut self) -> &mut Rng {
        let visit = &self.scope.visit;
        self.rng.get_or_insert_with(|| {
            let facts = [visit.env.shared.seed, visit.ids.row.into(), visit.ids.start_index, self.fork.into()];
            // One after the other, so that another seed does not give the same numbers to other starts.
            let mut mixed = 0;
            for fact in facts {
                mixed = SplitMix64::seed_from_u64(mixed ^ fact).next_u64();
            }
            Box::new(Rng::seed_from_u64(mixed))
        })
    }

    /// The number of this start among those of its row, from 0: the k of the schedule.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// async fn create_user(ctx: &mut Context) -> Result {
    ///     ctx.record("users", format!("user{}", ctx.start_index())).await
    /// }
    /// ```
    pub fn start_index(&self) -> u64 {
        self.scope.visit.ids.start_index
    }

    /// An owned context at the same place in the tree of transactions, for transactions that go on side by side.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// async fn journey(ctx: &mut Context) -> Result {
    ///     let (mut left, mut right) = (ctx.fork(), ctx.fork());
    ///     let (left, right) = tokio::join!(
    ///         left.transaction("left", async |_| Ok(1)),
    ///         right.transaction("right", async |_| Ok(2)),
    ///     );
    ///     mite_core::ensure!(left? + right? == 3);
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn fork(&self) -> Context {
        // Each fork draws numbers of its own, by its number, which repeats with the run.
        let fork = self.scope.visit.forks.get() + 1;
        self.scope.visit.forks.set(fork);
        Self { scope: self.scope.clone(), paused: Cell::new(0), rng: None, fork }
    }

    /// Runs `body` and then waits until `separation` has passed since it began: for pacing within a journey.
    ///
    /// The wait is part of the journey's times; it is not made when the body took longer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::{Context, Result};
    /// /// Asks every five seconds, however long the answer takes.
    /// async fn poll(ctx: &mut Context) -> Result {
    ///     for _ in 0..10 {
    ///         ctx.ensure_fixed_separation(Duration::from_secs(5), async |ctx| {
    ///             ctx.transaction("Poll", async |_ctx| Ok(())).await
    ///         })
    ///         .await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn ensure_fixed_separation<T>(
        &mut self,
        separation: Duration,
        body: impl AsyncFnOnce(&mut Context) -> T,
    ) -> T {
        let started = tokio::time::Instant::now();
        let result = body(self).await;
        tokio::time::sleep_until(started + separation).await;
        result
    }

    /// As [`Context::ensure_fixed_separation`], with a separation that is drawn evenly from `mean` ± `plus_minus`; `None` is
    /// a quarter of the mean.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::{Context, Result};
    /// async fn think(ctx: &mut Context) -> Result {
    ///     // A pause of 1 to 3 s.
    ///     let (mean, plus_minus) = (Duration::from_secs(2), Duration::from_secs(1));
    ///     ctx.ensure_average_separation(mean, plus_minus, async |_ctx| {}).await;
    ///     Ok(())
    /// }
    /// ```
    pub async fn ensure_average_separation<T>(
        &mut self,
        mean: Duration,
        plus_minus: impl Into<Option<Duration>>,
        body: impl AsyncFnOnce(&mut Context) -> T,
    ) -> T {
        use rand::RngExt as _;
        let plus_minus = plus_minus.into().unwrap_or(mean / 4);
        let shift = plus_minus.mul_f64(2.0 * self.rng().random::<f64>());
        self.ensure_fixed_separation((mean + shift).saturating_sub(plus_minus), body).await
    }

    /// A handle on this place, for extensions.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use mite_core::{Context, Scope};
    /// /// What `ctx.kv()` of some protocol gives: it counts its requests in the transaction in which it was taken.
    /// struct Kv {
    ///     scope: Scope,
    /// }
    ///
    /// fn kv(ctx: &Context) -> Kv {
    ///     Kv { scope: ctx.scope() }
    /// }
    /// ```
    #[inline]
    pub fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// What an extension has attached to this run of the journey under the type `T`.
    ///
    /// ```
    /// # use mite_core::Context;
    /// struct Login(String);
    ///
    /// fn name(ctx: &Context) -> Option<String> {
    ///     ctx.extension::<Login>().map(|login| login.0.clone())
    /// }
    /// ```
    pub fn extension<T: 'static>(&self) -> Option<Rc<T>> {
        self.scope.visit.with_extensions(|extensions| extensions.get())
    }

    /// Attaches a value to this run of the journey, or detaches it with `None`; gives what was attached before. What is
    /// attached is dropped when the journey has ended.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use mite_core::{Context, Scope};
    /// struct Login(String);
    ///
    /// fn logged_in(ctx: &Context, name: &str) {
    ///     ctx.set_extension(Some(Rc::new(Login(name.to_owned()))));
    /// }
    ///
    /// fn name(ctx: &Context) -> Option<String> {
    ///     ctx.extension::<Login>().map(|login| login.0.clone())
    /// }
    /// ```
    pub fn set_extension<T: 'static>(&self, value: Option<Rc<T>>) -> Option<Rc<T>> {
        self.scope.visit.with_extensions(|extensions| extensions.set(value))
    }

    /// What belongs to the worker's thread and outlives the journey, such as a pool of connections; made when it is first
    /// asked for, dropped with the worker.
    ///
    /// ```
    /// # use std::cell::RefCell;
    /// # use std::rc::Rc;
    /// # use mite_core::Context;
    /// # struct Connection;
    /// /// Idle connections of one worker: no lock is needed.
    /// #[derive(Default)]
    /// struct Idle(RefCell<Vec<Connection>>);
    ///
    /// fn take(ctx: &Context) -> Option<Connection> {
    ///     ctx.worker_extension(Idle::default).0.borrow_mut().pop()
    /// }
    /// ```
    pub fn worker_extension<T: 'static>(&self, init: impl FnOnce() -> T) -> Rc<T> {
        let env = &self.scope.visit.env;
        if let Some(value) = env.extensions.borrow().get() {
            return value;
        }
        let value = Rc::new(init());
        env.extensions.borrow_mut().set(Some(Rc::clone(&value)));
        value
    }

    /// What the scenario's [`worker_setup`](crate::Scenario::worker_setup) returned on this worker.
    ///
    /// # Errors
    /// The scenario has no worker setup, or one that returns another type.
    ///
    /// ```
    /// # use mite_core::{Context, Result};
    /// struct Prices(Vec<u32>);
    ///
    /// async fn buy(ctx: &mut Context) -> Result {
    ///     let prices = ctx.fixture::<Prices>()?;
    ///     mite_core::ensure!(!prices.0.is_empty());
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn fixture<T: 'static>(&self) -> Result<Rc<T>> {
        self.scope.visit.env.fixtures.borrow().get().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Error::msg(format_args!(
                "there is no fixture of type `{name}`: the scenario needs a `.worker_setup(async |ctx| …)` that returns one"
            ))
        })
    }

    pub(crate) fn set_fixture<T: 'static>(&self, fixture: Rc<T>) {
        self.scope.visit.env.fixtures.borrow_mut().set(Some(fixture));
    }

    /// Time spent waiting for the recorder, in nanoseconds.
    pub(crate) fn paused(&self) -> u64 {
        self.paused.get()
    }

    pub(crate) fn visit(&self) -> &Rc<Visit> {
        &self.scope.visit
    }
}

/// Checks what the recorder will be given, so that the journey that got it wrong is told.
fn check_record(kind: &str, count: u32, own: &[u8], kept: bool) -> Result {
    let field = |name| message::field(own, count, name);
    let name = field("name").and_then(message::split_text).and_then(|(name, _)| std::str::from_utf8(name).ok());
    let name =
        name.ok_or_else(|| Error::msg(format_args!("a message of type {kind:?} needs a `name` that is text")))?;
    if kind == DATA_CREATED && field("data").is_none() {
        return Err(Error::msg("a message of type \"data_created\" needs `data`"));
    }
    check_record_name(name, kept)
}

fn check_record_name(name: &str, kept: bool) -> Result {
    recorder::check_name(name)?;
    if !kept {
        return Err(Error::msg(format_args!(
            "{name:?} cannot be recorded: this run has no recorder. Activate it with `Run::recorder(\"recorder-data\")`, or \
             with `Run::record_in_memory()` in a test"
        )));
    }
    Ok(())
}

impl Visit {
    fn with_extensions<T>(&self, look: impl FnOnce(&mut Extensions) -> T) -> T {
        let mut extensions = self.extensions.take();
        let found = look(&mut extensions);
        self.extensions.set(extensions);
        found
    }

    /// Where all that is counted for this run of the journey is counted.
    pub(crate) fn stats(&self) -> RefMut<'_, PartFigures> {
        self.env.stats(self.ids.part)
    }

    /// Drops what extensions attached, sessions first of all.
    pub(crate) fn close(&self) {
        self.has_ended.set(true);
        // Taken out first: dropping a session may look for another extension.
        let extensions = self.extensions.take();
        drop(extensions);
    }

    fn cut_off_at(&self, path: PathId, transaction_id: u32) {
        let first = self.cut_off.take().unwrap_or_else(|| Box::new((path, transaction_id)));
        self.cut_off.set(Some(first));
    }
}

impl Scope {
    /// The configuration of the run.
    pub fn config(&self) -> &Config {
        &self.visit.env.shared.config
    }

    /// Whether the run of the journey that this belongs to is over: what outlives it should do nothing more in its name.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.visit.has_ended.get()
    }

    /// Whether any sink or [metric](crate::stats) wants messages of this type: if none does, there is no need to build one.
    ///
    /// ```
    /// # use mite_core::Scope;
    /// # fn answered(scope: &Scope) {
    /// if scope.wants("kv_metrics") {
    ///     scope.emit("kv_metrics", &serde_json::json!({"command": "GET"}));
    /// }
    /// # }
    /// ```
    #[inline]
    pub fn wants(&self, kind: &str) -> bool {
        self.visit.env.outbox.who_wants(kind).lanes != 0
    }

    /// Sends a message that nobody waits for, such as a metric. Where no sink and no metric wants it, nothing is
    /// done.
    ///
    /// A value that cannot be a message (no map, or a field with a name that mite adds itself) is reported as an error of the
    /// journey.
    ///
    /// ```
    /// # use mite_core::{Context, Scope};
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct KvMetrics<'a> {
    ///     command: &'a str,
    ///     total_time: f64,
    /// }
    ///
    /// fn answered(scope: &Scope, seconds: f64) {
    ///     if scope.wants("kv_metrics") {
    ///         scope.emit("kv_metrics", &KvMetrics { command: "GET", total_time: seconds });
    ///     }
    /// }
    /// ```
    pub fn emit<T: Serialize + ?Sized>(&self, kind: &str, fields: &T) {
        let env = &self.visit.env;
        let Some((kind_id, wanted)) = env.wanted(kind) else { return };
        let mut own = env.scratch();
        match message::own_fields(kind, fields, &mut own) {
            Ok((count, start)) => {
                // A sink whose failure ends the run has ended it already.
                let _ = env.outbox.push(wanted, self.head(kind_id, count), &own[start..]);
            }
            Err(error) => self.report(&mut error.into()),
        }
        env.put_back(own);
    }

    /// As [`Context::counter`].
    pub fn counter<'a>(&'a self, name: &'a str) -> Handle<'a, Counting> {
        self.handle(name)
    }

    /// As [`Context::gauge`].
    pub fn gauge<'a>(&'a self, name: &'a str) -> Handle<'a, Setting> {
        self.handle(name)
    }

    /// As [`Context::histogram`].
    pub fn histogram<'a>(&'a self, name: &'a str) -> Handle<'a, Spreading> {
        self.handle(name)
    }

    fn handle<'a, K: Kind>(&'a self, name: &'a str) -> Handle<'a, K> {
        let env = &self.visit.env;
        let is_measured = self.visit.ids.part == Part::Measured;
        Handle::new(is_measured.then_some(&env.outbox.meter), name, env.shared.wall.seconds_at(Moment::now()))
    }

    /// Counts one request among the report's requests.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use mite_core::{RequestSample, Scope};
    /// fn answered(scope: &Scope, started: Instant, bytes: u64) {
    ///     let total = started.elapsed();
    ///     scope.request(&RequestSample { method: "GET", code: 200, bytes, total, ..RequestSample::default() });
    /// }
    ///
    /// /// No answer: code 0, the class of the error, and the time that it took.
    /// fn failed(scope: &Scope, started: Instant) {
    ///     let total = started.elapsed();
    ///     scope.request(&RequestSample { method: "GET", error: Some("timeout"), total, ..RequestSample::default() });
    /// }
    /// ```
    #[inline]
    pub fn request(&self, sample: &RequestSample<'_>) {
        self.visit.stats().request(self.visit.ids.row, self.path, sample);
    }

    /// Keeps a request that failed for the report, with what was sent and what came back, if there is room: see
    /// [`Report::failed_exchanges`](crate::Report::failed_exchanges).
    ///
    /// What has failed is the protocol's to say. `sample` is what [`Scope::request`] is given for it, and counts there alone;
    /// its times are not looked at but for the total. `text` is only called if the exchange will be kept, so that no text is
    /// written out for the others, which cost a comparison or a few.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mite_core::{Context, ExchangeText, RequestSample};
    /// # fn measured(ctx: &Context, path: &str) {
    /// let scope = ctx.scope();
    /// let sample = RequestSample { method: "GET", name: Some("/users/{id}"), code: 503, ..RequestSample::default() };
    /// scope.request(&sample);
    /// scope.failed_exchange(&sample, || ExchangeText {
    ///     url: format!("http://localhost:8080{path}"),
    ///     request: format!("GET {path} HTTP/1.1\nauthorization: ***"),
    ///     response: "HTTP/1.1 503 Service Unavailable\n\nno database".to_owned(),
    ///     ..ExchangeText::default()
    /// });
    /// # }
    /// ```
    pub fn failed_exchange(&self, sample: &RequestSample<'_>, text: impl FnOnce() -> ExchangeText) {
        if !self.visit.stats().has_room_for_exchange(self.path, sample) {
            return;
        }
        // Before the figures are borrowed: the session may count something as it writes.
        let text = text();
        let at = self.visit.env.run_time();
        self.visit.stats().failed_exchange(self.path, at, sample, text);
    }

    /// Shows a request that has ended, whatever came of it, to who looks on: see [`Run::on_exchange`](crate::Run::on_exchange).
    /// `text` is only called where somebody does.
    #[inline]
    pub fn show_exchange(&self, sample: &RequestSample<'_>, text: impl FnOnce() -> ExchangeText) {
        if let Some(shown) = &self.visit.env.shared.on_exchange {
            self.call_with_exchange(shown, sample, text());
        }
    }

    #[cold]
    fn call_with_exchange(&self, shown: &OnExchange, sample: &RequestSample<'_>, text: ExchangeText) {
        let env = &self.visit.env;
        let path = env.shared.names.path(self.path);
        let journey = env.shared.names.journey(self.visit.ids.row);
        let at = env.run_time();
        shown.call(&mut Exchange { journey, transaction: path.short(), at, sample: *sample, text });
    }

    /// A monotonic instant in Unix seconds, on the run's clock.
    pub fn unix_time(&self, at: Instant) -> f64 {
        self.visit.env.shared.wall.unix_seconds(at)
    }

    /// Whether the row of this journey has stopped.
    pub fn should_stop(&self) -> bool {
        self.visit.env.should_stop(self.visit.ids.row)
    }

    fn head(&self, kind: crate::names::KindId, own: u32) -> Head {
        self.head_at(kind, own, self.path, self.transaction_id)
    }

    fn head_at(&self, kind: crate::names::KindId, own: u32, path: PathId, transaction_id: u32) -> Head {
        let VisitIds { row, context_id, data_id, part, .. } = self.visit.ids;
        let time = self.visit.env.shared.wall.seconds_at(Moment::now());
        let transaction_id = transaction_id.into();
        let runner = self.visit.env.shared.names.runner;
        let place = Some(Place { runner, row, context_id, data_id, path: Some(path), transaction_id, part });
        Head { kind, time, place, own, end: 0 }
    }

    /// Reports an error of the journey here, unless it has been.
    pub(crate) fn report(&self, error: &mut Error) {
        if error.is_reported() {
            return;
        }
        error.set_reported();
        if let Some(what) = RanOut::of(error.cause()) {
            *self.visit.stats().ran_out.entry(what).or_default() += 1;
        }
        let (path, id) = (self.path, self.transaction_id);
        let location = error.location();
        let place = format!("{}:{}", location.file(), location.line());
        let message = format!("{}: {}", error.type_name(), error.chain());
        self.report_at(path, id, "error", error.type_name(), message, &place, |own| {
            for (key, value) in error.fields() {
                // A field must not replace one that the message has.
                let taken = ["message", "ex_type", "location"].contains(&&**key) || RESERVED.contains(&&**key);
                pack::write_str(own, &if taken { format!("{key}_") } else { key.clone() });
                own.extend_from_slice(value);
            }
            error.fields().len() as u32
        });
    }

    /// Reports a panic of the journey, in the transaction that it cut off.
    pub(crate) fn report_panic(&self, text: &str, panic: Option<&Panic>) {
        let (path, id) = self.visit.cut_off.take().map_or((self.path, self.transaction_id), |place| *place);
        let place = panic.map_or("unknown:0", |panic| &panic.place);
        self.report_at(path, id, "exception", "panic", format!("panic: {text}"), place, |own| {
            pack::write_str(own, "stacktrace");
            match panic {
                Some(panic) => pack::write_str(own, &panic.stack()),
                None => pack::write_str(own, ""),
            }
            1
        });
    }

    /// Reports that the journey was cut off by its row's timeout.
    pub(crate) fn report_timeout(&self, error: &mut Error) {
        let (path, transaction_id) = self.visit.cut_off.take().map_or((self.path, self.transaction_id), |place| *place);
        Scope { visit: Rc::clone(&self.visit), path, transaction_id }.report(error);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message, in their order")]
    fn report_at(
        &self,
        path: PathId,
        transaction_id: u32,
        kind: &'static str,
        ex_type: &str,
        message: String,
        place: &str,
        more: impl FnOnce(&mut Vec<u8>) -> u32,
    ) {
        let env = &self.visit.env;
        let journey = env.shared.names.journey(self.visit.ids.row);
        let function = journey.rsplit(':').next().unwrap_or(journey);
        let location = format!("{place}:{function}");
        if let Some((kind_id, wanted)) = env.wanted(kind) {
            let mut own = env.scratch();
            for (key, value) in [("message", &*message), ("ex_type", ex_type), ("location", &*location)] {
                pack::write_str(&mut own, key);
                pack::write_str(&mut own, value);
            }
            let count = 3 + more(&mut own);
            // As above.
            let _ = env.outbox.push(wanted, self.head_at(kind_id, count, path, transaction_id), &own);
            env.put_back(own);
        }
        tracing::debug!(journey, location, "{message}");
        self.visit.stats().error(&ErrorKey { path, ex_type: ex_type.to_owned(), message, location });
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = &self.visit.env;
        f.debug_struct("Context")
            .field("journey", &env.shared.names.journey(self.visit.ids.row))
            .field("transaction", &env.shared.names.path(self.path).full)
            .finish_non_exhaustive()
    }
}

/// A transaction that is open: whatever way it ends, it is counted and the context stands outside of it again.
pub(crate) struct Transaction<'a> {
    context: &'a mut Context,
    outer: (PathId, u32),
    started: Moment,
    paused_before: u64,
    ended: bool,
}

impl<'a> Transaction<'a> {
    fn begin(context: &'a mut Context, name: &str) -> Self {
        let path = context.scope.visit.env.names.borrow_mut().child(context.scope.path, name);
        Self::begin_at(context, path, Moment::now())
    }

    /// The outermost transaction of a journey.
    pub(crate) fn root(context: &'a mut Context, started: Moment) -> Self {
        let path = context.scope.path;
        Self::begin_at(context, path, started)
    }

    fn begin_at(context: &'a mut Context, path: PathId, started: Moment) -> Self {
        let scope = &mut context.scope;
        let outer = (scope.path, scope.transaction_id);
        let id = scope.visit.transactions.get() + 1;
        scope.visit.transactions.set(id);
        (scope.path, scope.transaction_id) = (path, id);
        let paused_before = context.paused.get();
        Self { context, outer, started, paused_before, ended: false }
    }

    pub(crate) fn context(&mut self) -> &mut Context {
        self.context
    }

    /// Ends it with the body's result: an error is reported here, unless a transaction within has done so.
    pub(crate) fn end<T>(self, result: Result<T>) -> Result<T> {
        self.end_at(Moment::now(), result)
    }

    /// As [`Transaction::end`], where the time is known already.
    pub(crate) fn end_at<T>(mut self, ended: Moment, mut result: Result<T>) -> Result<T> {
        if let Err(error) = &mut result {
            self.context.scope.report(error);
        }
        self.close(ended, result.is_err(), true);
        result
    }

    /// Ends it after a panic within, which has been reported.
    pub(crate) fn end_panicked(mut self) {
        self.close(Moment::now(), true, true);
    }

    fn close(&mut self, ended: Moment, had_error: bool, timed: bool) {
        self.ended = true;
        let scope = &self.context.scope;
        let paused = self.context.paused.get().saturating_sub(self.paused_before);
        let time = timed.then(|| ended.since(self.started).saturating_sub(paused));
        let env = &scope.visit.env;
        scope.visit.stats().transaction(scope.visit.ids.row, scope.path, had_error, time);
        if let Some((kind, wanted)) = env.wanted("txn") {
            let mut own = env.scratch();
            pack::write_str(&mut own, "start_time");
            pack::write_f64(&mut own, env.shared.wall.seconds_at(self.started));
            pack::write_str(&mut own, "end_time");
            pack::write_f64(&mut own, env.shared.wall.seconds_at(ended));
            pack::write_str(&mut own, "had_error");
            pack::write_bool(&mut own, had_error);
            let mut count = 3;
            if paused != 0 {
                pack::write_str(&mut own, "paused_time");
                pack::write_f64(&mut own, Duration::from_nanos(paused).as_secs_f64());
                count += 1;
            }
            // Who ends the transaction waits for room.
            let _ = env.outbox.push(wanted, scope.head(kind, count), &own);
            env.put_back(own);
        }
        let scope = &mut self.context.scope;
        (scope.path, scope.transaction_id) = self.outer;
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // A panic or a cancellation: the innermost comes first, and is where a panic or a timeout is reported. One that the
        // journey itself gave up, and goes on after, is neither.
        let scope = &self.context.scope;
        if std::thread::panicking() || !panics::is_watched() {
            scope.visit.cut_off_at(scope.path, scope.transaction_id);
        }
        self.close(Moment::now(), true, false);
    }
}
