//! What a jar keeps: cookies with where they belong, and how they are found.
//! It is separate from the jar, which is shared and locked, and from what servers offer, which is strangers' text.

use std::{
    cmp::Reverse,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::text;

/// Nothing is kept for longer than to the end of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A cookie that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(with = "text")]
    pub(super) name: Vec<u8>,
    #[serde(with = "text")]
    pub(super) value: Vec<u8>,
    pub(super) domain: String,
    pub(super) host_only: bool,
    pub(super) path: String,
    /// `None` for one that lasts as long as its session.
    #[serde(with = "seconds", default)]
    pub(super) expires: Option<SystemTime>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
}

/// The cookies of a jar, in the order in which they were set first.
#[derive(Debug, Default)]
pub(super) struct Store(Vec<Kept>);

impl Store {
    /// Keeps `cookie` in the place of the one that it replaces. One that has expired already only erases that.
    pub(super) fn put(&mut self, cookie: Kept) {
        let now = SystemTime::now();
        self.0.retain(|kept| !kept.has_expired(now));
        let before = self.0.iter().position(|kept| kept.is_replaced_by(&cookie));
        match before {
            Some(at) if cookie.has_expired(now) => drop(self.0.remove(at)),
            Some(at) => self.0[at] = cookie,
            None if cookie.has_expired(now) => {}
            None => self.0.push(cookie),
        }
    }

    /// All that have not expired.
    pub(super) fn all(&self) -> impl Iterator<Item = &Kept> {
        let now = SystemTime::now();
        self.0.iter().filter(move |kept| !kept.has_expired(now))
    }

    /// The cookies for `url`, in the order in which they are sent: longer paths first, as RFC 6265 asks for.
    pub(super) fn matching(&self, url: &Url) -> Vec<&Kept> {
        let mut cookies: Vec<_> = self.all().filter(|kept| kept.is_for(url)).collect();
        cookies.sort_by_key(|cookie| Reverse(cookie.path.len()));
        cookies
    }

    /// Removes the cookie of this name that a request to `url` would send first; whether there was one.
    pub(super) fn remove(&mut self, url: &Url, name: &[u8]) -> bool {
        let Some(found) = self.matching(url).into_iter().find(|kept| kept.name == name).cloned() else {
            return false;
        };
        self.0.retain(|kept| !kept.is_replaced_by(&found));
        true
    }
}

impl FromIterator<Kept> for Store {
    fn from_iter<I: IntoIterator<Item = Kept>>(cookies: I) -> Self {
        let mut store = Self::default();
        cookies.into_iter().for_each(|cookie| store.put(cookie));
        store
    }
}

impl Kept {
    fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_replaced_by(&self, other: &Self) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
    }

    fn is_for(&self, url: &Url) -> bool {
        let host = url.host();
        let is_of_host =
            host.is_some_and(
                |host| if self.host_only { is_host(&host, &self.domain) } else { belongs(&host, &self.domain) },
            );
        is_of_host && is_below(url.path(), &self.path) && (!self.secure || is_trusted(url))
    }
}

/// Whether nobody between here and the server can read along.
pub(super) fn is_trusted(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    loopback || url.scheme() == "https"
}

fn is_host(host: &Host<&str>, domain: &str) -> bool {
    match host {
        Host::Domain(name) => *name == domain,
        address => address.to_string() == domain,
    }
}

/// Whether `host` is `domain` or below it (RFC 6265, 5.1.3). An address is below nothing.
pub(super) fn belongs(host: &Host<&str>, domain: &str) -> bool {
    match host {
        Host::Domain(name) => name.strip_suffix(domain).is_some_and(|above| above.is_empty() || above.ends_with('.')),
        address => is_host(address, domain),
    }
}

/// Whether a request to `path` is for a cookie's (RFC 6265, 5.1.4).
fn is_below(path: &str, cookies: &str) -> bool {
    path.strip_prefix(cookies).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookies.ends_with('/'))
}

/// When a cookie expires that was to be kept for so long from now.
pub(super) fn after(max_age: Duration) -> SystemTime {
    let now = SystemTime::now();
    now.checked_add(max_age).map_or_else(last, |expires| expires.min(last()))
}

fn last() -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(LAST).unwrap_or_else(SystemTime::now)
}

/// Times as whole seconds since 1970.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, LAST, Serialize, Serializer, SystemTime};

    #[expect(clippy::ref_option, reason = "serde calls it with what the field is")]
    pub(super) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        let since = |time: &SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        time.as_ref().map(since).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        let seconds = Option::<u64>::deserialize(deserializer)?;
        Ok(seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds).min(LAST))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn paths_and_domains_are_matched_as_the_rfc_says() {
        let paths = [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/", "/a", false),
        ];
        for (path, cookies, expected) in paths {
            assert_eq!(is_below(path, cookies), expected, "{path} for {cookies}");
        }
        let domains = [
            ("http://app.test/", "app.test", true),
            ("http://www.app.test/", "app.test", true),
            ("http://app.test/", "www.app.test", false),
            ("http://notapp.test/", "app.test", false),
            ("http://1.2.3.4/", "1.2.3.4", true),
            ("http://1.2.3.4/", "3.4", false),
            ("http://[::1]/", "[::1]", true),
            ("http://[::1]/", "1]", false),
        ];
        for (to, domain, expected) in domains {
            assert_eq!(belongs(&url(to).host().unwrap(), domain), expected, "{to} for {domain}");
        }
    }

    #[test]
    fn what_replaces_a_cookie_stays_in_its_place() {
        let cookie = |name: &str, value: &str, expires| Kept {
            name: name.into(),
            value: value.into(),
            domain: "app.test".into(),
            host_only: true,
            path: "/".into(),
            expires,
            secure: false,
            http_only: false,
        };
        let long_ago = Some(SystemTime::UNIX_EPOCH);
        let mut store: Store =
            [cookie("a", "1", None), cookie("b", "1", None), cookie("a", "2", None)].into_iter().collect();
        let kept = |store: &Store| store.all().map(|kept| [&*kept.name, &*kept.value].concat()).collect::<Vec<_>>();
        assert_eq!(kept(&store), [b"a2", b"b1"]);
        store.put(cookie("c", "", long_ago));
        store.put(cookie("a", "", long_ago));
        assert_eq!(kept(&store), [b"b1"]);
        assert_eq!(store.0.len(), 1);
        assert!(after(Duration::MAX) == last() && after(Duration::ZERO) < last());
    }
}
