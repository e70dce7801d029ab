//! The clients of one worker: sessions with equal settings share one, and with it connections.
//! It is separate from the client because a client knows one policy only.

use std::{cell::RefCell, rc::Rc};

use crate::{
    client::Client,
    connector::Connector,
    policy::{Connections, Policy},
};

/// The clients of one worker.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connector: Rc<Connector>,
    /// Few: each comes from other settings in the user's code.
    shared: RefCell<Vec<(Policy, Rc<Client>)>>,
}

impl Clients {
    /// The client of a session with this policy.
    pub(crate) fn client(&self, policy: Policy) -> Rc<Client> {
        if policy.connections == Connections::PerJourney {
            return Rc::new(Client::new(policy, Rc::clone(&self.connector)));
        }
        let mut shared = self.shared.borrow_mut();
        if let Some((_, client)) = shared.iter().find(|(known, _)| *known == policy) {
            return Rc::clone(client);
        }
        let client = Rc::new(Client::new(policy, Rc::clone(&self.connector)));
        shared.push((policy, Rc::clone(&client)));
        client
    }
}
