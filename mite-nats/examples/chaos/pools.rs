//! The tests of data pools: what becomes of items when the runners that have them are killed, stand still or are cut off.
//!
//! They are apart from those of starts, since what the target counts here is items, and who uses them when.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use mite_core::Report;
use mite_nats::testing::Server;
use tokio::time::sleep;

use crate::cases::{Form, MS, millis};
use crate::cluster::{Arrived, Cluster, Outcome, SECOND, Setting, random, told};
use crate::proxy::{Network, Proxy};
use crate::roles::{Data, items_file};
use crate::table::Findings;
use crate::target::{Over, Use};

/// What a runner has of items that come once, as the guide says: for so many seconds, and at the least so many.
const LASTS: u64 = 6;
const AT_LEAST: u64 = 1000;

/// Items that come once, and runners that are lost.
pub(crate) async fn t12(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let (items, rate) = form.either((60_000, 2400), (1_000_000, 4000));
    let kills = form.either(3, 20);
    let mut setting = Setting::new(rate, items / rate + 30);
    setting.plan.data = Data::Once { items };
    let mut cluster = Cluster::start(server, setting).await?;
    let way = cluster.server.url();
    let between = form.either(2500 * MS, 7 * SECOND);
    for kill in 0..kills {
        cluster.until(2 * SECOND + kill * between + random(0..SECOND)).await;
        cluster.kill_one();
        cluster.add_runner(&way).await?;
    }
    cluster.until(2 * SECOND + kills * between + random(0..SECOND)).await;
    let stands = cluster.one();
    cluster.runners[&stands].freeze();
    sleep(Duration::from_secs(2)).await;
    cluster.runners[&stands].thaw();
    sleep(Duration::from_nanos(SECOND + random(0..SECOND))).await;
    cluster.restart_server();
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold_counts(findings, &report);
    let at_target = AtTarget::of(&arrived, items);
    findings.equal("items that came twice", at_target.count(|times| times > 1), 0);
    at_target.hold(findings, &report);
    // Two of three may have all of the plan for a while.
    let most = (LASTS * rate / 2).max(AT_LEAST);
    let burned = burned_by_runner(&report);
    findings.equal_in_time("runners whose items are told as burned", burned.len() as u64, kills + 1);
    findings.at_most("burned with one runner", burned.values().copied().max().unwrap_or_default(), most, "items");
    Ok(())
}

/// The same, where what a lost runner had is handed out again.
pub(crate) async fn t12_again(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let (items, rate) = form.either((24_000, 2400), (200_000, 4000));
    let kills = form.either(3, 10);
    let mut setting = Setting::new(rate, items / rate + 30);
    let file = server.folder().join("items.csv");
    std::fs::write(&file, items_file(items)).map_err(told)?;
    setting.plan.data = Data::AtLeastOnce { file };
    let mut cluster = Cluster::start(server, setting).await?;
    let way = cluster.server.url();
    for kill in 0..kills {
        cluster.until(2 * SECOND + kill * 3 * SECOND + random(0..SECOND)).await;
        cluster.kill_one();
        cluster.add_runner(&way).await?;
    }
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold_counts(findings, &report);
    let at_target = AtTarget::of(&arrived, items);
    findings.equal("items that did not come", at_target.count(|times| times == 0), 0);
    findings.equal("items from nowhere", at_target.strange, 0);
    findings.note("items that came twice or more", at_target.count(|times| times > 1));
    findings.equal("ranges that are told as burned", burned(&report).len(), 0);
    Ok(())
}

/// How often each item has come.
struct AtTarget {
    times: Vec<u8>,
    /// Those that are none.
    strange: u64,
}

impl AtTarget {
    fn of(arrived: &Arrived, items: u64) -> Self {
        let mut at_target = Self { times: vec![0; items as usize], strange: 0 };
        for arrival in &arrived.arrivals {
            match at_target.times.get_mut(arrival.item as usize) {
                Some(times) => *times = times.saturating_add(1),
                None => at_target.strange += 1,
            }
        }
        at_target
    }

