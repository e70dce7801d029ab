//! Which addresses a connection is tried at, and in which order.
//! It is separate from the lookup because it is decided without a network, by pure functions.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use url::Host;

/// When a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dns {
    /// For each connection.
    #[default]
    EachConnection,
    /// Once in each worker of a run.
    Once,
    /// Again when what was found is as old as this.
    Ttl(Duration),
}

/// Which of the addresses of a name a connection is opened to. The others are tried when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AddressSelection {
    /// The first that the system's resolver gives.
    #[default]
    First,
    /// Each in its turn, so that every address has an equal part of a worker's connections.
    RoundRobin,
}

/// Which of the addresses of a name are used, and which are tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IpPreference {
    /// All, as the system's resolver orders them.
    #[default]
    Any,
    /// IPv4 first.
    V4,
    /// IPv6 first.
    V6,
    /// IPv4 and nothing else.
    V4Only,
    /// IPv6 and nothing else.
    V6Only,
}

impl IpPreference {
    /// How far behind in the order an address is; `None` for one that is not used.
    fn rank(self, address: &SocketAddr) -> Option<u8> {
        match (self, address.is_ipv4()) {
            (Self::V4Only, false) | (Self::V6Only, true) => None,
            (Self::V4, false) | (Self::V6, true) => Some(1),
            _ => Some(0),
        }
    }

    /// What an address has to be, for messages.
    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Self::V4Only => "no IPv4 address",
            Self::V6Only => "no IPv6 address",
            Self::Any | Self::V4 | Self::V6 => "no address",
        }
    }
}

/// Orders `found` for the connection whose number is `turn`.
pub(crate) fn in_order(
    found: &[SocketAddr],
    preference: IpPreference,
    selection: AddressSelection,
    turn: usize,
) -> Vec<SocketAddr> {
    let mut ranked: Vec<_> = found.iter().filter_map(|address| Some((preference.rank(address)?, *address))).collect();
    match selection {
        AddressSelection::First => ranked.sort_by_key(|(rank, _)| *rank),
        AddressSelection::RoundRobin => {
            // Name servers turn their answers too: turning what has been turned may come to the same address each time.
            ranked.sort_unstable();
            ranked.dedup();
            let second_choice = ranked.partition_point(|(rank, _)| *rank == 0);
            let (first, second) = ranked.split_at_mut(second_choice);
            for group in [first, second] {
                let by = turn % group.len().max(1);
                group.rotate_left(by);
            }
        }
    }
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// Where the requests to a host go instead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    host: Host,
    /// Any, if it is `None`.
    port: Option<u16>,
    addresses: Vec<SocketAddr>,
}

impl Override {
    /// `name` is a host, or a host and a port.
    pub(crate) fn new(name: &str, addresses: Vec<SocketAddr>) -> Result<Self, String> {
        if addresses.is_empty() {
            return Err(format!("`{name}` is to be resolved to no address at all: give one at least"));
        }
        let (host, port) = match name.rsplit_once(':') {
            // The colons of a bare IPv6 address are not before a port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse().map_err(|error| format!("`{port}` is not a port, in `{name}`: {error}"))?;
                (host, Some(port))
            }
            _ => (name, None),
        };
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => Host::Ipv6(ip),
            _ => Host::parse(host).map_err(|error| format!("`{host}` is not a host: {error}"))?,
        };
        Ok(Self { host, port, addresses })
    }

    /// Where a connection to `host` and `port` goes, if it is for this to say.
    pub(crate) fn of(&self, host: &Host<&str>, port: u16) -> Option<Vec<SocketAddr>> {
        let same = match (&self.host, host) {
            (Host::Domain(own), Host::Domain(name)) => own == name,
            (Host::Ipv4(own), Host::Ipv4(ip)) => own == ip,
            (Host::Ipv6(own), Host::Ipv6(ip)) => own == ip,
            _ => false,
        };
        if !same || self.port.is_some_and(|own| own != port) {
            return None;
        }
        let with_port = |address: &SocketAddr| match address.port() {
            0 => SocketAddr::new(address.ip(), port),
            _ => *address,
        };
        Some(self.addresses.iter().map(with_port).collect())
    }
}

