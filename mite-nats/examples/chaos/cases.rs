//! The tests: what happens to a run, and what has to come of it.
//!
//! They are apart from the table and from what they are made of; each is told by its number in the design.

use std::time::Duration;

use mite_core::Report;
use mite_nats::testing::Server;
use tokio::time::sleep;

use crate::cluster::{Arrived, Cluster, Outcome, SECOND, Setting};
use crate::proxy::{Network, Proxy};
use crate::table::Findings;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) is_long: bool,
}

impl Form {
    fn either<T>(self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }
}

const MS: u64 = 1_000_000;

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// A number of some range that nobody can foresee.
fn random(range: std::ops::Range<u64>) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    range.start + RandomState::new().hash_one(0) % (range.end - range.start)
}

/// Nothing happens.
pub(crate) async fn t1(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(8, 30))).await?;
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    findings.equal("missing starts", arrived.counted.missing.len(), 0);
    findings.equal("started by the report", report.journeys[0].started, cluster.setting.plan.planned());
    let seconds = cluster.setting.plan.seconds;
    findings.at_most("off the plan in some second", arrived.off_plan(0, seconds * SECOND), 0.1, "%");
    let late = arrived.lateness(0, u64::MAX, None);
    findings.note("late by, p50 and p99", format!("{:.3}, {:.3} ms", millis(late[late.len() / 2]), millis(late[late.len() * 99 / 100])));
    let shares: Vec<usize> = (1..=3).map(|rid| arrived.lateness(0, u64::MAX, Some(rid)).len()).collect();
    findings.holds("each runner has a third", format!("{shares:?}"), shares.iter().all(|share| share.abs_diff(shares[0]) <= 1));
    Ok(())
}

/// `kill -9` of one runner of three.
pub(crate) async fn t4(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(10, 20))).await?;
    cluster.until(2 * SECOND + random(0..SECOND)).await;
    let victim = random(1..4) as u32;
    let list = cluster.members(cluster.epoch().await?.epoch).await?;
    cluster.runners.get_mut(&victim).ok_or("there is no such runner")?.kill9();
    let death = cluster.now();
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    let end = cluster.setting.plan.seconds * SECOND;
    findings.at_most("off the plan in some second from 2.0 s after it", arrived.off_plan(death + 2 * SECOND, end), 1.0, "%");
    findings.equal("missing that were due later than 2.0 s after it", arrived.missing_between(death + 2 * SECOND, u64::MAX), 0);
    hold_lost(findings, &arrived, &report, victim, death, |k| list.owner(k));
    Ok(())
}

/// What a runner did not tell before it was killed is told as lost; what of it has arrived is what it made in the second, or in
/// the two, that it had not told.
fn hold_lost(
    findings: &mut Findings,
    arrived: &Arrived,
    report: &Report,
    victim: u32,
    death: u64,
    owner: impl Fn(u64) -> Option<u32>,
) {
    let row = &report.journeys[0];
    let missing = arrived.counted.missing.len() as u64;
    findings.note("missing | reported lost", format!("{missing} | {}", row.lost));
    findings.holds("missing <= lost", format!("{missing} <= {}", row.lost), missing <= row.lost + row.fenced);
    let strangers = arrived.counted.missing.iter().filter(|k| owner(**k) != Some(victim)).count();
    findings.equal("missing starts of others than the one that was killed", strangers, 0);
    let first = arrived.counted.missing.first().map_or(u64::MAX, |k| arrived.due(*k));
    findings.holds("no start is missing from before it", format!("{:.1} ms after", millis(first) - millis(death)), first + 50 * MS >= death);
    let made_since = |second: u64| arrived.lateness(second * SECOND, u64::MAX, Some(victim)).len() as u64;
    let untold = row.lost.saturating_sub(missing);
    let bounds = [made_since(death / SECOND), made_since((death / SECOND).saturating_sub(1))];
    findings.holds(
        "lost - missing is what it made since a second that it had told",
        format!("{untold} of {bounds:?}"),
        bounds.contains(&untold),
    );
}

/// A runner stands still and goes on, again and again.
pub(crate) async fn t5(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let repetitions = form.either(2, 100);
    let mut cluster = Cluster::start(server, Setting::new(3000, 4 + repetitions * 9)).await?;
    let (mut after_cont, mut last) = (0, 0);
    let mut stops = Vec::new();
    for repetition in 0..repetitions {
        cluster.until(SECOND + repetition * 9 * SECOND + random(0..SECOND)).await;
        let victim = random(1..4) as u32;
        let before = cluster.epoch().await?.epoch;
        let process = &cluster.runners[&victim];
        process.freeze();
        let stopped = cluster.now();
        let for_how_long = if repetition % 2 == 0 { 5 * SECOND } else { random(SECOND / 2..5 * SECOND) };
        sleep(Duration::from_nanos(for_how_long)).await;
        let thawed = cluster.now();
        cluster.runners[&victim].thaw();
        if thawed - stopped > 1200 * MS {
            let (lost, _) = cluster.wait_for_list(before, |list| !list.has(victim)).await?;
            let (_, back) = cluster.wait_for_list(lost, |list| list.has(victim)).await?;
            stops.push((victim, stopped, thawed, Some(back.at)));
        } else {
            stops.push((victim, stopped, thawed, None));
        }
        last = thawed;
    }
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    let row = &report.journeys[0];
    findings.equal("missing starts are those reported", arrived.counted.missing.len() as u64, row.fenced + row.lost + row.unstarted);
    let mut off = 0.0_f64;
    let mut late_missing = 0;
    for (victim, stopped, thawed, back) in stops {
        let own = |arrival: &&crate::target::Arrival| arrival.runner == victim;
        if let Some(back) = back {
            let early = |arrival: &crate::target::Arrival| arrival.at > thawed && arrival.at < back;
            let is_new = |arrival: &crate::target::Arrival| arrived.due(arrival.k) > stopped + MS;
            after_cont += arrived.arrivals.iter().filter(own).filter(|arrival| early(arrival) && is_new(arrival)).count();
            if thawed > stopped + 3 * SECOND {
                off = off.max(arrived.off_plan(stopped + 2 * SECOND, thawed));
                late_missing += arrived.missing_between(stopped + 2 * SECOND, back);
            }
        }
    }
    findings.equal("starts of the one that stood still, before its share", after_cont, 0);
    findings.at_most("off the plan in some second from 2.0 s after it", off, 1.0, "%");
    findings.equal("missing that were due later than 2.0 s after it", late_missing, 0);
    findings.equal("missing that were due later than 2.0 s after the last", arrived.missing_between(last + 2 * SECOND, u64::MAX), 0);
    findings.note("repetitions", repetitions);
    Ok(())
}

