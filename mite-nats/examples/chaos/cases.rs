//! The tests: what happens to a run, and what has to come of it.
//!
//! They are apart from the table and from what they are made of; each is told by its number in the design.

use std::time::Duration;

use mite_core::bus::Fabric as _;
use mite_core::{Histogram, Report};
use mite_nats::testing::Server;
use serde::Deserialize;
use tokio::time::sleep;

use crate::cluster::{Arrived, Cluster, Outcome, SECOND, Setting, random, told};
use crate::proxy::{Network, Proxy};
use crate::roles::told_time;
use crate::table::Findings;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) is_long: bool,
}

impl Form {
    pub(crate) fn either<T>(self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }
}

pub(crate) const MS: u64 = 1_000_000;

pub(crate) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Nothing happens.
pub(crate) async fn t1(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(8, 30))).await?;
    let (report, arrived) = cluster.end_held(findings).await?;
    arrived.hold_whole(findings, &report);
    arrived.hold_off_plan(findings, 0, cluster.setting.plan.seconds * SECOND, 0.1);
    let late = arrived.lateness(0, u64::MAX, None);
    let part = |percent: usize| late.get(late.len() * percent / 100).copied().unwrap_or_default();
    findings.note("late by, p50 and p99", format!("{:.3}, {:.3} ms", millis(part(50)), millis(part(99))));
    let shares: Vec<usize> = (1..=3).map(|rid| arrived.lateness(0, u64::MAX, Some(rid)).len()).collect();
    findings.holds_in_time(
        "each runner has a third",
        format!("{shares:?}"),
        shares.iter().all(|share| share.abs_diff(shares[0]) <= 1),
    );
    Ok(())
}

/// All begin at the same time, whatever the network is like.
pub(crate) async fn t3(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    #[derive(Deserialize)]
    struct Beat {
        rid: u32,
        clock_error: u64,
    }
    let delay = Duration::from_millis(20);
    let networks = [None, None, Some(Network::Up(delay, delay)), Some(Network::Up(delay, Duration::ZERO))];
    let mut setting = Setting { runners: 4, ..Setting::new(2000, form.either(4, 15)) };
    let mut proxies = Vec::new();
    for network in networks {
        let Some(network) = network else {
            setting.ways.push(None);
            continue;
        };
        let proxy = Proxy::start(server.address(), network).await;
        setting.ways.push(Some(proxy.url.clone()));
        proxies.push(proxy);
    }
    let mut cluster = Cluster::start(server, setting).await?;
    let mut beats = cluster.nats.bus().subscribe("*.hb.*").await.map_err(told)?;
    let mut errors = [0; 5];
    while errors[1..].contains(&0) && cluster.now() < 3 * SECOND {
        let next = tokio::time::timeout(Duration::from_secs(1), beats.next()).await.map_err(told)?;
        let Some(beat) = next.map_err(told)? else { break };
        let Beat { rid, clock_error } = rmp_serde::from_slice(beat.payload()).map_err(told)?;
        if let Some(error) = errors.get_mut(rid as usize) {
            *error = clock_error;
        }
    }
    let (_, arrived) = cluster.end_held(findings).await?;
    findings.equal_in_time("missing starts", arrived.counted.missing.len(), 0);
    let offset = |rid| arrived.middle_offset(SECOND / 10, SECOND + SECOND / 10, rid) as f64 / 1e6;
    let skew = |rid: u32| (offset(rid) - offset(1)).abs();
    findings.at_most("skew of two runners", skew(2), 1.0, "ms");
    findings.at_most("skew at 20 ms there and back", skew(3), 2.0, "ms");
    findings.at_most("skew at 20 ms there and 0 ms back", skew(4), 12.0, "ms");
    for rid in 1..=4 {
        let error = millis(errors[rid as usize]);
        // What it takes to start is in what is measured.
        findings.at_least(&format!("error of its clock that runner {rid} tells"), error, skew(rid) - 1.0, "ms");
    }
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
    let (report, arrived) = cluster.end_held(findings).await?;
    let end = cluster.setting.plan.seconds * SECOND;
    findings.at_most(
        "off the plan in some second from 2.0 s after it",
        arrived.off_plan(death + 2 * SECOND, end),
        1.0,
        "%",
    );
    findings.equal_in_time(
        "missing that were due later than 2.0 s after it",
        arrived.missing_between(death + 2 * SECOND, u64::MAX),
        0,
    );
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
    findings.equal_in_time("missing starts of others than the one that was killed", strangers, 0);
    let first = arrived.counted.missing.first().map_or(u64::MAX, |k| arrived.due(*k));
    findings.holds_in_time(
        "no start is missing from before it",
        format!("{:.1} ms after", millis(first) - millis(death)),
        first + 50 * MS >= death,
    );
    let made_since = |second: u64| arrived.lateness(second * SECOND, u64::MAX, Some(victim)).len() as u64;
    let untold = row.lost.saturating_sub(missing);
    let bounds = [made_since(death / SECOND), made_since((death / SECOND).saturating_sub(1))];
    findings.holds_in_time(
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
            let (lost, without) = cluster.wait_for_list(before, |list| !list.has(victim)).await?;
            let (_, back) = cluster.wait_for_list(lost, |list| list.has(victim)).await?;
            stops.push((victim, stopped, thawed, Some((without.at, back.at))));
        } else {
            stops.push((victim, stopped, thawed, None));
        }
        last = thawed;
    }
    let (report, arrived) = cluster.end_held(findings).await?;
    arrived.hold_missing(findings, &report);
    let mut off = 0.0_f64;
    let mut late_missing = 0;
    for (victim, stopped, thawed, back) in stops {
        let own = |arrival: &&crate::target::Arrival| arrival.runner == victim;
        if let Some((lost, back)) = back {
            // What was due while it stood still, and what was due while others had its share. Where it goes on before they have it,
            // what is due until then is its own.
            let is_late = |due: u64| (stopped + MS..thawed).contains(&due) || (lost..back).contains(&due);
            let early = |arrival: &crate::target::Arrival| arrival.at > thawed && is_late(arrived.due(arrival.k));
            after_cont += arrived.arrivals.iter().filter(own).filter(|arrival| early(arrival)).count();
            if thawed > stopped + 3 * SECOND {
                off = off.max(arrived.off_plan(stopped + 2 * SECOND, thawed));
                late_missing += arrived.missing_between(stopped + 2 * SECOND, back);
            }
        }
    }
    findings.equal("starts of the one that stood still that were not its own", after_cont, 0);
    findings.at_most("off the plan in some second from 2.0 s after it", off, 1.0, "%");
    findings.equal_in_time("missing that were due later than 2.0 s after it", late_missing, 0);
    findings.equal_in_time(
        "missing that were due later than 2.0 s after the last",
        arrived.missing_between(last + 2 * SECOND, u64::MAX),
        0,
    );
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
    let (report, arrived) = cluster.end_held(findings).await?;
    arrived.hold_missing(findings, &report);
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
    findings.equal_in_time("missing that were due from 2.0 s after the cut to its end", late_missing, 0);
    findings.at_most("off the plan in some second from 2.0 s after it", off, 1.0, "%");
    findings.note("repetitions", repetitions);
    Ok(())
}

