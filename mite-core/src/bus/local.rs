//! The three traits within one process: queues, and maps behind locks.
//! It is the form that a run has without a cluster, and that tests of a cluster's parts have.

mod log;
mod messages;
mod register;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::log::LocalLog;
use self::messages::LocalBus;
use self::register::LocalRegister;
use super::{Bus, BusError, Fabric, Kept, Later, Log, Register, check_name};

/// What the parts of one process share: its clones are as many connections to the same.
///
/// All is in memory, and is gone with the last clone. Its times are tokio's, so that they can be virtual.
///
/// ```
/// use mite_core::bus::{Fabric, Local};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let controller = Local::new();
/// let runner = controller.clone();
/// controller.register("run7").await.unwrap().set_if("volume", None, b"100".to_vec()).await.unwrap();
/// let entry = runner.register("run7").await.unwrap().get("volume").await.unwrap().unwrap();
/// assert_eq!(entry.value, b"100");
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Local(Arc<Shared>);

#[derive(Default)]
struct Shared {
    bus: Arc<LocalBus>,
    registers: Mutex<BTreeMap<String, Arc<LocalRegister>>>,
    logs: Mutex<BTreeMap<String, Arc<LocalLog>>>,
}

impl Local {
    /// One that is shared with nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn open_register(&self, name: &str) -> Result<Arc<dyn Register>, BusError> {
        check_name(name)?;
        let mut registers = lock(&self.0.registers);
        let register = registers.entry(name.to_owned()).or_insert_with(|| Arc::new(LocalRegister::new(name)));
        Ok(Arc::clone(register) as Arc<dyn Register>)
    }

    fn open_log(&self, name: &str, kept: Kept) -> Result<Arc<dyn Log>, BusError> {
        check_name(name)?;
        kept.check()?;
        match lock(&self.0.logs).entry(name.to_owned()) {
            Entry::Vacant(vacant) => Ok(Arc::clone(vacant.insert(Arc::new(LocalLog::new(name, kept)))) as Arc<dyn Log>),
            Entry::Occupied(log) if log.get().kept() == kept => Ok(Arc::clone(log.get()) as Arc<dyn Log>),
            Entry::Occupied(log) => {
                let is = log.get().kept();
                Err(BusError::invalid(format_args!("the log {name} is there already, and keeps {is:?}, not {kept:?}")))
            }
        }
    }
}

impl Fabric for Local {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.0.bus) as Arc<dyn Bus>
    }

    fn register(&self, name: &str) -> Later<'_, Arc<dyn Register>> {
        let name = name.to_owned();
        Box::pin(async move { self.open_register(&name) })
    }

    fn delete_register(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move {
            check_name(&name)?;
            let deleted = lock(&self.0.registers).remove(&name);
            if let Some(register) = deleted {
                register.delete_all();
            }
            Ok(())
        })
    }

    fn log(&self, name: &str, kept: Kept) -> Later<'_, Arc<dyn Log>> {
        let name = name.to_owned();
        Box::pin(async move { self.open_log(&name, kept) })
    }

    fn delete_log(&self, name: &str) -> Later<'_, ()> {
        let name = name.to_owned();
        Box::pin(async move {
            check_name(&name)?;
            let deleted = lock(&self.0.logs).remove(&name);
            if let Some(log) = deleted {
                log.delete_all();
            }
            Ok(())
        })
    }

    fn description(&self) -> String {
        "this process".to_owned()
    }
}

impl Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Nothing panics while it holds one of these locks, but a lock is no reason to panic either.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
