//! The sinks that tell Prometheus of a run, as the arguments and the environment say.
//!
//! They are apart from the run's other options, since builds may be without them.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;

use clap::ArgMatches;
use mite_core::Run;
use mite_prometheus::{Buckets, Prometheus, RemoteWrite};

/// What the environment gives for a name.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What tells of a run, made before it starts.
#[derive(Debug)]
pub(crate) struct Metrics {
    scraped: Option<Prometheus>,
    written: Option<RemoteWrite>,
}

impl Metrics {
    /// What the arguments ask for; an address that cannot be had, or buckets that make no sense, are refused.
    pub(crate) fn open(arguments: &ArgMatches) -> Result<Self, String> {
        Self::of(arguments, &|name| env::var_os(name))
    }

    fn of(arguments: &ArgMatches, variable: Variable<'_>) -> Result<Self, String> {
        let (mut scraped, mut written) = (None, None);
        if let Some(address) = arguments.get_one::<String>("web-address") {
            let mut sink = Prometheus::bind(address).map_err(|error| told(&error))?;
            sink = sink.buckets(buckets("MITE_HTTP_HISTOGRAM_BUCKETS", variable)?);
            sink = sink.dns_buckets(buckets("MITE_DNS_HISTOGRAM_BUCKETS", variable)?);
            if let Some(linger) = arguments.get_one::<Duration>("linger") {
                sink = sink.linger(*linger);
            }
            scraped = Some(sink.native_histograms(arguments.get_flag("native-histograms")));
        }
        if let Some(url) = arguments.get_one::<String>("remote-write") {
            let mut sink = RemoteWrite::to(url).map_err(|error| told(&error))?;
            sink = sink.buckets(buckets("MITE_HTTP_HISTOGRAM_BUCKETS", variable)?);
            sink = sink.dns_buckets(buckets("MITE_DNS_HISTOGRAM_BUCKETS", variable)?);
            if let Some(interval) = arguments.get_one::<Duration>("remote-write-interval") {
                sink = sink.interval(*interval);
            }
            written = Some(signed(sink, variable)?);
        }
        Ok(Self { scraped, written })
    }

    /// What is said of it as the run begins.
    pub(crate) fn line(&self) -> Option<String> {
        self.scraped.as_ref().map(|sink| format!("metrics for Prometheus on http://{}/metrics", sink.local_addr()))
    }

    /// Adds it to a run.
    pub(crate) fn add_to(self, mut run: Run) -> Run {
        if let Some(sink) = self.scraped {
            run = run.sink(sink);
        }
        if let Some(sink) = self.written {
            run = run.sink(sink);
        }
        run
    }
}

