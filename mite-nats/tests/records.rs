//! What journeys record arrives in files, whatever dies on the way: runners, the recorder and the server are killed by SIGKILL at
//! random, and each record that was acknowledged is in its file, once, and in its runner's order.
//!
//! Each part is a process of its own, which is this program again. `cargo test -p mite-nats --test records` is the short form;
//! after `--`, `--long` makes it 200 000 records and 30 kills, and `--seed N` repeats the kills of another time. Where nats-server
//! is not installed, it says so; with `CI` in the environment it fails.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mite_core::bus::Fabric;
use mite_core::testing::records::{RecordProducer, last_item, record_from_log};
use mite_nats::testing::Server;
use mite_nats::{Nats, Options};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than anything takes, on any machine; what takes longer hangs.
const LONG: Duration = Duration::from_secs(120);
const RUN: &str = "run7";
const NAME: &str = "users";
/// How many runners there are at a time.
const RUNNERS: u32 = 3;
/// After so many records a runner waits until all are acknowledged, and says so.
const TELLS_EVERY: u64 = 500;

/// A record: its runner, the runner's process, and its number there.
type Row = (u32, u64, u64);

fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["runner", url, rid, boot, records, every] => {
            runner(url, rid.parse()?, boot.parse()?, records.parse()?, every.parse()?)
        }
        ["recorder", url, folder] => recorder(url, Path::new(folder)),
        // Somebody only asks what tests there are.
        _ if args.contains(&"--list") => Ok(()),
        _ => {
            let seed = args.iter().position(|arg| *arg == "--seed").and_then(|at| args.get(at + 1));
            let seed = match seed {
                Some(seed) => seed.parse()?,
                None => SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into(),
            };
            let (records, kills) = if args.contains(&"--long") { (200_000, 30) } else { (30_000, 6) };
            throughput(200_000)?;
            chaos(records, kills, seed)
        }
    }
}

