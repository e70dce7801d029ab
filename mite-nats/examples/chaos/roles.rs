//! What the processes are: a controller and runners, as a program has them that was written with mite.
//!
//! They are apart from the tests, which know them by their files, their figures and what they do to the target alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mite_core::cluster::{Join, Lead, LostItems, OnRunnerLoss, join};
use mite_core::volume::{HOUR, SECOND, Stages, constant};
use mite_core::{
    Context, FileDataPool, IterableDataPool, NoData, RecyclableIterableDataPool, RequestSample, Result, Row, Run,
    Scenario,
};
use mite_nats::{Nats, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::target::{Step, Told};

/// What is run, as all processes are told by their command lines.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Starts each second.
    pub(crate) rate: u64,
    pub(crate) seconds: u64,
    /// How many different names its requests have.
    pub(crate) series: u64,
    pub(crate) data: Data,
}

/// What the journeys are given.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    None,
    /// Numbers from 0 on, each once; what a lost runner had is given to nobody.
    Once {
        items: u64,
    },
    /// Those in a file, each at least once.
    AtLeastOnce {
        file: PathBuf,
    },
    /// Numbers from 0 on, each of which one start has at a time, for so long in the middle. Some starts would have it for ever, but
    /// for their timeout.
    Accounts {
        items: u64,
        hold: Duration,
        timeout: Duration,
    },
}

impl Plan {
    pub(crate) fn model(&self) -> Stages {
        constant(self.rate as f64, Duration::from_secs(self.seconds))
    }

    pub(crate) fn planned(&self) -> u64 {
        self.rate * self.seconds
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let Self { rate, seconds, series, data } = self;
        let mut arguments = vec![format!("rate={rate}"), format!("seconds={seconds}"), format!("series={series}")];
        match data {
            Data::None => {}
            Data::Once { items } => arguments.extend(["data=once".to_owned(), format!("items={items}")]),
            Data::AtLeastOnce { file } => {
                arguments.extend(["data=file".to_owned(), format!("file={}", file.display())]);
            }
            Data::Accounts { items, hold, timeout } => arguments.extend([
                "data=accounts".to_owned(),
                format!("items={items}"),
                format!("hold={}", hold.as_millis()),
                format!("timeout={}", timeout.as_millis()),
            ]),
        }
        arguments
    }
}

/// `key=value` by key.
#[derive(Debug)]
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    pub(crate) fn of(arguments: impl Iterator<Item = String>) -> Self {
        let pair = |argument: String| {
            let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
            (key.to_owned(), value.to_owned())
        };
        Self(arguments.map(pair).collect())
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_else(|_| panic!("{key}=… has to be a whole number"))
    }

    fn milliseconds(&self, key: &str) -> Duration {
        Duration::from_millis(self.number(key))
    }

    fn plan(&self) -> Plan {
        let data = match self.text("data") {
            "once" => Data::Once { items: self.number("items") },
            "file" => Data::AtLeastOnce { file: self.text("file").into() },
            "accounts" => Data::Accounts {
                items: self.number("items"),
                hold: self.milliseconds("hold"),
                timeout: self.milliseconds("timeout"),
            },
            _ => Data::None,
        };
        Plan { rate: self.number("rate"), seconds: self.number("seconds"), series: self.number("series"), data }
    }
}

static RUNNER: AtomicU32 = AtomicU32::new(0);

/// A worker's connections to the target that nobody uses.
#[derive(Default)]
struct Idle(RefCell<Vec<TcpStream>>);

/// Tells the target its number, and waits for the answer.
async fn arrive(ctx: &mut Context) -> Result {
    use_once(ctx, 0).await
}

/// The same with an item.
async fn use_once(ctx: &mut Context, item: u64) -> Result {
    let mut stream = connected(ctx).await?;
    tell(&mut stream, ctx, item, Step::Arrives).await?;
    ctx.worker_extension(Idle::default).0.borrow_mut().push(stream);
    let k = ctx.start_index();
    let name = format!("/{}", k % ctx.config().get::<u64>("series")?);
    ctx.scope().request(&RequestSample {
        method: "GET",
        name: Some(&name),
        code: 200,
        total: told_time(k),
        ..RequestSample::default()
    });
    Ok(())
}

/// One of so many starts hangs.
const HANGS: u64 = 40;

/// How often a start does something with its account.
const USES_EVERY: Duration = Duration::from_millis(400);

/// Uses an account for about `hold`, or until it is cancelled.
async fn use_account(ctx: &mut Context, account: u64, hold: Duration) -> Result {
    let mut stream = connected(ctx).await?;
    tell(&mut stream, ctx, account, Step::Begins).await?;
    let random = hash(ctx.start_index());
    let for_how_long = hold / 2 + hold.mul_f64((random >> 32) as f64 / f64::from(u32::MAX));
    let mut left = if random.is_multiple_of(HANGS) { Duration::MAX } else { for_how_long };
    while left > USES_EVERY {
        tokio::time::sleep(USES_EVERY).await;
        tell(&mut stream, ctx, account, Step::Uses).await?;
        left -= USES_EVERY;
    }
    tokio::time::sleep(left).await;
    tell(&mut stream, ctx, account, Step::Ends).await?;
    ctx.worker_extension(Idle::default).0.borrow_mut().push(stream);
    Ok(())
}

