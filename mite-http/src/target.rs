//! Where a request goes: its server, of which most is the same for all requests, and its path.
//! It is separate from the draft because a URL is parsed by the rules for browsers, which takes longer than all else that is
//! done for a plain request: that is spared wherever it would change nothing.

use std::{
    cell::RefCell,
    hash::BuildHasher,
    sync::{Arc, OnceLock},
};

use http::{HeaderValue, header::InvalidHeaderValue};
use rustc_hash::{FxBuildHasher, FxHashMap};
use url::{Position, Url};

use crate::headers::Preset;

/// How many servers a worker remembers.
const MOST_SITES: usize = 256;

/// One server, as URLs name it.
#[derive(Debug)]
pub(crate) struct Site {
    /// The URL of its root.
    url: Url,
    /// What a request to it says where nobody says otherwise.
    preset: Result<Preset, InvalidHeaderValue>,
}

impl Site {
    fn of(url: &Url) -> Arc<Self> {
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        root.set_fragment(None);
        let host = HeaderValue::try_from(&url[Position::BeforeHost..Position::AfterPort]);
        Arc::new(Self { url: root, preset: host.map(Preset::of) })
    }

    /// The URL of its root.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// `scheme://host:port`.
    pub(crate) fn name(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// What a request to it says where nobody says otherwise, or why its host cannot be said.
    pub(crate) fn preset(&self) -> Result<&Preset, &InvalidHeaderValue> {
        self.preset.as_ref()
    }
}

/// A URL without credentials, and the server that it leads to. It is shared by the requests that go there.
#[derive(Debug, Clone)]
pub(crate) struct Target(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    site: Arc<Site>,
    text: Box<str>,
    /// Where the path begins in it, and where the query ends.
    path: (u32, u32),
    /// The same as `text`, made when it is first asked for. Boxed, because it is large, and few ask.
    url: OnceLock<Box<Url>>,
}

impl Target {
    /// The target of a URL of http or https.
    pub(crate) fn of(url: Url) -> Self {
        Self::on(Site::of(&url), url)
    }

    fn on(site: Arc<Site>, url: Url) -> Self {
        let end = url[..Position::AfterQuery].len() as u32;
        let path = (site.name().len() as u32, end);
        Self(Arc::new(Parts { text: url.as_str().into(), path, site, url: OnceLock::from(Box::new(url)) }))
    }

    pub(crate) fn site(&self) -> &Site {
        &self.0.site
    }

    pub(crate) fn url(&self) -> &Url {
        self.0.url.get_or_init(|| {
            Box::new(self.0.text.parse().expect("a known server's name and a path of plain characters are a URL"))
        })
    }

    /// Gives the URL another query.
    pub(crate) fn set_query(&mut self, query: &str) {
        let mut url = self.url().clone();
        url.set_query(Some(query));
        *self = Self::on(Arc::clone(&self.0.site), url);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The path and the query, as they are sent to the server.
    pub(crate) fn path(&self) -> &str {
        let (begin, end) = self.0.path;
        &self.0.text[begin as usize..end as usize]
    }

    /// What a proxy is sent.
    pub(crate) fn without_fragment(&self) -> &str {
        &self.0.text[..self.0.path.1 as usize]
    }
}

/// The servers that a worker's requests went to.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    /// By name.
    known: RefCell<FxHashMap<Box<str>, Arc<Site>>>,
    recent: Recent,
}

/// Targets that were asked for of late, each in the one place that the hash of its text gives it.
#[derive(Debug)]
struct Recent(RefCell<[Option<Target>; PLACES]>);

const PLACES: usize = 64;

/// A longer URL is not remembered.
const LONGEST_RECENT: usize = 1 << 10;

impl Default for Recent {
    fn default() -> Self {
        Self(RefCell::new([const { None }; PLACES]))
    }
}

impl Recent {
    /// The target of `text`, from here or else found now.
    fn or_find(&self, text: &str, find: impl FnOnce() -> Option<Target>) -> Option<Target> {
        if text.len() > LONGEST_RECENT {
            return find();
        }
        let place = FxBuildHasher.hash_one(text) as usize % PLACES;
        let place = &mut self.0.borrow_mut()[place];
        if place.as_ref().is_none_or(|target| target.as_str() != text) {
            *place = Some(find()?);
        }
        place.clone()
    }
}

impl Sites {
    /// The target that `text` stands for, if its server is known and the rest of it stays as it is.
    pub(crate) fn target(&self, text: &str) -> Option<Target> {
        self.recent.or_find(text, || {
            let (name, path) = split(text)?;
            let known = self.known.borrow();
            let site = Arc::clone(known.get(name)?);
            let path = is_plain(path).then_some((name.len() as u32, text.len() as u32))?;
            Some(Target(Arc::new(Parts { site, text: text.into(), path, url: OnceLock::new() })))
        })
    }