/// A runner's network breaks or stands still, again and again.
pub(crate) async fn t6(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let repetitions = form.either(2, 100);
    let mut setting = Setting::new(3000, 4 + repetitions * 9);
    let mut proxies = Vec::new();
    for _ in 0..3 {
        let proxy = Proxy::start(server.address(), Network::GOOD).await;
        setting.ways.push(Some(proxy.url.clone()));
        proxies.push(proxy);
    }
    let mut cluster = Cluster::start(server, setting).await?;
    let mut cuts = Vec::new();
    for repetition in 0..repetitions {
        cluster.until(SECOND + repetition * 9 * SECOND + random(0..SECOND)).await;
        let victim = random(1..4) as u32;
        let proxy = &proxies[victim as usize - 1];
        proxy.set(if repetition % 2 == 0 { Network::Cut } else { Network::Frozen });
        let cut = cluster.now();
        let for_how_long = if repetition < 2 { 5 * SECOND } else { random(SECOND / 2..5 * SECOND) };
        sleep(Duration::from_nanos(for_how_long)).await;
        proxy.set(Network::GOOD);
        cuts.push((victim, cut, cluster.now()));
    }
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    let row = &report.journeys[0];
    findings.equal("missing starts are those reported", arrived.counted.missing.len() as u64, row.fenced + row.lost + row.unstarted);
    let (mut while_fenced, mut late_missing, mut off) = (0, 0, 0.0_f64);
    for (victim, cut, mended) in cuts {
        if mended > cut + 3 * SECOND {
            // Its permit has run out by then.
            while_fenced += arrived.lateness(cut + 900 * MS, mended, Some(victim)).len();
            late_missing += arrived.missing_between(cut + 2 * SECOND, mended);
            off = off.max(arrived.off_plan(cut + 2 * SECOND, mended));
        }
    }
    findings.equal("starts of the one that is cut off, from 0.9 s after it", while_fenced, 0);
    findings.equal("missing that were due from 2.0 s after the cut to its end", late_missing, 0);
    findings.at_most("off the plan in some second from 2.0 s after it", off, 1.0, "%");
    findings.note("repetitions", repetitions);
    Ok(())
}

/// The controller is killed, and started again.
pub(crate) async fn t8(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let away = form.either(5, 10);
    let mut cluster = Cluster::start(server, Setting::new(3000, 10 + away)).await?;
    cluster.until(2 * SECOND + random(0..SECOND)).await;
    let before = cluster.epoch().await?;
    cluster.controller.kill9();
    sleep(Duration::from_secs(away)).await;
    let mut second = cluster.start_controller(false);
    let report = Cluster::report(&mut second, &cluster.setting).await;
    let report = report.map_err(|error| format!("{error}\n{}", second.log()))?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    findings.equal("missing starts", arrived.counted.missing.len(), 0);
    findings.at_most("off the plan in some second", arrived.off_plan(0, cluster.setting.plan.seconds * SECOND), 0.1, "%");
    findings.equal("started by the report", report.journeys[0].started, cluster.setting.plan.planned());
    findings.equal("lists of members before it", before.epoch, 1);
    Ok(())
}

/// The server of NATS is killed and started again at once, again and again.
pub(crate) async fn t10(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let repetitions = form.either(4, 20);
    let mut cluster = Cluster::start(server, Setting::new(3000, 4 + 3 * repetitions)).await?;
    let mut kills = Vec::new();
    for repetition in 0..repetitions {
        cluster.until((1 + 3 * repetition) * SECOND + random(0..SECOND)).await;
        let killed = cluster.now();
        tokio::task::block_in_place(|| {
            cluster.server.kill9();
            cluster.server.restart();
        });
        kills.push((killed, cluster.now()));
    }
    let report = cluster.end().await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    let row = &report.journeys[0];
    let missing = arrived.counted.missing.len() as u64;
    findings.equal("missing starts are those reported", missing, row.fenced + row.lost + row.unstarted);
    let with_gaps = kills.iter().filter(|(killed, _)| arrived.missing_between(*killed, killed + 3 * SECOND) > 0).count();
    let slowest = kills.iter().map(|(killed, ready)| ready - killed).max().unwrap_or_default();
    findings.note("the server was away for, at the most", format!("{:.0} ms", millis(slowest)));
    findings.at_most("kills with a gap", with_gaps as f64 / repetitions as f64, 0.05, "of all");
    findings.equal("started by the report", row.started, arrived.arrivals.len() as u64);
    Ok(())
}
