//! Whom a run waits for besides its runners: before its start for those that it needs, after its end until they are done.
//!
//! It is apart from the [loop](super), which knows runners alone.

use tokio::sync::mpsc;

use super::{ATTENDED_WITHIN, Ears, Leader, Options};
use crate::clock;
use crate::cluster::attendance::{Attendant, COLLECTOR, RECORDER, attendant, attendants};
use crate::cluster::error::ClusterError;
use crate::cluster::news::News;
use crate::cluster::places::{LOOK, WRITE_WITHIN};
use crate::recordings::Records;
use crate::runner::protocol::Command;

impl Leader {
    /// Who has to be there before the run begins, and is not.
    pub(super) async fn missing_attendant(&self) -> Result<Option<&'static str>, ClusterError> {
        let Options { with_recorder, with_collector, .. } = self.options;
        let wanted = [(RECORDER, with_recorder), (COLLECTOR, with_collector)];
        for (who, _) in wanted.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            match attendant(&*self.register, who).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(who)),
                Err(error) if error.is_not_found() => return Err(ClusterError::new("see who attends the run", error)),
                Err(error) => {
                    tracing::debug!("looked again: {error}");
                    return Ok(Some(who));
                }
            }
        }
        Ok(None)
    }

    /// Waits, once the run is over, until all who attend it are done: a recorder for as long as it takes, others for a while.
    pub(super) async fn await_attendants(
        &self,
        ears: &mut Ears,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        records: Option<Records>,
    ) -> Result<(), ClusterError> {
        let since = clock::now();
        let mut told = since;
        loop {
            let waited = clock::now() - since;
            match attendants(&*self.register).await {
                Ok(all) => {
                    let late =
                        |(who, of): &&(String, Attendant)| !of.is_done && (who == RECORDER || waited < ATTENDED_WITHIN);
                    match all.iter().find(late) {
                        Some((who, of)) if clock::now() - told >= ATTENDED_WITHIN => {
                            told = clock::now();
                            tracing::warn!("waiting for the {who} {}: start it again if it is gone", of.name);
                        }
                        Some(_) => {}
                        None => {
                            self.attended(&all, records.as_ref());
                            return Ok(());
                        }
                    }
                }
                Err(error) if waited > WRITE_WITHIN => return Err(ClusterError::new("see who attends the run", error)),
                Err(error) => tracing::debug!("looked again: {error}"),
            }
            let given_up = tokio::select! {
                clock = ears.clocks.next() => {
                    self.clock(clock.unwrap_or_default()).await;
                    false
                }
                stop = ears.stops.next() => {
                    let stop = stop.unwrap_or_default();
                    let is_now = stop.as_ref().is_some_and(|asked| asked.payload() == [1]);
                    if let Some(asked) = stop {
                        let _ = asked.respond(Vec::new()).await;
                    }
                    is_now
                }
                command = commands.recv() => matches!(command, Some(Command::Abort) | None),
                () = tokio::time::sleep(LOOK) => false,
            };
            if given_up {
                let why = "the recorder has not written all that was recorded: what is in no file is in the cluster still, where a recorder \
                           that is started again finds it, and `cluster stop` takes it away";
                return Err(ClusterError::refused(why));
            }
        }
    }

    /// Takes over what those who attended have told at their ends.
    fn attended(&self, all: &[(String, Attendant)], records: Option<&Records>) {
        for (who, of) in all {
            if !of.is_done {
                self.tell(News::Warned(format!(
                    "the {who} {} was not waited for: what it has may not be complete",
                    of.name
                )));
            }
            for warning in &of.warnings {
                self.tell(News::Warned(warning.clone()));
            }
            if let Some(records) = records
                && who == RECORDER
            {
                records.written_by(&of.name, &of.records);
            }
        }
    }
}