/// An error with its causes, in one line.
fn told(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

/// A variable's text; none where it is not there, or empty.
fn text(name: &str, variable: Variable<'_>) -> Result<Option<String>, String> {
    let Some(value) = variable(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| format!("the environment's {name} is no Unicode text"))
}

fn buckets(name: &str, variable: Variable<'_>) -> Result<Buckets, String> {
    let Some(text) = text(name, variable)? else { return Ok(Buckets::default()) };
    text.parse().map_err(|error| format!("the environment's {name}: {error}"))
}

/// Says who writes. It is in the environment alone, since a command line can be seen by others.
fn signed(mut sink: RemoteWrite, variable: Variable<'_>) -> Result<RemoteWrite, String> {
    const HEADERS: &str = "MITE_REMOTE_WRITE_HEADERS";
    let of = |name: &str| text(name, variable);
    let in_variable = |name: &'static str| move |error| format!("the environment's {name}: {}", told(&error));
    for header in of(HEADERS)?.iter().flat_map(|headers| headers.lines()).filter(|line| !line.trim().is_empty()) {
        let wrong = || format!("the environment's {HEADERS}: write each as `Name: value`, on a line of its own");
        let (name, value) = header.split_once(':').ok_or_else(wrong)?;
        sink = sink.header(name.trim(), value.trim()).map_err(in_variable(HEADERS))?;
    }
    match (of("MITE_REMOTE_WRITE_TOKEN")?, of("MITE_REMOTE_WRITE_USER")?, of("MITE_REMOTE_WRITE_PASSWORD")?) {
        (None, None, None) => Ok(sink),
        (Some(token), None, None) => sink.bearer_token(&token).map_err(in_variable("MITE_REMOTE_WRITE_TOKEN")),
        (None, Some(user), Some(password)) => {
            sink.basic_auth(&user, &password).map_err(in_variable("MITE_REMOTE_WRITE_USER"))
        }
        (None, ..) => Err("MITE_REMOTE_WRITE_USER and MITE_REMOTE_WRITE_PASSWORD go together: set both".to_owned()),
        (Some(_), ..) => {
            Err("MITE_REMOTE_WRITE_TOKEN and MITE_REMOTE_WRITE_USER both say who writes: set one".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a command line and an environment.
    fn metrics(line: &str, environment: &[(&str, &str)]) -> Result<Metrics, String> {
        let command = crate::args::command(&["shop"], &[]);
        let line = format!("mite scenario test shop {line}");
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        let of = |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| value.into());
        Metrics::of(matches, &of)
    }

    fn refused(line: &str, environment: &[(&str, &str)]) -> String {
        metrics(line, environment).unwrap_err()
    }

    const SCRAPED: &str = "--web-address 127.0.0.1:0";
    const WRITTEN: &str = "--remote-write http://localhost:9/";

    #[test]
    fn nothing_is_told_unless_asked_for() {
        // What the environment says of it is not even looked at.
        let metrics = metrics("", &[("MITE_HTTP_HISTOGRAM_BUCKETS", "x")]).unwrap();
        assert!(metrics.scraped.is_none() && metrics.written.is_none() && metrics.line().is_none());
    }

    #[test]
    fn the_address_is_said() {
        let metrics = metrics("--web-address 127.0.0.1:0 --linger 0s --native-histograms", &[]).unwrap();
        let address = metrics.scraped.as_ref().unwrap().local_addr();
        assert_ne!(address.port(), 0);
        assert_eq!(metrics.line(), Some(format!("metrics for Prometheus on http://{address}/metrics")));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let told = refused(&format!("--web-address {address}"), &[]);
        assert!(told.starts_with(&format!("failed to listen on {address} for Prometheus: ")), "{told}");
        assert!(told.contains(": Address already in use"), "{told}");
        let rows = [
            (
                SCRAPED,
                ("MITE_HTTP_HISTOGRAM_BUCKETS", "0.1,x"),
                "the environment's MITE_HTTP_HISTOGRAM_BUCKETS: bucket 2, `x`, is no number: write seconds, from 0.000001 to 3600",
            ),
            (
                WRITTEN,
                ("MITE_DNS_HISTOGRAM_BUCKETS", "1,0.1"),
                "the environment's MITE_DNS_HISTOGRAM_BUCKETS: bucket 2, 0.1 s, is not over the one before it: write them in \
                 rising order, each once",
            ),
            (
                WRITTEN,
                ("MITE_REMOTE_WRITE_USER", "me"),
                "MITE_REMOTE_WRITE_USER and MITE_REMOTE_WRITE_PASSWORD go together: set both",
            ),
            (
                WRITTEN,
                ("MITE_REMOTE_WRITE_HEADERS", "X-Scope-OrgID"),
                "the environment's MITE_REMOTE_WRITE_HEADERS: write each as `Name: value`, on a line of its own",
            ),
            (
                WRITTEN,
                ("MITE_REMOTE_WRITE_HEADERS", "X-Scope-OrgID: shop\nHost: x"),
                "the environment's MITE_REMOTE_WRITE_HEADERS: the header \"Host\" cannot be sent: mite says it itself",
            ),
        ];
        for (line, variable, told) in rows {
            assert_eq!(refused(line, &[variable]), told);
        }
        let both =
            [("MITE_REMOTE_WRITE_TOKEN", "t"), ("MITE_REMOTE_WRITE_USER", "me"), ("MITE_REMOTE_WRITE_PASSWORD", "p")];
        assert!(refused(WRITTEN, &both).ends_with("both say who writes: set one"));
        assert!(metrics(WRITTEN, &both[..1]).unwrap().written.is_some());
        assert!(metrics(WRITTEN, &both[1..]).unwrap().written.is_some());
        assert!(refused("--remote-write localhost:9090", &[]).contains("is no URL to write to"));
    }
}