    /// The target of a URL of http or https, whose server is remembered.
    pub(crate) fn learn(&self, url: Url) -> Target {
        let mut known = self.known.borrow_mut();
        let name = &url[..Position::BeforePath];
        if let Some(site) = known.get(name) {
            return Target::on(Arc::clone(site), url);
        }
        let site = Site::of(&url);
        if known.len() == MOST_SITES {
            known.clear();
        }
        known.insert(name.into(), Arc::clone(&site));
        Target::on(site, url)
    }
}

/// The server and the path of an absolute URL, if it looks like one that has a path.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http")?;
    let host = rest.strip_prefix("://").or_else(|| rest.strip_prefix("s://"))?;
    // Hosts are short: a plain loop is quicker than a search that is made for long texts.
    let length = host.bytes().position(|byte| byte == b'/')?;
    text.split_at_checked(text.len() - host.len() + length)
}

/// Whether a path, perhaps with a query, is the same after it was parsed: it has no character that is encoded, and no
/// segment that leads elsewhere.
fn is_plain(path: &str) -> bool {
    let hides_a_dot = path.contains('%') && (path.contains("%2e") || path.contains("%2E"));
    let mut before = b'/';
    !hides_a_dot
        && path.bytes().all(|byte| {
            let leads_elsewhere = byte == b'.' && before == b'/';
            before = byte;
            PLAIN[usize::from(byte)] && !leads_elsewhere
        })
}

/// The characters that stand for themselves in a path and in a query alike.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~!$&()*+,;=:@/?%";
    let mut at = 0;
    while at < marks.len() {
        plain[marks[at] as usize] = true;
        at += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_that_is_known_is_parsed_once() {
        let sites = Sites::default();
        assert!(sites.target("http://h:1/a").is_none());
        let learned = sites.learn("http://h:1/a/../b?q#part".parse().unwrap());
        assert_eq!((learned.as_str(), learned.path()), ("http://h:1/b?q#part", "/b?q"));
        let target = sites.target("http://h:1/c?d=1").unwrap();
        assert!(target.site().preset().unwrap().lines().starts_with(b"host: h:1\r\n"));
        assert_eq!((target.path(), target.site().name()), ("/c?d=1", "http://h:1"));
        assert_eq!(target.url(), &"http://h:1/c?d=1".parse().unwrap());
        for other in ["http://h:2/c", "http://h:1", "http://h:1?q", "http://h:1/ü", "http://h:1/./c", "http://h:1/c#d"]
        {
            assert!(sites.target(other).is_none(), "{other}");
        }
        assert!(sites.target("http://h:1?x=/c").is_none() && sites.target("http://u@h:1/c").is_none());
    }

    #[test]
    fn servers_are_forgotten_when_there_are_too_many() {
        let sites = Sites::default();
        for port in 1..=3 * MOST_SITES {
            sites.learn(format!("http://h:{port}/").parse().unwrap());
        }
        assert!(sites.known.borrow().len() <= MOST_SITES);
    }

    proptest! {
        #[test]
        fn what_is_not_parsed_is_what_parsing_would_give(path in "/[ -~]{0,12}|/[a-z./?%:@\\\\2e]{0,12}") {
            let sites = Sites::default();
            sites.learn("http://h:1/".parse().unwrap());
            let text = format!("http://h:1{path}");
            let parsed: Url = text.parse().unwrap();
            if let Some(target) = sites.target(&text) {
                prop_assert_eq!(target.as_str(), parsed.as_str());
                prop_assert_eq!(target.url(), &parsed);
                prop_assert_eq!(target.path(), &parsed[Position::BeforePath..Position::AfterQuery]);
            }
            let (parsed, expected) = (sites.learn(parsed.clone()), parsed);
            prop_assert_eq!(parsed.url(), &expected);
        }
    }
}
