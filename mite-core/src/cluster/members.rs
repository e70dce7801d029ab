//! Who takes part in a run, as its controller sees it: who has come, who has gone, and when others have their share.
//!
//! It is a pure function of what was heard and of the time; it sends nothing and looks at no clock.

use std::collections::BTreeMap;

use super::protocol::{
    Heartbeat, Hello, MOST_RUNNERS, MemberRecord, MembersRecord, Phase, RunnerRecord, VERSION, Welcome,
};

/// What membership goes by, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// A runner that was not heard for so long is taken to be lost.
    pub(crate) silence: u64,
    /// The same where nobody is heard: it may be the way to them all, and there is nobody who could have their shares.
    pub(crate) silence_of_all: u64,
    /// How long a permit lasts.
    pub(crate) lease: u64,
    /// What is added to it: for writing the new list, and for what clocks are wrong by.
    pub(crate) margin: u64,
    /// How long before it holds a list is told where nobody was lost.
    pub(crate) notice: u64,
    /// Changes that come within this time make one list.
    pub(crate) together: u64,
}

impl Times {
    /// As they are unless told otherwise, with this lease.
    pub(crate) fn with_lease(lease: u64) -> Self {
        const MS: u64 = 1_000_000;
        Self {
            silence: 600 * MS,
            silence_of_all: 10_000 * MS,
            lease,
            margin: 150 * MS,
            notice: 1000 * MS,
            together: 200 * MS,
        }
    }
}

/// How long a runner may take from being let in to its first heartbeat, in nanoseconds.
const BEGINNING: u64 = 30_000_000_000;

/// One runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runner {
    pub(crate) name: String,
    boot: u64,
    weight: u32,
    heard: u64,
    pub(crate) phase: Phase,
    /// Whether it should be among the members, as far as is known.
    is_wanted: bool,
    /// It was not heard, and its share went to others: until it is heard again.
    pub(crate) is_lost: bool,
    /// It was told to leave.
    leaves: bool,
}

/// The runners of a run.
#[derive(Debug)]
pub(crate) struct Members {
    binary: String,
    /// How many workers there is room for, if there is a limit.
    most_workers: Option<u64>,
    times: Times,
    runners: BTreeMap<u32, Runner>,
    /// The lists so far, the first one for epoch 1.
    lists: Vec<MembersRecord>,
    /// When the first of the changes that no list has yet was seen, and whether somebody was lost.
    change: Option<(u64, bool)>,
}

/// What has changed with somebody, to be told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Lost { rid: u32, name: String },
    Back { rid: u32, name: String },
    Left { rid: u32, name: String },
    Failed { rid: u32, name: String, why: String },
}

impl Runner {
    /// Its part of the plan beside others'.
    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }
}

impl Members {
    /// Nobody yet; runners of other programs than that with this hash are refused, and those with more workers than there is room
    /// for.
    pub(crate) fn new(binary: String, most_workers: Option<u64>, times: Times) -> Self {
        Self { binary, most_workers, times, runners: BTreeMap::new(), lists: Vec::new(), change: None }
    }

    /// Takes over what another controller has left: its lists, by their epochs from 1 on, and all that it has let in. Who is in the
    /// last list, or in none yet, is taken to be there, and has to be heard like everybody.
    pub(crate) fn take_over(&mut self, lists: Vec<MembersRecord>, runners: Vec<(u32, RunnerRecord)>, now: u64) {
        let is_in = |list: &MembersRecord, rid| list.members.iter().any(|member| member.rid == rid);
        for (rid, RunnerRecord { name, boot, weight, .. }) in runners {
            let was_member = lists.iter().any(|list| is_in(list, rid));
            let is_wanted = !was_member || lists.last().is_some_and(|list| is_in(list, rid));
            let phase = if was_member { Phase::Running } else { Phase::Joined };
            let is_lost = !is_wanted;
            let runner = Runner { name, boot, weight, heard: now, phase, is_wanted, is_lost, leaves: false };
            self.runners.insert(rid, runner);
        }
        self.lists = lists;
    }

