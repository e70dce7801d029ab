//! The options by which a run's figures are told to Prometheus.
//!
//! They are apart from the others, since builds may be without them.

use clap::{Arg, ArgAction};

use super::values;

pub(super) fn options() -> [Arg; 5] {
    let address = Arg::new("web-address")
        .long("web-address")
        .value_name("HOST:PORT")
        .help("Serves the run's figures at /metrics, for Prometheus to scrape: `127.0.0.1:9301`");
    let linger = Arg::new("linger")
        .long("linger")
        .value_name("TIME")
        .value_parser(values::duration_or_zero)
        .requires("web-address")
        .help("How long it waits after the run for one more scrape [default: 5s]");
    let native = Arg::new("native-histograms")
        .long("native-histograms")
        .action(ArgAction::SetTrue)
        .requires("web-address")
        .help("Offers native histograms too: Prometheus then leaves out the classic ones");
    let write = Arg::new("remote-write")
        .long("remote-write")
        .value_name("URL")
        .help("Writes the run's figures to a receiver; MITE_REMOTE_WRITE_TOKEN, …_USER, …_PASSWORD and …_HEADERS say who writes");
    let interval = Arg::new("remote-write-interval")
        .long("remote-write-interval")
        .value_name("TIME")
        .value_parser(values::duration)
        .requires("remote-write")
        .help("How often they are written [default: 1s]");
    [address, linger, native, write, interval].map(|arg| arg.help_heading("Prometheus"))
}