/// One more runner comes, and another is asked to leave.
pub(crate) async fn t7(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(11, 20))).await?;
    cluster.until(SECOND + random(0..SECOND)).await;
    let way = cluster.server.url();
    let joined = cluster.add_runner(&way).await?;
    cluster.wait_for_list(1, |list| list.has(joined)).await?;
    cluster.until(6 * SECOND + random(0..SECOND)).await;
    let leaves = random(1..4) as u32;
    let process = cluster.runners.get_mut(&leaves).ok_or("there is no such runner")?;
    process.ask_to_leave();
    let (word, rest) = process.says(&["ended", "failed"], Duration::from_secs(20)).await?;
    findings.holds("the one that was asked to leave has left", format!("{word} {rest}"), rest.contains(" true "));
    let (report, arrived) = cluster.end_held(findings).await?;
    findings.equal_in_time("missing starts", arrived.counted.missing.len(), 0);
    findings.equal_in_time("reported lost", report.journeys[0].lost, 0);
    arrived.hold_off_plan(findings, 0, cluster.setting.plan.seconds * SECOND, 1.0);
    findings.at_least("starts of the one that came", arrived.lateness(0, u64::MAX, Some(joined)).len(), 1000, "");
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
    let report = Cluster::report(&mut second, &cluster.setting).await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    arrived.hold_whole(findings, &report);
    arrived.hold_off_plan(findings, 0, cluster.setting.plan.seconds * SECOND, 0.1);
    findings.equal_in_time("lists of members before it", before.epoch, 1);
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
        cluster.restart_server();
        kills.push((killed, cluster.now()));
    }
    let (report, arrived) = cluster.end_held(findings).await?;
    let row = &report.journeys[0];
    arrived.hold_missing(findings, &report);
    let with_gaps =
        kills.iter().filter(|(killed, _)| arrived.missing_between(*killed, killed + 3 * SECOND) > 0).count();
    let slowest = kills.iter().map(|(killed, ready)| ready - killed).max().unwrap_or_default();
    findings.note("the server was away for, at the most", format!("{:.0} ms", millis(slowest)));
    findings.at_most("kills with a gap", with_gaps as f64 / repetitions as f64, 0.05, "of all");
    findings.equal("started by the report", row.started, arrived.arrivals.len() as u64);
    Ok(())
}