    /// What is to be known of a runner by whoever takes over.
    pub(crate) fn record(&self, rid: u32) -> Option<RunnerRecord> {
        let Runner { name, boot, weight, .. } = self.runners.get(&rid)?;
        Some(RunnerRecord { v: VERSION, name: name.clone(), boot: *boot, weight: *weight })
    }

    /// Those whose share has gone to others since they were not heard.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (u32, &str)> {
        self.runners.iter().filter(|(_, runner)| runner.is_lost).map(|(rid, runner)| (*rid, runner.name.as_str()))
    }

    /// What membership goes by.
    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// All runners that ever took part.
    pub(crate) fn runners(&self) -> impl Iterator<Item = (u32, &Runner)> {
        self.runners.iter().map(|(rid, runner)| (*rid, runner))
    }

    /// How many are there, and can take part.
    pub(crate) fn present(&self) -> usize {
        self.runners.values().filter(|runner| runner.is_wanted).count()
    }

    /// Whether all that are there have made their workers ready.
    pub(crate) fn are_ready(&self) -> bool {
        self.runners.values().filter(|runner| runner.is_wanted).all(|runner| runner.phase != Phase::Joined)
    }

    /// A runner's part of all that are there, from 0 to 1.
    pub(crate) fn share(&self, rid: u32) -> f64 {
        let weight = |runner: &Runner| if runner.is_wanted { f64::from(runner.weight) } else { 0.0 };
        let all: f64 = self.runners.values().map(weight).sum();
        self.runners.get(&rid).map_or(0.0, |runner| weight(runner) / all.max(1.0))
    }

    /// Whether a runner is there, as far as is known: whether it takes part, or is about to leave.
    pub(crate) fn is_here(&self, rid: u32) -> bool {
        let is_here = |runner: &Runner| runner.is_wanted || (runner.phase == Phase::Leaving && !runner.is_lost);
        self.runners.get(&rid).is_some_and(is_here)
    }

    /// Whether a runner has told that nothing of it is under way any more.
    pub(crate) fn has_ended(&self, rid: u32) -> bool {
        self.runners.get(&rid).is_some_and(|runner| matches!(runner.phase, Phase::Done | Phase::Failed))
    }

    /// Whether some runner that had a share has ended by itself: there is nothing more to start.
    pub(crate) fn has_any_finished(&self) -> bool {
        let had_share = |rid| self.lists.iter().any(|list| list.members.iter().any(|member| member.rid == rid));
        self.runners.iter().any(|(rid, runner)| runner.phase == Phase::Done && !runner.leaves && had_share(*rid))
    }

    /// Whether a runner has a share by the last list.
    pub(crate) fn has_share(&self, rid: u32) -> bool {
        self.lists.last().is_some_and(|list| list.members.iter().any(|member| member.rid == rid))
    }

    /// The lists so far, the first one for epoch 1.
    pub(crate) fn lists(&self) -> &[MembersRecord] {
        &self.lists
    }

    /// Answers a runner that wants to take part.
    pub(crate) fn hello(&mut self, hello: Hello, now: u64) -> Welcome {
        if hello.binary != self.binary {
            return Welcome::Refused { why: other_build(&hello.name, &hello.binary, &self.binary) };
        }
        // Asked again, since the answer was lost.
        if let Some((rid, runner)) = self.runners.iter_mut().find(|(_, runner)| runner.boot == hello.boot) {
            runner.heard = now;
            return Welcome::Taken { rid: *rid };
        }
        if let Some(why) = self.no_room(&hello) {
            return Welcome::Refused { why };
        }
        let rid = self.runners.last_key_value().map_or(1, |(last, _)| last + 1);
        if rid > MOST_RUNNERS.into() {
            return Welcome::Refused {
                why: format!("a run has at most {MOST_RUNNERS} runners, those that are gone included"),
            };
        }
        let runner = Runner {
            name: hello.name,
            boot: hello.boot,
            weight: hello.weight.max(1),
            // It has to find out what the clock says and to make its scenario before it tells anything.
            heard: now + BEGINNING,
            phase: Phase::Joined,
            is_wanted: true,
            is_lost: false,
            leaves: false,
        };
        self.runners.insert(rid, runner);
        Welcome::Taken { rid }
    }

    /// Why there is no room for a runner's workers, if there is none.
    fn no_room(&self, hello: &Hello) -> Option<String> {
        let there: u64 =
            self.runners.values().filter(|runner| runner.is_wanted).map(|runner| u64::from(runner.weight)).sum();
        let (most, more) = (self.most_workers?, u64::from(hello.weight.max(1)));
        (there + more > most).then(|| {
            format!(
                "`max_running` leaves room for {most} workers in all, and {there} are there: there is none for {} with {more}. Each \
                 worker needs room for one journey of each row: raise it, or start fewer workers",
                hello.name
            )
        })
    }

    /// Takes in what a runner tells of itself.
    pub(crate) fn heard(&mut self, heartbeat: &Heartbeat, now: u64) -> Option<Seen> {
        let rid = heartbeat.rid;
        let runner = self.runners.get_mut(&rid)?;
        if runner.boot != heartbeat.boot {
            return None;
        }
        runner.heard = now;
        let before = std::mem::replace(&mut runner.phase, heartbeat.phase);
        runner.leaves |= heartbeat.phase == Phase::Leaving;
        let name = runner.name.clone();
        match heartbeat.phase {
            Phase::Joined | Phase::Ready | Phase::Running if runner.is_lost => {
                runner.is_lost = false;
                runner.is_wanted = true;
                self.changed(now, false);
                Some(Seen::Back { rid, name })
            }
            // The heartbeat that told the one before may be lost.
            Phase::Ready | Phase::Running if before == Phase::Joined => {
                // Before the first list all go into it.
                self.changed(now, false);
                None
            }
            // Others have its share, and it has still to tell how it ended.
            Phase::Leaving if std::mem::take(&mut runner.is_lost) => Some(Seen::Back { rid, name }),
            Phase::Joined | Phase::Ready | Phase::Running => None,
            Phase::Leaving | Phase::Done | Phase::Failed => {
                if !std::mem::take(&mut runner.is_wanted) {
                    return None;
                }
                self.changed(now, heartbeat.phase == Phase::Failed);
                Some(match &heartbeat.why {
                    Some(why) => Seen::Failed { rid, name, why: why.clone() },
                    None => Seen::Left { rid, name },
                })
            }
        }
    }

    /// Takes all as heard at this time, which may be one to come: it was not they who were silent.
    pub(crate) fn all_heard(&mut self, time: u64) {
        for runner in self.runners.values_mut() {
            runner.heard = runner.heard.max(time);
        }
    }

    /// Looks who was not heard for too long. Who has told its end otherwise has gone: its last heartbeat was lost.
    pub(crate) fn look(&mut self, now: u64, has_told_end: impl Fn(u32) -> bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        // One that leaves has still to tell how it ended.
        let is_expected = |runner: &Runner| runner.is_wanted || (runner.phase == Phase::Leaving && !runner.is_lost);
        let silent_for = |runner: &Runner| now.saturating_sub(runner.heard);
        let Times { silence, silence_of_all, .. } = self.times;
        let is_anybody_heard = self.runners.values().any(|runner| is_expected(runner) && silent_for(runner) < silence);
        for (rid, runner) in &mut self.runners {
            let most = if is_anybody_heard || has_told_end(*rid) { silence } else { silence_of_all };
            if !is_expected(runner) || silent_for(runner) < most {
                continue;
            }
            let (rid, name) = (*rid, runner.name.clone());
            runner.is_wanted = false;
            if has_told_end(rid) {
                runner.phase = Phase::Done;
                seen.push(Seen::Left { rid, name });
            } else {
                runner.is_lost = true;
                seen.push(Seen::Lost { rid, name });
            }
        }
        if !seen.is_empty() {
            self.changed(now, seen.iter().any(|seen| matches!(seen, Seen::Lost { .. })));
        }
        seen
    }

    fn changed(&mut self, now: u64, is_loss: bool) {
        // Before the first list there is nothing that could change.
        if !self.lists.is_empty() {
            let (since, was_loss) = self.change.unwrap_or((now, false));
            self.change = Some((since, was_loss || is_loss));
        }
    }

    fn wanted(&self) -> Vec<MemberRecord> {
        let is_member = |runner: &Runner| runner.is_wanted && runner.phase != Phase::Joined;
        let wanted = self.runners.iter().filter(|(_, runner)| is_member(runner));
        wanted.map(|(rid, runner)| MemberRecord { rid: *rid, weight: runner.weight }).collect()
    }

    /// The first list, which holds from the start of the run on.
    pub(crate) fn first(&mut self) -> MembersRecord {
        let list = MembersRecord { v: VERSION, at: 0, members: self.wanted() };
        self.lists = vec![list.clone()];
        self.change = None;
        list
    }

    /// The next list, once one is due; `now` and `since_start` are the same moment, in nanoseconds of the run's clock and since the
    /// start of the run.
    pub(crate) fn next(&mut self, now: u64, since_start: u64) -> Option<MembersRecord> {
        let (since, is_loss) = self.change?;
        // Who is lost is replaced at once: others that come meanwhile wait for the next list.
        if !is_loss && now < since + self.times.together {
            return None;
        }
        self.change = None;
        let members = self.wanted();
        let last = self.lists.last()?;
        if last.members == members {
            return None;
        }
        let notice = if is_loss {
            self.times.lease + self.times.margin
        } else {
            self.times.notice.max(self.times.lease + self.times.margin)
        };
        // No list holds before the one before it.
        let at = (since_start + notice).max(last.at + 1);
        let list = MembersRecord { v: VERSION, at, members };
        self.lists.push(list.clone());
        Some(list)
    }

    /// The last list holds later than it was to.
    pub(crate) fn put_off(&mut self, at: u64) {
        if let Some(last) = self.lists.last_mut() {
            last.at = at;
        }
    }
}

