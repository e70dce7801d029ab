//! What the controller's loop tells those who carry a run out elsewhere, and what it is told of them.
//!
//! It is apart from who tells it, of which there are two: whoever leads a run's runners, and whoever follows it.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::account::Reported;
use super::error::ClusterError;
use super::pools::PoolKind;
use super::protocol::{MembersRecord, Order, PlanRecord};
use super::wire::Unpacked;
use crate::names::Names;
use crate::recordings::Records;
use crate::runner::protocol::Command;
use crate::sink::queue::SinkQueue;

/// What this process is to a run that runners carry out.
pub(crate) struct Part {
    /// Another process leads them.
    pub(crate) follows: bool,
    pub(crate) begin: Box<Begin>,
}

/// Begins it: with the plan, its names, what is shared out of its pools, and where its messages go.
pub(crate) type Begin = dyn FnOnce(PlanRecord, Arc<Names>, Vec<PoolKind>, &[SinkQueue]) -> Begun + Send;

/// What the loop of a run tells runners, what it is told of them, and the task in between.
pub(crate) type Begun = (mpsc::UnboundedSender<Command>, mpsc::UnboundedReceiver<News>, JoinHandle<()>);

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
