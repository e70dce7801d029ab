//! What controller and runners of a cluster say to each other, besides figures and records: as MessagePack maps, whose unknown
//! fields are ignored.
//!
//! It is apart from both, which know each other by these alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bus::BusError;
use crate::schedule::Stripe;

/// The form of these messages: told in each, so that a later one can be told apart.
pub(crate) const VERSION: u32 = 1;

/// How many runners a run may ever have had.
pub(crate) const MOST_RUNNERS: u16 = 4096;

/// Packs a message.
pub(crate) fn pack(message: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(message).unwrap_or_else(|error| unreachable!("plain data can be packed: {error}"))
}

/// Reads a message.
///
/// # Errors
/// It is none; `what` says what was expected.
pub(crate) fn unpack<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, BusError> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        BusError::other(format_args!(
            "failed to read {what} of another process, which may be of another version of mite"
        ))
        .with_source(error)
    })
}

/// What is said once of a run, and does not change: key `plan`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PlanRecord {
    pub(crate) v: u32,
    /// The name by which each runner makes the scenario: that of its function.
    pub(crate) scenario: String,
    /// The scenario's own name: `test` in messages.
    pub(crate) test: String,
    /// Values of the config, secrets among them.
    pub(crate) config: std::collections::BTreeMap<String, Value>,
    /// The SHA-256 of the program, in hex.
    pub(crate) binary: String,
    /// The rows' names, so that a scenario that is made differently elsewhere is found out.
    pub(crate) rows: Vec<String>,
    pub(crate) seed: u64,
    /// In nanoseconds, as are all times here.
    pub(crate) warm_up: u64,
    pub(crate) graceful_stop: u64,
    pub(crate) stop_after: Option<u64>,
    pub(crate) max_series_bytes: u64,
    pub(crate) max_running: Option<u64>,
    /// How many workers of all runners that and the rows' own leave room for.
    #[serde(default)]
    pub(crate) most_workers: Option<u64>,
    pub(crate) is_recorded: bool,
    /// By a recorder that is a process of its own.
    #[serde(default)]
    pub(crate) with_recorder: bool,
    /// Runners hand on all messages, to a collector that is a process of its own.
    #[serde(default)]
    pub(crate) with_collector: bool,
    /// How long a permit lasts.
    pub(crate) lease: u64,
    /// The machine's current boot, and what its clocks said when the run was made: by which a controller that takes over elsewhere
    /// finds the run's clock again.
    pub(crate) boot_id: String,
    pub(crate) boot_nanos: u64,
    pub(crate) unix_nanos: u64,
}

/// How far a run has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Runners come together.
    Gathering,
    /// They make their workers ready.
    Preparing,
    Running,
    /// No new starts; what runs may finish.
    Draining,
    /// What runs is cancelled.
    Aborted,
    /// All is told and nothing more is read.
    Over,
}

/// What holds now: key `epoch`, which each runner reads several times a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochRecord {
    pub(crate) v: u32,
    /// The number of the list of members that is in force, or will be: 0 where there is none yet.
    pub(crate) epoch: u64,
    /// Which controller wrote it: each that takes over has a higher one.
    pub(crate) term: u64,
    pub(crate) state: State,
    /// The start of the run on the run's clock, in nanoseconds; 0 before it is known.
    pub(crate) origin: u64,
    /// From when on another list may hold, in nanoseconds since the start of the run, where one is about to be written: what is due
    /// from then on waits until it is known.
    #[serde(default)]
    pub(crate) pending: Option<u64>,
}

/// A list of members: key `members.<epoch>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembersRecord {
    pub(crate) v: u32,
    /// From when on it holds, in nanoseconds since the start of the run.
    pub(crate) at: u64,
    pub(crate) members: Vec<MemberRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    pub(crate) rid: u32,
    pub(crate) weight: u32,
}

impl MembersRecord {
    /// A runner's stripe of all starts by this list.
    pub(crate) fn stripe(&self, rid: u32) -> Stripe {
        let weights: Vec<u32> = self.members.iter().map(|member| member.weight).collect();
        let at = self.members.iter().position(|member| member.rid == rid);
        at.map_or_else(Stripe::none, |at| Stripe::of_members(&weights).swap_remove(at))
    }
}

/// A runner asks to take part: subject `<run>.hello`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) v: u32,
    /// What people call it: host and process.
    pub(crate) name: String,
    /// Drawn when it was started: another one is another runner.
    pub(crate) boot: u64,
    pub(crate) binary: String,
    /// Its part of the plan beside others': its worker threads.
    pub(crate) weight: u32,
}

/// Who was let in: key `runner.<rid>`, which is written before the answer, so that a controller that takes over knows of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunnerRecord {
    pub(crate) v: u32,
    pub(crate) name: String,
    pub(crate) boot: u64,
    pub(crate) weight: u32,
}

/// The answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Welcome {
    /// Its number in this run.
    Taken { rid: u32 },
    /// Why not, and the mend.
    Refused { why: String },
}

/// How far a runner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Joined,
    /// Its workers are ready to go.
    Ready,
    Running,
    /// It was told to leave, and goes on until others have its share.
    Leaving,
    /// It has told all that it had to tell.
    Done,
    /// It cannot take part, or go on.
    Failed,
}

/// What a runner tells several times a second: subject `<run>.hb.<rid>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) v: u32,
    pub(crate) rid: u32,
    pub(crate) boot: u64,
    pub(crate) phase: Phase,
    /// The latest list of members that its workers know.
    pub(crate) epoch: u64,
    pub(crate) running: u64,
    pub(crate) cpu_percent: f64,
    /// By how much its idea of the run's clock may be wrong, in nanoseconds.
    pub(crate) clock_error: u64,
    /// Where it has failed: with what.
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// The controller's clock, asked for on subject `<run>.clk`: nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ClockReading {
    pub(crate) now: u64,
}

/// What the controller tells all runners of a plan that is made as it goes: one item of the log `<run>_orders`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// A row goes on: its number, whether it is a number running, and the segment as (start, end, from, to).
    Extend { row: u32, running: bool, segment: (u64, u64, u64, u64) },
    /// A row has no more.
    Complete { row: u32 },
    /// A row has used up its data.
    Exhausted { row: u32 },
    /// The closures were asked about all seconds up to this one.
    Asked { second: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_again_and_what_is_not_known_is_passed_over() {
        #[derive(Serialize)]
        struct Later {
            v: u32,
            at: u64,
            members: Vec<MemberRecord>,
            colour: &'static str,
        }
        let epoch = EpochRecord { v: VERSION, epoch: 3, term: 2, state: State::Draining, origin: 17, pending: Some(4) };
        assert_eq!(unpack::<EpochRecord>("an epoch", &pack(&epoch)).unwrap(), epoch);
        let later = Later { v: 2, at: 5, members: vec![MemberRecord { rid: 7, weight: 4 }], colour: "red" };
        assert_eq!(unpack::<MembersRecord>("members", &pack(&later)).unwrap().members[0].rid, 7);
        let error = unpack::<EpochRecord>("the run's epoch", b"\xc1").unwrap_err();
        assert!(error.to_string().starts_with("failed to read the run's epoch of another process"));
    }

    #[test]
    fn members_share_by_their_weights() {
        let member = |rid, weight| MemberRecord { rid, weight };
        let members = MembersRecord { v: VERSION, at: 0, members: vec![member(4, 2), member(9, 1)] };
        assert_eq!((members.stripe(4).before(300), members.stripe(9).before(300)), (200, 100));
        assert_eq!(members.stripe(1).before(300), 0);
    }
}