/// A connection to the target that this start has to itself.
async fn connected(ctx: &mut Context) -> Result<TcpStream> {
    let unused = ctx.worker_extension(Idle::default).0.borrow_mut().pop();
    if let Some(stream) = unused {
        return Ok(stream);
    }
    let target: String = ctx.config().get("target")?;
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn tell(stream: &mut TcpStream, ctx: &Context, item: u64, step: Step) -> Result {
    let told = Told { k: ctx.start_index(), runner: RUNNER.load(Ordering::Relaxed), item, step };
    stream.write_all(&told.to_bytes()).await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

fn hash(k: u64) -> u64 {
    let mixed = k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// How long the request of a start is said to have taken, from a microsecond to a minute: who knows which starts were made knows
/// all of these.
pub(crate) fn told_time(k: u64) -> Duration {
    let hash = k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let exponent = (hash >> 59) % 26;
    Duration::from_micros((1 << exponent) + (hash & 0xffff_ffff) % (1 << exponent))
}

fn scenario(plan: &Plan) -> Scenario {
    let (scenario, model) = (Scenario::new().named("chaos"), plan.model());
    match plan.data.clone() {
        Data::None => scenario.journey(arrive, NoData, model),
        Data::Once { items } => {
            scenario.journey(use_once, IterableDataPool::new((0..items).map(|item| (item,))), model)
        }
        Data::AtLeastOnce { file } => {
            let rows = FileDataPool::csv::<(u64,)>(file).expect("the file of items is there");
            scenario.journey(use_once, rows, model)
        }
        Data::Accounts { items, hold, timeout } => {
            let accounts = RecyclableIterableDataPool::new((0..items).map(|item| (item,)));
            let journey = async move |ctx: &mut Context, account: u64| use_account(ctx, account, hold).await;
            scenario.row(Row::new(journey, accounts, model).named("use_account").timeout(timeout))
        }
    }
}

/// The items of [`Data::AtLeastOnce`], as they are written.
pub(crate) fn items_file(items: u64) -> String {
    let lines: Vec<String> = (0..items).map(|item| item.to_string()).collect();
    format!("item\n{}\n", lines.join("\n"))
}

async fn connect(arguments: &Arguments, name: &str) -> Arc<Nats> {
    let options = Options::new(arguments.text("nats")).name(name);
    Arc::new(Nats::connect(options).await.expect("the server of NATS is there"))
}

const BINARY: &str = "chaos";

/// Leads a run, and tells its report.
pub(crate) async fn controller(arguments: &Arguments) {
    let plan = arguments.plan();
    let lead = Lead::new(connect(arguments, "controller").await, BINARY)
        .expect(arguments.number("expect") as u32)
        .lease(arguments.milliseconds("lease"))
        .standby(arguments.text("standby") == "yes")
        .on_runner_loss(OnRunnerLoss::Rebalance)
        .lost_items(match plan.data {
            Data::AtLeastOnce { .. } => LostItems::Again,
            Data::None | Data::Once { .. } | Data::Accounts { .. } => LostItems::Burn,
        });
    let run = Run::new(scenario(&plan))
        .config("target", arguments.text("target"))
        .config("series", arguments.number("series"))
        .max_start_lag(HOUR)
        .graceful_stop(10 * SECOND);
    let handle = match run.lead(lead) {
        Ok(handle) => handle,
        Err(error) => return say(&format!("failed {error}")),
    };
    match handle.await {
        Ok(report) => {
            say(&format!("report {}", serde_json::to_string(&report).expect("a report has only text as keys")));
        }
        Err(error) => say(&format!("failed {error}")),
    }
}

/// Takes part in a run, until it is over or this process is asked to leave.
pub(crate) async fn runner(arguments: &Arguments) {
    let nats = connect(arguments, "runner").await;
    let me = Join { name: arguments.text("name").to_owned(), binary: BINARY.to_owned(), workers: 1 };
    let joined = match join(nats, me).await {
        Ok(joined) => joined,
        Err(error) => return say(&format!("failed {error}")),
    };
    RUNNER.store(joined.runner(), Ordering::Relaxed);
    say(&format!("joined {}", joined.runner()));
    let handle = match joined.start(Run::new(scenario(&arguments.plan()))) {
        Ok(handle) => handle,
        Err(error) => return say(&format!("failed {error}")),
    };
    let stopper = handle.stopper();
    let mut leave = signal(SignalKind::terminate()).expect("a process can have signals");
    tokio::spawn(async move {
        leave.recv().await;
        stopper.stop();
    });
    match handle.await {
        Ok(took_part) => say(&format!("ended {} {} {}", took_part.started, took_part.has_left, cpu_nanos())),
        Err(error) => say(&format!("failed {error}")),
    }
}

/// Carries the same out in one process.
pub(crate) async fn alone(arguments: &Arguments) {
    let run = Run::new(scenario(&arguments.plan()))
        .config("target", arguments.text("target"))
        .config("series", arguments.number("series"))
        .workers(1)
        .max_start_lag(HOUR);
    match run.run().await {
        Ok(report) => say(&format!("ended {} false {}", report.journeys[0].started, cpu_nanos())),
        Err(error) => say(&format!("failed {error}")),
    }
}

/// What this process has used of the CPU, in nanoseconds.
fn cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may listen any more.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
