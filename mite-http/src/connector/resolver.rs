//! Looks names up, keeps what was found for as long as the session says, and counts the turns of addresses.
//! It is separate because it is shared by all connections of a connector, and asks the system for nobody twice at once.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    io,
    net::IpAddr,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    time::Instant,
};

use tokio::{net::lookup_host, sync::Mutex};
use url::Host;

use crate::{
    error::{Class, Fault},
    network::address::{AddressSelection, Dns},
};

/// A lookup that is under way.
type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>>>>;

/// Asks the system for the addresses of a name.
type LookUp = fn(String) -> LookingUp;

/// What came of a lookup and when, for all who wait for it.
type Found = Result<(Rc<[IpAddr]>, Instant), Arc<io::Error>>;

/// One lookup for all who wait for it. Whoever has the lock drives it on; the next one does where he has gone.
type Asking = Mutex<Asked>;

enum Asked {
    LookingUp(LookingUp),
    Found(Found),
}

/// The addresses of a name.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) addresses: Rc<[IpAddr]>,
    /// They were known before, and nobody was asked.
    pub(super) kept: bool,
}

enum Name {
    /// It is asked for, by the lookup of this number, if somebody still waits for that.
    Asked(u64, Weak<Asking>),
    Known(Rc<[IpAddr]>, Instant),
}

pub(super) struct Resolver<L = LookUp> {
    look_up: L,
    dns: Dns,
    names: RefCell<HashMap<Box<str>, Name>>,
    lookups: Cell<u64>,
    turns: RefCell<HashMap<String, usize>>,
    /// Where turns begin: with all workers at the first address, few connections of many workers would all go there.
    first_turn: usize,
}

impl Resolver {
    pub(super) fn new(dns: Dns) -> Self {
        Self::with(dns, |name| {
            Box::pin(async move { Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
        })
    }
}

impl<L: Fn(String) -> LookingUp> Resolver<L> {
    pub(super) fn with(dns: Dns, look_up: L) -> Self {
        let first_turn = RandomState::new().hash_one(0) as u32 as usize;
        Self { look_up, dns, names: RefCell::default(), lookups: Cell::new(0), turns: RefCell::default(), first_turn }
    }

    /// The addresses of `name`, as the system orders them.
    pub(super) async fn look_up(&self, name: &str) -> Result<Answer, Fault> {
        let addresses = match self.dns {
            Dns::EachConnection => {
                let found = (self.look_up)(name.to_owned()).await;
                found.map_err(|error| failed().because(error))?.into()
            }
            Dns::Once | Dns::Ttl(_) => {
                if let Some(addresses) = self.known(name) {
                    return Ok(Answer { addresses, kept: true });
                }
                let (number, asking) = self.asking(name);
                let found = found(&asking).await;
                self.keep(name, number, &found);
                found.map_err(|error| failed().because(error))?.0
            }
        };
        if addresses.is_empty() {
            return Err(failed().because("the name has no address"));
        }
        Ok(Answer { addresses, kept: false })
    }

    fn known(&self, name: &str) -> Option<Rc<[IpAddr]>> {
        match (self.names.borrow().get(name)?, self.dns) {
            (Name::Known(_, at), Dns::Ttl(ttl)) if at.elapsed() >= ttl => None,
            (Name::Known(addresses, _), _) => Some(Rc::clone(addresses)),
            (Name::Asked(..), _) => None,
        }
    }

    /// The lookup of `name` that is under way, or a new one, and its number. It is given up when all who wait have gone.
    fn asking(&self, name: &str) -> (u64, Rc<Asking>) {
        let mut names = self.names.borrow_mut();
        if let Some(Name::Asked(number, asked)) = names.get(name)
            && let Some(asking) = asked.upgrade()
        {
            return (*number, asking);
        }
        let number = self.lookups.get();
        self.lookups.set(number + 1);
        let asking = Rc::new(Mutex::new(Asked::LookingUp((self.look_up)(name.to_owned()))));
        names.insert(name.into(), Name::Asked(number, Rc::downgrade(&asking)));
        (number, asking)
    }

    /// Keeps what the lookup of that `number` has found, unless it was in vain, or another has taken its place.
    fn keep(&self, name: &str, number: u64, found: &Found) {
        let mut names = self.names.borrow_mut();
        if !matches!(names.get(name), Some(Name::Asked(current, _)) if *current == number) {
            return;
        }
        match found {
            Ok((addresses, at)) if !addresses.is_empty() => {
                names.insert(name.into(), Name::Known(Rc::clone(addresses), *at));
            }
            _ => {
                names.remove(name);
            }
        }
    }

    /// The number of this connection among those to `host` and `port`.
    pub(super) fn turn(&self, selection: AddressSelection, host: &Host<&str>, port: u16) -> usize {
        if selection == AddressSelection::First {
            return 0;
        }
        let mut turns = self.turns.borrow_mut();
        let turn = turns.entry(format!("{host}:{port}")).or_insert(self.first_turn);
        *turn = turn.wrapping_add(1);
        *turn
    }
}

async fn found(asking: &Asking) -> Found {
    let mut asked = asking.lock().await;
    match &mut *asked {
        Asked::Found(found) => found.clone(),
        Asked::LookingUp(looking_up) => {
            let found = looking_up.await.map(|ips| (ips.into(), Instant::now())).map_err(Arc::new);
            *asked = Asked::Found(found.clone());
            found
        }
    }
}

fn failed() -> Fault {
    Fault::new(Class::Connect, "a name was not resolved")
}

impl<L> fmt::Debug for Resolver<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("dns", &self.dns).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
