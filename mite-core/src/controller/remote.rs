//! The runners of a cluster, as the controller's loop sees them: what they are told, what they have told, and who is under way.
//!
//! It is apart from the workers of this process, which only call setup and teardown there, and from what brings the news
//! ([`cluster::leader`](crate::cluster)).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cluster::{Begun, ClusterError, News, Usage};
use crate::runner::protocol::{Command, WorkerResult};

/// How a runner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    UnderWay,
    /// Not heard any more; it may come back.
    Lost,
    /// It has told its end.
    Ended,
}

/// The runners of a run.
pub(crate) struct Remote {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) news: mpsc::UnboundedReceiver<News>,
    leader: JoinHandle<()>,
    runners: BTreeMap<u32, Standing>,
    /// What runners have handed over at their ends.
    pub(crate) results: Vec<WorkerResult>,
    /// What does not add up.
    pub(crate) bugs: Vec<String>,
    /// What people should know.
    pub(crate) warnings: Vec<String>,
    pub(crate) used: Usage,
    /// What the recorder has to say of its files.
    pub(crate) recorder_warnings: Option<Arc<Mutex<Vec<String>>>>,
}

impl Remote {
    pub(crate) fn new((commands, news, leader): Begun) -> Self {
        Self {
            commands,
            news,
            leader,
            runners: BTreeMap::new(),
            results: Vec::new(),
            bugs: Vec::new(),
            warnings: Vec::new(),
            used: Usage::default(),
            recorder_warnings: None,
        }
    }

    /// Tells all runners.
    pub(crate) fn tell(&self, command: Command) {
        // What leads them has told why it has gone.
        let _ = self.commands.send(command);
    }

    pub(crate) fn joined(&mut self, rid: u32) {
        self.runners.insert(rid, Standing::UnderWay);
    }

    /// Somebody who was lost and tells something is back.
    pub(crate) fn heard(&mut self, rid: u32) {
        if let Some(standing @ Standing::Lost) = self.runners.get_mut(&rid) {
            *standing = Standing::UnderWay;
        }
    }

    pub(crate) fn lost(&mut self, rid: u32, why: String) {
        self.warnings.push(why);
        if let Some(standing @ Standing::UnderWay) = self.runners.get_mut(&rid) {
            *standing = Standing::Lost;
        }
    }

    pub(crate) fn ended(&mut self, rid: u32, result: WorkerResult, differences: Vec<String>, warnings: Vec<String>) {
        // One that never had a share is none that the run's end waits for.
        if let Some(standing) = self.runners.get_mut(&rid) {
            *standing = Standing::Ended;
        }
        // Its sinks are its own.
        self.results.push(WorkerResult { sent_messages: Vec::new(), ..result });
        self.warnings.extend(warnings.into_iter().map(|warning| format!("runner {rid}: {warning}")));
        self.bugs.extend(differences.into_iter().map(|difference| format!("runner {rid}: {difference}")));
    }

    /// All that people should know, once.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        if let Some(recorder) = &self.recorder_warnings {
            warnings.append(&mut recorder.lock().unwrap_or_else(PoisonError::into_inner));
        }
        warnings
    }

    /// How many there are: what became of a second is told when some may have ended.
    pub(crate) fn count(&self) -> u64 {
        self.runners.values().filter(|standing| **standing != Standing::Lost).count() as u64
    }

    /// Whether anybody is under way, who will tell how it ended, or about to be: who has a share is told soon after the start.
    pub(crate) fn is_under_way(&self) -> bool {
        self.runners.is_empty() || self.runners.values().any(|standing| *standing == Standing::UnderWay)
    }

    /// Lets the runners go, and takes away what the run has left in the cluster; `aborted` ends when nobody wants to wait for that
    /// any more.
    ///
    /// # Errors
    /// What is recorded could not be written, or the cluster cannot be used any more.
    pub(crate) async fn finish(&mut self, aborted: impl Future<Output = ()>) -> Result<(), ClusterError> {
        self.tell(Command::Exit);
        let ended = tokio::select! {
            ended = &mut self.leader => ended,
            () = aborted => {
                self.tell(Command::Abort);
                (&mut self.leader).await
            }
        };
        if let Err(error) = ended {
            return Err(ClusterError::refused(format!(
                "what leads the runners has ended, which is a bug of mite: {error}"
            )));
        }
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Failed(error) => return Err(error),
                News::Warned(warning) => self.warnings.push(warning),
                _ => {}
            }
        }
        Ok(())
    }
}