/// Why a process of another build than the controller's does not take part.
pub(super) fn other_build(name: &str, theirs: &str, ours: &str) -> String {
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    let (theirs, ours) = (short(theirs), short(ours));
    format!(
        "{name} is another build of the program than the controller's (SHA-256 {theirs}…, not {ours}…): start the same file on all \
         machines"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn members() -> Members {
        Members::new("abc".to_owned(), None, Times::with_lease(800 * MS))
    }

    fn hello(boot: u64) -> Hello {
        Hello { v: VERSION, name: format!("host-{boot}"), boot, binary: "abc".to_owned(), weight: 2 }
    }

    fn heartbeat(rid: u32, boot: u64, phase: Phase) -> Heartbeat {
        let why = (phase == Phase::Failed).then(|| "no disk".to_owned());
        Heartbeat { v: VERSION, rid, boot, phase, epoch: 0, running: 0, cpu_percent: 0.0, clock_error: 0, why }
    }

    /// So many, which were there when the run began.
    fn begun(runners: u64) -> Members {
        let mut members = members();
        for boot in 1..=runners {
            members.hello(hello(boot), 0);
            members.heard(&heartbeat(boot as u32, boot, Phase::Ready), 0);
        }
        members.first();
        members
    }

    fn rids(list: &MembersRecord) -> Vec<u32> {
        list.members.iter().map(|member| member.rid).collect()
    }

    #[test]
    fn another_build_is_refused_by_name_and_an_answer_that_was_lost_is_given_again() {
        let mut members = members();
        let Welcome::Refused { why } = members.hello(Hello { binary: "f00".to_owned(), ..hello(7) }, 0) else {
            panic!("it is another build")
        };
        assert!(why.starts_with("host-7 is another build of the program than the controller's"), "{why}");
        for (boot, expected) in [(8, 1), (9, 2), (8, 1)] {
            assert!(matches!(members.hello(hello(boot), 0), Welcome::Taken { rid } if rid == expected));
        }
        assert_eq!((members.present(), members.are_ready()), (2, false));
    }

    #[test]
    fn who_is_not_heard_loses_its_share_after_all_permits_are_over() {
        let mut members = members();
        for boot in 1..=3 {
            members.hello(hello(boot), 0);
            members.heard(&heartbeat(boot as u32, boot, Phase::Ready), 0);
        }
        assert!(members.are_ready());
        assert_eq!(rids(&members.first()), [1, 2, 3]);
        for rid in [1, 3] {
            members.heard(&heartbeat(rid, rid.into(), Phase::Running), 500 * MS);
        }
        assert_eq!(members.look(599 * MS, |_| false), []);
        assert_eq!(members.look(600 * MS, |_| false), [Seen::Lost { rid: 2, name: "host-2".to_owned() }]);
        let list = members.next(600 * MS, 100 * MS).unwrap();
        // The lease and the margin after it was seen.
        assert_eq!((rids(&list), list.at), (vec![1, 3], 1050 * MS));
        assert_eq!(members.next(600 * MS, 100 * MS), None);
        // It is heard again: it comes in as one that joins late.
        let back = members.heard(&heartbeat(2, 2, Phase::Running), 700 * MS);
        assert_eq!(back, Some(Seen::Back { rid: 2, name: "host-2".to_owned() }));
        assert_eq!(members.next(899 * MS, 399 * MS), None);
        for rid in [1, 3] {
            members.heard(&heartbeat(rid, rid.into(), Phase::Running), 900 * MS);
        }
        let list = members.next(900 * MS, 400 * MS).unwrap();
        assert_eq!((rids(&list), list.at), (vec![1, 2, 3], 1400 * MS));
    }

    #[test]
    fn who_joins_late_and_who_leaves_make_one_list_if_they_do_so_together() {
        let mut members = begun(1);
        members.hello(hello(2), 50 * MS);
        assert_eq!(members.next(300 * MS, 300 * MS), None, "it is not ready");
        members.heard(&heartbeat(2, 2, Phase::Ready), 300 * MS);
        let left = members.heard(&heartbeat(1, 1, Phase::Leaving), 400 * MS);
        assert_eq!(left, Some(Seen::Left { rid: 1, name: "host-1".to_owned() }));
        let list = members.next(500 * MS, 500 * MS).unwrap();
        assert_eq!((rids(&list), list.at), (vec![2], 1500 * MS));
        // One that leaves does so once.
        assert_eq!(members.heard(&heartbeat(1, 1, Phase::Done), 600 * MS), None);
        let failed = members.heard(&heartbeat(2, 2, Phase::Failed), 700 * MS);
        assert_eq!(failed, Some(Seen::Failed { rid: 2, name: "host-2".to_owned(), why: "no disk".to_owned() }));
    }

    #[test]
    fn who_takes_over_goes_by_the_lists_that_are_there() {
        let mut first = begun(2);
        // It was let in, and was not ready yet.
        first.hello(hello(3), 0);
        let mut second = members();
        let known = (1..=3).map(|rid| (rid, first.record(rid).unwrap())).collect();
        second.take_over(first.lists().to_vec(), known, 10_000 * MS);
        assert_eq!(second.present(), 3);
        second.heard(&heartbeat(3, 3, Phase::Ready), 10_050 * MS);
        let list = second.next(10_260 * MS, 9_000 * MS).unwrap();
        assert_eq!(rids(&list), [1, 2, 3]);
        second.heard(&heartbeat(1, 1, Phase::Running), 10_100 * MS);
        assert_eq!(second.look(10_600 * MS, |_| false), [Seen::Lost { rid: 2, name: "host-2".to_owned() }]);
        assert_eq!(rids(&second.next(10_600 * MS, 9_340 * MS).unwrap()), [1, 3]);
        assert!(matches!(second.hello(hello(5), 11_000 * MS), Welcome::Taken { rid: 4 }));
        // Another controller that takes over knows that one of them was lost.
        let mut third = members();
        let known = (1..=4).map(|rid| (rid, second.record(rid).unwrap())).collect();
        third.take_over(second.lists().to_vec(), known, 20_000 * MS);
        assert_eq!(third.lost().collect::<Vec<_>>(), [(2, "host-2")]);
    }

    #[test]
    fn who_is_not_heard_while_it_leaves_is_lost_too() {
        let mut members = begun(2);
        members.heard(&heartbeat(2, 2, Phase::Leaving), 100 * MS);
        members.heard(&heartbeat(1, 1, Phase::Running), 700 * MS);
        assert_eq!(members.look(700 * MS, |_| false), [Seen::Lost { rid: 2, name: "host-2".to_owned() }]);
        assert_eq!(members.look(800 * MS, |_| false), []);
        // It is heard again, and gone again.
        members.heard(&heartbeat(1, 1, Phase::Running), 1500 * MS);
        let back = Seen::Back { rid: 2, name: "host-2".to_owned() };
        assert_eq!(members.heard(&heartbeat(2, 2, Phase::Leaving), 900 * MS), Some(back));
        assert_eq!(members.look(1500 * MS, |_| false).len(), 1);
        // One that has told its end is not waited for.
        members.heard(&heartbeat(2, 2, Phase::Done), 1500 * MS);
        assert!(!members.has_any_finished(), "it was told to leave");
        members.heard(&heartbeat(1, 1, Phase::Running), 2500 * MS);
        assert_eq!(members.look(2500 * MS, |_| false), []);
    }

    #[test]
    fn who_has_told_its_end_and_is_not_heard_has_left() {
        let mut members = begun(2);
        members.heard(&heartbeat(2, 2, Phase::Running), 500 * MS);
        // Its last heartbeat did not arrive.
        assert_eq!(members.look(600 * MS, |rid| rid == 1), [Seen::Left { rid: 1, name: "host-1".to_owned() }]);
        assert!(members.has_ended(1) && !members.is_here(1) && members.has_any_finished());
        assert_eq!((members.present(), members.lost().count()), (1, 0));
        assert_eq!(rids(&members.next(800 * MS, 800 * MS).unwrap()), [2]);
        assert_eq!(members.look(1000 * MS, |rid| rid == 1), []);
    }

    #[test]
    fn where_nobody_is_heard_it_may_be_the_way_to_them() {
        let mut members = begun(3);
        // One was lost before.
        members.heard(&heartbeat(1, 1, Phase::Running), 100 * MS);
        members.heard(&heartbeat(2, 2, Phase::Running), 100 * MS);
        assert_eq!(members.look(600 * MS, |_| false), [Seen::Lost { rid: 3, name: "host-3".to_owned() }]);
        assert_eq!(members.look(10_099 * MS, |_| false), []);
        assert_eq!(rids(&members.next(10_099 * MS, 10_099 * MS).unwrap()), [1, 2]);
        // One is heard again: it was not the way to the other.
        members.heard(&heartbeat(1, 1, Phase::Running), 10_099 * MS);
        assert_eq!(members.look(10_100 * MS, |_| false), [Seen::Lost { rid: 2, name: "host-2".to_owned() }]);
        assert_eq!(members.look(20_098 * MS, |_| false), []);
        assert_eq!(members.look(20_099 * MS, |_| false).len(), 1);
    }

    #[test]
    fn there_is_room_for_so_many_workers() {
        let mut members = Members::new("abc".to_owned(), Some(3), Times::with_lease(800 * MS));
        assert!(matches!(members.hello(hello(1), 0), Welcome::Taken { rid: 1 }));
        // Each has two.
        let Welcome::Refused { why } = members.hello(hello(2), 0) else { panic!("there is no room for it") };
        assert!(
            why.starts_with(
                "`max_running` leaves room for 3 workers in all, and 2 are there: there is none for host-2"
            )
        );
        // Asked again, it is the same one.
        assert!(matches!(members.hello(hello(1), 0), Welcome::Taken { rid: 1 }));
        members.heard(&heartbeat(1, 1, Phase::Done), 0);
        assert!(matches!(members.hello(hello(2), 0), Welcome::Taken { rid: 2 }));
    }

    #[test]
    fn a_heartbeat_that_is_lost_keeps_nobody_out() {
        let mut members = begun(1);
        members.hello(hello(2), 0);
        // The one that said that it was ready did not arrive.
        members.heard(&heartbeat(2, 2, Phase::Running), 10 * MS);
        assert_eq!(rids(&members.next(300 * MS, 300 * MS).unwrap()), [1, 2]);
    }
}