    fn count(&self, is_so: impl Fn(u8) -> bool) -> usize {
        self.times.iter().filter(|times| is_so(**times)).count()
    }

    /// That all items are used, or told as burned, or were handed out to nobody.
    fn hold(&self, findings: &mut Findings, report: &Report) {
        let mut is_burned = vec![false; self.times.len()];
        for (_, range) in burned(report) {
            is_burned[range.start as usize..range.end as usize].fill(true);
        }
        let count = |is_so: &dyn Fn(bool, bool) -> bool| {
            self.times.iter().zip(&is_burned).filter(|(times, burned)| is_so(**times > 0, **burned)).count() as u64
        };
        let (used, burned, both) =
            (count(&|used, _| used), count(&|_, burned| burned), count(&|used, burned| used && burned));
        let row = &report.journeys[0];
        let never = row.unused_items.unwrap_or_default();
        let all = self.times.len() as u64;
        findings.equal("items from nowhere", self.strange, 0);
        findings
            .note("used | burned | of them used | never handed out", format!("{used} | {burned} | {both} | {never}"));
        findings.equal("items that came or are told as burned or never handed out", used + burned - both + never, all);
    }
}

/// What the report tells of items that nobody is given any more, by runner, counted from 0.
fn burned(report: &Report) -> Vec<(u32, Range<u64>)> {
    let read = |warning: &String| {
        let (_, told) =
            warning.split_once(": items ").filter(|_| warning.contains("of its data pool were with runner"))?;
        let mut numbers = told.split(' ').filter_map(|word| word.parse::<u64>().ok());
        let (first, last, runner) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some((u32::try_from(runner).ok()?, first - 1..last))
    };
    report.warnings.iter().filter_map(read).collect()
}

fn burned_by_runner(report: &Report) -> BTreeMap<u32, u64> {
    let mut by_runner = BTreeMap::new();
    for (runner, range) in burned(report) {
        *by_runner.entry(runner).or_default() += range.end - range.start;
    }
    by_runner
}

/// What happened to a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Killed,
    StoodStill,
    WasCutOff,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    what: What,
    runner: u32,
    /// By the boot clock.
    from: u64,
}

/// Accounts, each of which one start has at a time, and runners that are lost.
pub(crate) async fn t13(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let (items, rate) = form.either((2000, 1200), (10_000, 2400));
    let (hold, timeout) = form.either((1100, 2000), (2400, 5000));
    let (hold, timeout) = (Duration::from_millis(hold), Duration::from_millis(timeout));
    let quarantine = timeout.as_nanos() as u64;
    let each = 2 * quarantine + 2 * SECOND;
    let troubles = form.either(3, 20);
    // By then what the last one had is free again, and long before the end all have had their turn.
    let all_free = each * troubles / SECOND + 2;
    let seconds = all_free + 2 * items / rate + 2 * hold.as_secs() + 2;
    let mut setting = Setting::new(rate, seconds);
    setting.plan.data = Data::Accounts { items, hold, timeout };
    let mut proxies = BTreeMap::new();
    for number in 1..=setting.runners as u32 {
        let proxy = Proxy::start(server.address(), Network::GOOD).await;
        setting.ways.push(Some(proxy.url.clone()));
        proxies.insert(number, proxy);
    }
    let mut cluster = Cluster::start(server, setting).await?;
    let mut seen = Vec::new();
    for number in 0..troubles {
        cluster.until(2 * SECOND + number * each + random(0..SECOND)).await;
        let runner = cluster.one();
        let from = cluster.now();
        let what = match number % 3 {
            0 => What::Killed,
            1 => What::StoodStill,
            _ => What::WasCutOff,
        };
        let for_how_long = Duration::from_nanos(SECOND + random(0..2 * quarantine - SECOND));
        match what {
            What::Killed => {
                cluster.kill(runner);
                let proxy = Proxy::start(cluster.server.address(), Network::GOOD).await;
                let joined = cluster.add_runner(&proxy.url).await?;
                proxies.insert(joined, proxy);
            }
            What::StoodStill => {
                cluster.runners[&runner].freeze();
                sleep(for_how_long).await;
                cluster.runners[&runner].thaw();
            }
            What::WasCutOff => {
                let proxy = proxies.get(&runner).ok_or("there is no such proxy")?;
                proxy.set(if number % 2 == 0 { Network::Cut } else { Network::Frozen });
                sleep(for_how_long).await;
                proxy.set(Network::GOOD);
            }
        }
        seen.push(Trouble { what, runner, from: from + cluster.origin });
    }
    let report = cluster.end().await?;
    cluster.arrived().hold_counts(findings, &report);
    let uses = cluster.target.uses();
    let row = &report.journeys[0];
    findings.note("uses | starved", format!("{} | {}", uses.len(), row.starved));
    hold_uses(findings, &uses, &seen, quarantine);
    let at_last = uses.iter().filter(|of| of.begun > cluster.origin + all_free * SECOND).map(|of| of.item);
    findings.equal_in_time(
        "accounts in use once all are free again",
        at_last.collect::<BTreeSet<u64>>().len() as u64,
        items,
    );
    Ok(())
}

