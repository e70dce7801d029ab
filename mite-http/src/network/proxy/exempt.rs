//! The hosts that `no_proxy` names, by curl's rules.
//! It is separate because the list is a small language of its own: names, addresses, networks, and `*`.

use std::net::IpAddr;

use url::Host;

/// The hosts that are reached without a proxy.
#[derive(Debug, PartialEq)]
pub(super) struct Exempt(Vec<Entry>);

#[derive(Debug, PartialEq)]
enum Entry {
    Everything,
    /// The domain and all below it.
    Domain(String),
    /// The addresses that begin with so many bits of this one.
    Network(IpAddr, u32),
}

impl Exempt {
    /// Entries are separated by commas or spaces. One that makes no sense names nothing.
    pub(super) fn new(list: &str) -> Self {
        let entries = list.split(|char: char| char == ',' || char.is_whitespace());
        Self(entries.filter(|entry| !entry.is_empty()).map(Entry::new).collect())
    }

    pub(super) fn contains(&self, host: &Host<&str>) -> bool {
        self.0.iter().any(|entry| match (entry, host) {
            (Entry::Everything, _) => true,
            (Entry::Domain(domain), Host::Domain(name)) => {
                let above = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at));
                above.is_some_and(|(below, end)| {
                    end.eq_ignore_ascii_case(domain) && (below.is_empty() || below.ends_with('.'))
                })
            }
            (Entry::Network(network, bits), Host::Ipv4(address)) => is_within((*address).into(), *network, *bits),
            (Entry::Network(network, bits), Host::Ipv6(address)) => is_within((*address).into(), *network, *bits),
            _ => false,
        })
    }
}

impl Entry {
    fn new(text: &str) -> Self {
        if text == "*" {
            return Self::Everything;
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        match address.parse::<IpAddr>() {
            Ok(address) => {
                let all = if address.is_ipv4() { 32 } else { 128 };
                match bits.map_or(Ok(all), str::parse) {
                    Ok(bits) if bits <= all => Self::Network(address, bits),
                    _ => Self::Domain(text.to_owned()),
                }
            }
            Err(_) => Self::Domain(text.strip_prefix('.').unwrap_or(text).to_owned()),
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn what_is_exempt() {
        let table = [
            ("", "http://a.test/", false),
            (", ,", "http://a.test/", false),
            ("a.test", "http://a.test:8080/", true),
            ("a.test", "http://A.test/", true),
            ("A.Test", "http://www.a.test/", true),
            (".a.test", "http://www.a.test/", true),
            (".a.test", "http://a.test/", true),
            ("a.test", "http://ba.test/", false),
            ("a.test", "http://test/", false),
            ("www.a.test", "http://a.test/", false),
            ("bücher.test", "http://a.test/", false),
            ("b other\t,a.test", "http://a.test/", true),
            ("*", "http://a.test/", true),
            ("other,*", "http://10.1.2.3/", true),
            ("*", "http://[::1]/", true),
            // The only sign that stands for others.
            ("*.test", "http://a.test/", false),
            ("10.124.7.8", "http://10.124.7.8/", true),
            ("10.124.7.8", "http://10.124.7.7/", false),
            ("10.42.1.1/24", "http://10.42.1.100/", true),
            ("10.42.1.1/24", "http://10.43.1.1/", false),
            ("0.0.0.0/0", "http://10.43.1.1/", true),
            ("0.0.0.0/0", "http://[::1]/", false),
            ("10.0.0.0/33", "http://10.0.0.0/", false),
            ("10.0.0.0/8x", "http://10.0.0.0/", false),
            ("10.0.0.0/", "http://10.0.0.0/", false),
            ("::1", "http://[::1]:8080/", true),
            ("2001::/17", "http://[2001:db8:a0b:12f0::1]/", true),
            ("2001::/17", "http://[ffff:db8:a0b:12f0::1]/", false),
            // Names are not resolved.
            ("127.0.0.1", "http://localhost/", false),
        ];
        for (list, url, exempt) in table {
            let url: Url = url.parse().unwrap();
            assert_eq!(Exempt::new(list).contains(&url.host().unwrap()), exempt, "{list} for {url}");
        }
    }
}