/// The first of the sources that can reach `target`, and the number with which the next look begins; `turn` is that of
/// this one.
pub(crate) fn source_for(sources: &[IpAddr], target: &SocketAddr, turn: usize) -> Option<(IpAddr, usize)> {
    (turn..turn + sources.len())
        .map(|number| (sources[number % sources.len()], (number + 1) % sources.len()))
        .find(|(source, _)| source.is_ipv4() == target.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn addresses_are_ordered_by_preference_and_then_by_turn() {
        use AddressSelection::{First, RoundRobin};
        use IpPreference::{Any, V4, V4Only, V6, V6Only};
        let found = ["::2", "10.0.0.2", "::1", "10.0.0.1"];
        let table: [(IpPreference, AddressSelection, usize, &[&str]); 14] = [
            // As they came.
            (Any, First, 0, &["::2", "10.0.0.2", "::1", "10.0.0.1"]),
            (Any, First, 7, &["::2", "10.0.0.2", "::1", "10.0.0.1"]),
            (V4, First, 0, &["10.0.0.2", "10.0.0.1", "::2", "::1"]),
            (V6, First, 0, &["::2", "::1", "10.0.0.2", "10.0.0.1"]),
            (V4Only, First, 0, &["10.0.0.2", "10.0.0.1"]),
            (V6Only, First, 0, &["::2", "::1"]),
            // In an order of their own, whichever they came in.
            (Any, RoundRobin, 0, &["10.0.0.1", "10.0.0.2", "::1", "::2"]),
            (Any, RoundRobin, 1, &["10.0.0.2", "::1", "::2", "10.0.0.1"]),
            (Any, RoundRobin, 5, &["10.0.0.2", "::1", "::2", "10.0.0.1"]),
            // The second choice does not come first at any turn.
            (V4, RoundRobin, 0, &["10.0.0.1", "10.0.0.2", "::1", "::2"]),
            (V4, RoundRobin, 3, &["10.0.0.2", "10.0.0.1", "::2", "::1"]),
            (V6, RoundRobin, 1, &["::2", "::1", "10.0.0.2", "10.0.0.1"]),
            (V4Only, RoundRobin, 1, &["10.0.0.2", "10.0.0.1"]),
            (V6Only, RoundRobin, usize::MAX, &["::2", "::1"]),
        ];
        for (preference, selection, turn, ordered) in table {
            let got = in_order(&addresses(&found), preference, selection, turn);
            assert_eq!(got, addresses(ordered), "{preference:?} {selection:?} {turn}");
        }
        assert!(in_order(&addresses(&["::1"]), V4Only, RoundRobin, 3).is_empty());
    }

    #[test]
    fn an_answer_that_was_turned_before_is_not_turned_back() {
        let turned = [["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"]];
        let firsts: Vec<_> = (0..4)
            .map(|turn| {
                let found = addresses(&turned[turn % 2]);
                in_order(&found, IpPreference::Any, AddressSelection::RoundRobin, turn)[0].ip().to_string()
            })
            .collect();
        assert_eq!(firsts, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]);
    }

    #[test]
    fn an_override_is_of_a_host_and_perhaps_a_port() {
        let to = |address: &str| vec![address.parse::<SocketAddr>().unwrap()];
        let table = [
            ("api.test", "http://api.test/", Some("10.0.0.1:8443")),
            ("API.test", "https://api.test/", Some("10.0.0.1:8443")),
            ("api.test", "https://www.api.test/", None),
            ("api.test:443", "https://api.test/", Some("10.0.0.1:8443")),
            ("api.test:443", "http://api.test/", None),
            ("bücher.test", "http://bücher.test/", Some("10.0.0.1:8443")),
            ("192.0.2.7", "http://192.0.2.7/", Some("10.0.0.1:8443")),
            ("2001:db8::1", "http://[2001:db8::1]/", Some("10.0.0.1:8443")),
            ("[2001:db8::1]:80", "http://[2001:db8::1]/", Some("10.0.0.1:8443")),
            ("[2001:db8::1]:81", "http://[2001:db8::1]/", None),
        ];
        for (name, url, expected) in table {
            let url: url::Url = url.parse().unwrap();
            let own = Override::new(name, to("10.0.0.1:8443")).unwrap();
            let got = own.of(&url.host().unwrap(), url.port_or_known_default().unwrap());
            assert_eq!(got, expected.map(to), "{name} for {url}");
        }
        let keeps = Override::new("api.test", to("10.0.0.1:0")).unwrap();
        assert_eq!(keeps.of(&Host::Domain("api.test"), 443), Some(to("10.0.0.1:443")));
    }

    #[test]
    fn an_override_that_makes_no_sense_is_refused() {
        let one = vec!["10.0.0.1:1".parse().unwrap()];
        for (name, addresses, says) in [
            ("api.test", vec![], "no address at all"),
            ("api.test:http", one.clone(), "`http` is not a port"),
            ("no host", one.clone(), "`no host` is not a host"),
            ("", one, "is not a host"),
        ] {
            let mistake = Override::new(name, addresses).unwrap_err();
            assert!(mistake.contains(says), "{mistake}");
        }
    }

    #[test]
    fn sources_are_used_in_turn_and_only_for_their_family() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let sources = [ip("10.0.0.1"), ip("::1"), ip("10.0.0.2")];
        let v4 = "192.0.2.1:80".parse().unwrap();
        let v6 = "[2001:db8::1]:80".parse().unwrap();
        let table = [
            (&v4, 0, Some((ip("10.0.0.1"), 1))),
            (&v4, 1, Some((ip("10.0.0.2"), 0))),
            (&v4, 2, Some((ip("10.0.0.2"), 0))),
            (&v6, 0, Some((ip("::1"), 2))),
            (&v6, 2, Some((ip("::1"), 2))),
        ];
        for (target, turn, expected) in table {
            assert_eq!(source_for(&sources, target, turn), expected, "{target} {turn}");
        }
        assert_eq!(source_for(&sources[..1], &v6, 0), None);
    }
}