/// The controller stands still, another takes over, and the first one goes on.
pub(crate) async fn t9(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(12, 20))).await?;
    let mut standby = cluster.start_controller(true);
    cluster.until(SECOND + random(0..SECOND)).await;
    cluster.controller.freeze();
    sleep(Duration::from_secs(5)).await;
    let taken_over = cluster.epoch().await?;
    cluster.controller.thaw();
    let (word, why) = cluster.controller.says(&["failed", "report"], Duration::from_secs(20)).await?;
    findings.holds("the first one has ended by itself", format!("{word}: {why:.40}…"), why.contains("taken over"));
    let at_last = cluster.epoch().await?;
    findings.equal("term once it was taken over", taken_over.term, 2);
    findings.equal("term after the first one went on", at_last.term, 2);
    let report = Cluster::report(&mut standby, &cluster.setting).await?;
    let arrived = cluster.arrived();
    arrived.hold(findings, &report);
    arrived.hold_whole(findings, &report);
    Ok(())
}

/// The server of NATS is away for long.
pub(crate) async fn t11(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let away = form.either(6, 20);
    let mut cluster = Cluster::start(server, Setting::new(3000, 8 + away)).await?;
    cluster.until(2 * SECOND + random(0..SECOND)).await;
    let killed = cluster.now();
    cluster.server.kill9();
    sleep(Duration::from_secs(away)).await;
    tokio::task::block_in_place(|| cluster.server.restart());
    let back = cluster.now();
    let (report, arrived) = cluster.end_held(findings).await?;
    let row = &report.journeys[0];
    let missing = arrived.counted.missing.len() as u64;
    arrived.hold_missing(findings, &report);
    findings.equal_in_time("missing starts are those that were fenced", missing, row.fenced);
    findings.equal("started by the report", row.started, arrived.arrivals.len() as u64);
    let while_away = arrived.arrivals.iter().filter(|arrival| (killed + 900 * MS..back).contains(&arrival.at)).count();
    findings.equal_in_time("starts while it was away, from 0.9 s on", while_away, 0);
    findings.equal_in_time(
        "missing that were due later than 1 s after its return",
        arrived.missing_between(back + SECOND, u64::MAX),
        0,
    );
    let resumed = arrived.arrivals.iter().map(|arrival| arrival.at).find(|at| *at > back).unwrap_or(u64::MAX);
    findings.at_most("the first start after its return", millis(resumed.saturating_sub(back)), 1000.0, "ms");
    Ok(())
}

/// The merged histogram has each bucket as one of all samples has it.
pub(crate) async fn t15(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let mut cluster = Cluster::start(server, Setting::new(3000, form.either(4, 30))).await?;
    let (report, arrived) = cluster.end_held(findings).await?;
    let mut all = Histogram::new();
    for arrival in &arrived.arrivals {
        all.record(told_time(arrival.k));
    }
    let merged = &report.requests[0].time;
    let (merged_buckets, buckets): (Vec<_>, Vec<_>) = (merged.durations().collect(), all.durations().collect());
    let differ = merged_buckets.iter().zip(&buckets).filter(|(merged, all)| merged != all).count();
    findings.equal("samples", merged.count(), all.count());
    findings.equal("buckets", merged_buckets.len(), buckets.len());
    findings.equal("buckets that differ", differ, 0);
    for percent in [50.0, 90.0, 99.0, 99.9, 99.99] {
        let (merged, all) = (merged.percentile(percent), all.percentile(percent));
        findings.equal(&format!("p{percent}, in microseconds"), merged.as_micros(), all.as_micros());
    }
    Ok(())
}

/// The target stands still, which shows in the response times; then the bus does, which shows nowhere.
pub(crate) async fn t16(server: Server, form: Form, findings: &mut Findings) -> Outcome {
    let setting = Setting { lease: Duration::from_secs(10), ..Setting::new(600, form.either(13, 20)) };
    let mut cluster = Cluster::start(server, setting).await?;
    cluster.until(2 * SECOND).await;
    cluster.target.answer(false);
    sleep(Duration::from_secs(3)).await;
    cluster.target.answer(true);
    cluster.until(7 * SECOND).await;
    cluster.server.freeze();
    let frozen = cluster.now();
    sleep(Duration::from_secs(3)).await;
    cluster.server.thaw();
    let thawed = cluster.now();
    let (report, arrived) = cluster.end_held(findings).await?;
    findings.equal_in_time("missing starts", arrived.counted.missing.len(), 0);
    let slowest = report.journeys[0].response_time.percentile(99.9).as_secs_f64();
    findings.holds_in_time(
        "p99.9 with a target that stood still for 3 s",
        format!("{slowest:.3} s"),
        (2.8..3.5).contains(&slowest),
    );
    findings.at_most("off the plan while the bus stood still", arrived.off_plan(frozen, thawed), 0.1, "%");
    Ok(())
}