/// How much later what a cancelled start did last may be noted than what was begun after it by the same process, on another
/// connection: nobody has waited for the answer.
const UNORDERED: u64 = 100 * MS;

/// That nobody did anything with an account after somebody else had begun to use it, and that none of a lost runner was in use again
/// before its quarantine was over.
fn hold_uses(findings: &mut Findings, uses: &[Use], troubles: &[Trouble], quarantine: u64) {
    let mut by_item: BTreeMap<u64, Vec<&Use>> = BTreeMap::new();
    for of in uses {
        by_item.entry(of.item).or_default().push(of);
    }
    let (mut overlaps, mut longest, mut idle) = (0_u64, 0, 0_u64);
    // Of those that a runner had in use when it was lost: how long after it others had them.
    let mut later = Vec::new();
    for uses in by_item.values() {
        for (at, of) in uses.iter().enumerate() {
            for next in &uses[at + 1..] {
                let used_until = match of.over {
                    Some(Over::Ended(at)) => at,
                    _ if next.runner == of.runner => of.last.saturating_sub(UNORDERED),
                    _ => of.last,
                };
                if next.begun < used_until {
                    overlaps += 1;
                    longest = longest.max(used_until - next.begun);
                } else if of.over.is_none_or(|over| next.begun < over.at()) {
                    idle += 1;
                }
            }
            let was_in_use = |trouble: &&Trouble| {
                let is_over = of.over.is_some_and(|over| over.at() <= trouble.from);
                trouble.runner == of.runner && of.begun <= trouble.from && !is_over
            };
            // One that is cut off goes on with what it had.
            let is_meant = |trouble: &&Trouble| trouble.what != What::WasCutOff;
            if let Some(trouble) = troubles.iter().find(was_in_use).filter(is_meant)
                && let Some(next) = uses.get(at + 1).filter(|next| next.runner != of.runner)
            {
                later.push(next.begun.saturating_sub(trouble.from));
            }
        }
    }
    findings.equal("accounts that two used at a time", overlaps, 0);
    findings.note("for how long, at the most", format!("{:.1} ms", millis(longest)));
    findings.note("just closed late, and not used any more", idle);
    findings.holds("accounts that a lost runner had in use, and others had later", later.len(), !later.is_empty());
    let soon = later.iter().filter(|after| **after < quarantine).count();
    findings.equal("of them in use again before the quarantine was over", soon, 0);
    let soonest = millis(later.into_iter().min().unwrap_or_default());
    findings.note("the soonest, after it was lost", format!("{soonest:.0} ms of {:.0} ms", millis(quarantine)));
}
