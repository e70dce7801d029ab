//! The clients of one worker: sessions with equal settings share one, and with it connections.
//! It is separate from the client because a client knows one network and one policy only.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
};

use crate::{
    client::Client,
    connector::Connector,
    network::Network,
    policy::{Connections, Policy},
    settings::Settings,
    worker::Worker,
};

/// How many networks are remembered: each comes from other settings in the user's code, which may be those of one user
/// with a certificate of his own.
const MOST_NETWORKS: usize = 64;

/// The clients of one worker.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// The last used is last.
    networks: RefCell<Vec<OfNetwork>>,
    /// Default settings, which nearly each journey has, and their client.
    plain: OnceCell<(Rc<Settings>, Rc<Client>)>,
    worker: Rc<Worker>,
}

/// The clients whose connections are opened in one way.
#[derive(Debug)]
struct OfNetwork {
    /// `None` for the default one.
    network: Option<Arc<Network>>,
    connector: Rc<Connector>,
    shared: Vec<(Policy, Rc<Client>)>,
}

impl Clients {
    /// The settings and the client of a session of which nothing was asked.
    pub(crate) fn plain(&self) -> (Rc<Settings>, Rc<Client>) {
        let (settings, client) = self.plain.get_or_init(|| {
            let settings = Settings::new();
            let client = self.client(settings.network(), settings.policy);
            (Rc::new(settings), client)
        });
        (Rc::clone(settings), Rc::clone(client))
    }

    /// The client of a session with this network and this policy.
    pub(crate) fn client(&self, network: Option<&Arc<Network>>, policy: Policy) -> Rc<Client> {
        let mut networks = self.networks.borrow_mut();
        match networks.iter().rposition(|known| known.is_of(network)) {
            Some(last) if last + 1 == networks.len() => {}
            Some(place) => {
                let known = networks.remove(place);
                networks.push(known);
            }
            None => {
                if networks.len() == MOST_NETWORKS {
                    // Its sessions go on with what they have; its idle connections are closed. The default one stays.
                    let first = usize::from(networks[0].network.is_none());
                    networks.remove(first);
                }
                networks.push(OfNetwork::new(network.cloned()));
            }
        }
        let last = networks.len() - 1;
        networks[last].client(policy, &self.worker)
    }
}

impl OfNetwork {
    fn new(network: Option<Arc<Network>>) -> Self {
        let connector = Rc::new(Connector::new(network.clone().unwrap_or_default()));
        Self { network, connector, shared: Vec::new() }
    }

    fn is_of(&self, network: Option<&Arc<Network>>) -> bool {
        match (&self.network, network) {
            (Some(known), Some(network)) => Arc::ptr_eq(known, network) || known == network,
            (known, network) => known.is_none() && network.is_none(),
        }
    }

    fn client(&mut self, policy: Policy, worker: &Rc<Worker>) -> Rc<Client> {
        if policy.connections == Connections::PerJourney {
            return Rc::new(Client::new(policy, Rc::new(self.connector.for_newcomer()), Rc::clone(worker)));
        }
        if let Some((_, client)) = self.shared.iter().find(|(known, _)| *known == policy) {
            return Rc::clone(client);
        }
        let client = Rc::new(Client::new(policy, Rc::clone(&self.connector), Rc::clone(worker)));
        self.shared.push((policy, Rc::clone(&client)));
        client
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn network(seconds: u64) -> Arc<Network> {
        Arc::new(Network { dns_timeout: Some(Duration::from_secs(seconds)), ..Network::default() })
    }

    #[tokio::test(flavor = "local")]
    async fn equal_settings_share_and_others_do_not() {
        let clients = Clients::default();
        let shared = Policy::default();
        let first = clients.client(None, shared);
        assert!(Rc::ptr_eq(&first, &clients.client(None, shared)));
        let own = clients.client(Some(&network(1)), shared);
        assert!(!Rc::ptr_eq(&first, &own) && Rc::ptr_eq(&own, &clients.client(Some(&network(1)), shared)));
        assert!(Rc::ptr_eq(&first, &clients.client(None, shared)));
        let once = Policy { connections: Connections::PerRequest, ..shared };
        assert!(!Rc::ptr_eq(&first, &clients.client(None, once)));
        let journey = Policy { connections: Connections::PerJourney, ..shared };
        assert!(!Rc::ptr_eq(&clients.client(None, journey), &clients.client(None, journey)));
    }

    #[tokio::test(flavor = "local")]
    async fn the_longest_unused_network_is_forgotten() {
        let clients = Clients::default();
        let first = clients.client(None, Policy::default());
        for seconds in 0..2 * MOST_NETWORKS as u64 {
            clients.client(Some(&network(seconds)), Policy::default());
            assert!(Rc::ptr_eq(&first, &clients.client(None, Policy::default())));
        }
        assert_eq!(clients.networks.borrow().len(), MOST_NETWORKS);
    }
}