/// Numbers that look random, and are the same for the same seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// A connection, made as soon as the server is there.
async fn connect(url: &str) -> Result<Arc<dyn Fabric>> {
    loop {
        match Nats::connect(Options::new(url)).await {
            Ok(nats) => return Ok(Arc::new(nats)),
            Err(error) if error.is_disconnected() || error.is_timeout() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// The process of a runner: it says how many of its records are acknowledged.
fn runner(url: &str, rid: u32, boot: u64, records: u64, every: u64) -> Result {
    let runtime = runtime()?;
    let fabric = runtime.block_on(connect(url))?;
    let mut producer = RecordProducer::new(fabric, RUN, rid, boot);
    for number in 0..records {
        let row: Row = (rid, boot, number);
        producer.record(NAME, &row)?;
        if (number + 1) % every == 0 || number + 1 == records {
            producer.drain()?;
            println!("{}", number + 1);
        }
    }
    Ok(())
}

/// The process of the recorder: it is told the last item of the log, and says how many records there are.
fn recorder(url: &str, folder: &Path) -> Result {
    let runtime = runtime()?;
    let (tell, told) = tokio::sync::oneshot::channel::<u64>();
    std::thread::spawn(move || {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok()
            && let Ok(last) = line.trim().parse()
        {
            let _ = tell.send(last);
        }
    });
    let counts = runtime.block_on(async {
        let fabric = connect(url).await?;
        let last = async {
            match told.await {
                Ok(last) => last,
                Err(_) => std::future::pending().await,
            }
        };
        record_from_log(fabric, RUN, folder, last).await
    })?;
    println!("{}", counts.get(NAME).copied().unwrap_or_default());
    Ok(())
}

/// A process that says numbers.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

/// What a process has said: who it is, by what its starter calls it, and a number, or none when it has ended.
type Said = (u64, Option<u64>);

impl Process {
    fn start(id: u64, args: &[&str], said: &Sender<Said>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or("it has an output")?);
        let said = said.clone();
        std::thread::spawn(move || {
            for number in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let _ = said.send((id, number.parse().ok()));
            }
            let _ = said.send((id, None));
        });
        Ok(Self { child, stdin })
    }

    fn tell(&mut self, number: u64) -> Result {
        if let Some(stdin) = &mut self.stdin {
            writeln!(stdin, "{number}")?;
        }
        Ok(())
    }

    fn kill9(&mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A runner's place, in which one process follows another.
struct Place {
    process: Process,
    /// By what its process is told from others.
    id: u64,
    /// What its process has said is acknowledged.
    acknowledged: u64,
    /// What it has to record.
    wanted: u64,
}

/// The parts of a run, and what they have said.
struct Cluster {
    server: Server,
    folder: tempfile::TempDir,
    said: (Sender<Said>, Receiver<Said>),
    processes: u64,
}

impl Cluster {
    fn start() -> Result<Option<Self>> {
        let Some(server) = Server::start() else { return Ok(None) };
        Ok(Some(Self { server, folder: tempfile::tempdir()?, said: channel(), processes: 0 }))
    }

    fn recorder(&mut self) -> Result<(u64, Process)> {
        self.processes += 1;
        let folder = self.folder.path().display().to_string();
        let process = Process::start(self.processes, &["recorder", &self.server.url(), &folder], &self.said.0)?;
        Ok((self.processes, process))
    }

    fn runner(&mut self, rid: u32, wanted: u64, every: u64) -> Result<Place> {
        self.processes += 1;
        let (id, url) = (self.processes, self.server.url());
        let (rid, boot, records, every) = (rid.to_string(), id.to_string(), wanted.to_string(), every.to_string());
        let args = ["runner", &url, &rid, &boot, &records, &every];
        Ok(Place { process: Process::start(id, &args, &self.said.0)?, id, acknowledged: 0, wanted })
    }

    /// Waits for what anybody says.
    fn hear(&self) -> Result<Said> {
        Ok(self.said.1.recv_timeout(LONG)?)
    }

    /// Waits until the recorder has recorded all, and gives how many records it has told of.
    fn finish(&mut self, (id, mut recorder): (u64, Process)) -> Result<u64> {
        let last = runtime()?.block_on(async { last_item(&*connect(&self.server.url()).await?, RUN).await })?;
        recorder.tell(last)?;
        loop {
            if let (of, told) = self.hear()?
                && of == id
            {
                let told = told.ok_or("the recorder has failed")?;
                assert!(recorder.child.wait()?.success());
                return Ok(told);
            }
        }
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let rows = mite_core::recorded_rows::<Row>(self.folder.path().join(format!("{NAME}.msgpack")))?;
        rows.map(|row| Ok(row?)).collect()
    }
}

/// How many records go through the log into a file in a second, when nobody dies.
fn throughput(records: u64) -> Result {
    let Some(mut cluster) = Cluster::start()? else { return Ok(()) };
    let began = Instant::now();
    let recorder = cluster.recorder()?;
    let each = records / u64::from(RUNNERS);
    let places: Result<Vec<Place>> = (0..RUNNERS).map(|rid| cluster.runner(rid, each, each)).collect();
    let mut places = places?;
    while places.iter().any(|place| place.acknowledged < each) {
        let (id, told) = cluster.hear()?;
        if let Some(place) = places.iter_mut().find(|place| place.id == id) {
            place.acknowledged = place.acknowledged.max(told.unwrap_or_default());
        }
    }
    let acknowledged = began.elapsed();
    let recorded = cluster.finish(recorder)?;
    let took = began.elapsed();
    assert_eq!(recorded, each * u64::from(RUNNERS));
    assert_eq!(cluster.rows()?.len() as u64, recorded);
    println!(
        "{RUNNERS} runners, nobody dies: {recorded} records, {:.0}/s acknowledged, {:.0}/s in the file (the start of processes included)",
        recorded as f64 / acknowledged.as_secs_f64(),
        recorded as f64 / took.as_secs_f64()
    );
    Ok(())
}

/// Kills somebody so many times while so many records are acknowledged.
fn chaos(records: u64, kills: u64, seed: u64) -> Result {
    let Some(mut cluster) = Cluster::start()? else { return Ok(()) };
    println!("seed {seed}");
    let mut random = Random(seed);
    let each = records / u64::from(RUNNERS);
    // Each kill comes once so many are acknowledged; some records are left for after the last.
    let mut at: Vec<u64> = (0..kills).map(|_| random.below(records * 9 / 10)).collect();
    at.sort_unstable();
    let mut at = at.into_iter().peekable();
    let began = Instant::now();
    let mut recorder = cluster.recorder()?;
    let places: Result<Vec<Place>> = (0..RUNNERS).map(|rid| cluster.runner(rid, each, TELLS_EVERY)).collect();
    let mut places = places?;
    // What is known to be acknowledged of each process.
    let mut acknowledged: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    let mut total = 0;
    let mut killed = BTreeMap::<&str, u64>::new();
    while places.iter().any(|place| place.acknowledged < place.wanted) {
        let (id, told) = cluster.hear()?;
        assert!(id != recorder.0, "the recorder has ended by itself");
        if let Some(rid) = places.iter().position(|place| place.id == id) {
            let place = &mut places[rid];
            let Some(told) = told else {
                assert_eq!(place.acknowledged, place.wanted, "runner {rid} has ended by itself");
                continue;
            };
            total += told - place.acknowledged;
            place.acknowledged = told;
            acknowledged.insert((rid as u32, id), told);
        }
        if at.next_if(|at| *at <= total).is_some() {
            let rid = random.below(RUNNERS.into()) as usize;
            let who = match random.below(3) {
                0 => {
                    cluster.server.kill9();
                    cluster.server.restart();
                    "nats-server"
                }
                1 => {
                    recorder.1.kill9()?;
                    recorder = cluster.recorder()?;
                    "recorder"
                }
                _ => {
                    places[rid].process.kill9()?;
                    // What it had acknowledged and is not heard yet is more than is asked for.
                    let Place { acknowledged, wanted, .. } = places[rid];
                    places[rid] = cluster.runner(rid as u32, wanted - acknowledged, TELLS_EVERY)?;
                    "runner"
                }
            };
            *killed.entry(who).or_default() += 1;
        }
    }
    let told = cluster.finish(recorder)?;
    let took = began.elapsed();
    let rows = cluster.rows()?;
    assert_eq!(told, rows.len() as u64);
    // Each once, and in the order of each process; all that was acknowledged.
    let mut found: BTreeMap<(u32, u64), Vec<u64>> = BTreeMap::new();
    for (rid, boot, number) in &rows {
        found.entry((*rid, *boot)).or_default().push(*number);
    }
    for (process, numbers) in &found {
        assert!(numbers.is_sorted_by(|one, other| one < other), "those of {process:?} are in their order, each once");
    }
    for (process, told) in &acknowledged {
        let numbers = found.get(process).map(Vec::as_slice).unwrap_or_default();
        assert!(numbers.iter().take(*told as usize).copied().eq(0..*told), "{process:?}: {told} were acknowledged");
    }
    let sum: u64 = acknowledged.values().sum();
    assert!(sum >= each * u64::from(RUNNERS));
    assert_eq!(killed.values().sum::<u64>(), kills, "all were killed that should have been");
    println!(
        "{sum} acknowledged records, {} in the file, each once, through {kills} kills {killed:?}: {:.1} s, {:.0}/s",
        rows.len(),
        took.as_secs_f64(),
        sum as f64 / took.as_secs_f64()
    );
    Ok(())
}
