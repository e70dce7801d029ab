//! The verbs and options of a cluster: `controller`, `runner` and `cluster`.
//!
//! They are apart from those of a run in one process, since builds may be without them.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

use super::{baseline, one_of, options, thresholds, values};

/// How NATS is reached.
fn connection() -> [Arg; 7] {
    let url = Arg::new("nats")
        .long("nats")
        .value_name("URL")
        .required(true)
        .help("The NATS server: nats://HOST:PORT, or tls://…; it needs JetStream (`nats-server -js`)");
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let credentials = file("nats-creds", "Credentials as `nsc` writes them").conflicts_with("nats-nkey");
    let nkey = file("nats-nkey", "The seed of an NKey");
    let roots = file("nats-ca", "Certificates that sign the server's, in the place of the system's");
    let certificate = file("nats-cert", "The client's certificate").requires("nats-key");
    let key = file("nats-key", "The key of the client's certificate").requires("nats-cert");
    let prefix = Arg::new("cluster")
        .long("cluster")
        .value_name("NAME")
        .default_value("mite")
        .help("What keeps this cluster's subjects and streams apart from others' on the same server");
    [url, credentials, nkey, roots, certificate, key, prefix].map(|arg| arg.help_heading("Cluster"))
}

/// How a run is led.
fn leading() -> [Arg; 9] {
    let expect = Arg::new("expect")
        .long("expect")
        .value_name("N")
        .value_parser(value_parser!(u32).range(1..=4096))
        .default_value("1")
        .help("Begins once so many runners are there");
    let least = Arg::new("min")
        .long("min")
        .value_name("N")
        .value_parser(value_parser!(u32).range(1..=4096))
        .help("With how many it begins when the time is over [default: all]");
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("TIME")
        .value_parser(values::duration)
        .default_value("60s")
        .help("How long runners are waited for");
    let loss = Arg::new("on-runner-loss")
        .long("on-runner-loss")
        .value_name("POLICY")
        .value_parser(values::on_runner_loss)
        .default_value("rebalance")
        .help("What happens when a runner is lost: `rebalance` its share, `fail`, or `tolerate:PERCENT` of them");
    let items = Arg::new("lost-items")
        .long("lost-items")
        .value_name("POLICY")
        .value_parser(values::lost_items)
        .default_value("burn")
        .help(
            "What becomes of items that a lost runner had, of data that is handed out once: `burn` gives them to nobody, so that none \
             is used twice, and `again` to others, so that each is used at least once",
        );
    let lease = Arg::new("lease")
        .long("lease")
        .value_name("TIME")
        .value_parser(values::duration)
        .default_value("800ms")
        .help("How long a runner goes on that cannot reach the cluster");
    let standby = Arg::new("standby")
        .long("standby")
        .action(ArgAction::SetTrue)
        .help("Waits while another controller leads a run of the scenario, and takes over when that is gone");
    let attended =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let recorder = attended("with-recorder", "Waits for a `recorder`, which records in the place of this process");
    let collector = attended("with-collector", "Waits for a `collector`, to which runners hand on all messages");
    [expect, least, timeout, loss, items, lease, standby, recorder, collector].map(|arg| arg.help_heading("Cluster"))
}

/// What the others call a process.
fn own_name() -> Arg {
    Arg::new("name").long("name").value_name("NAME").help("What the controller calls it [default: host and process]")
}

/// The roles that attend a run beside its controller and its runners.
fn attending() -> Vec<Command> {
    let role = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .args(connection())
            .arg(own_name())
            .args([options::quiet(), options::log_level()])
    };
    let recorder = role("recorder", "Records what the journeys of a run create, and ends with it")
        .after_help("For a run whose controller has `--with-recorder`. One that was killed is started again with the same folder.")
        .arg(options::recorder_dir().default_value("recorder-data"));
    let collector = role("collector", "Writes all messages of a run to files, and ends with it")
        .after_help("For a run whose controller has `--with-collector`.")
        .args(options::collector().map(|arg| match arg.get_id().as_str() {
            "collector-dir" => arg.default_value("collector-data"),
            _ => arg,
        }));
    #[cfg(not(feature = "prometheus"))]
    return vec![recorder, collector];
    #[cfg(feature = "prometheus")]
    {
        let exporter = role("prometheus-exporter", "Serves a run's figures to Prometheus, and ends with it").args(
            options::metrics().into_iter().map(|arg| match arg.get_id().as_str() {
                "web-address" => arg.default_value("127.0.0.1:9301"),
                _ => arg,
            }),
        );
        vec![recorder, collector, exporter]
    }
}

pub(super) fn commands(scenarios: &[&str]) -> Vec<Command> {
    let name = Arg::new("name").value_name("NAME").required(true).help("The scenario").value_parser(one_of(scenarios));
    let controller = Command::new("controller")
        .about("Leads a run on a cluster, whose runners start the journeys, and prints its report")
        .arg(name)
        .args(connection())
        .args(leading())
        .args(options::config())
        // Each runner has its own.
        .args(options::run().into_iter().filter(|arg| arg.get_id() != "workers"))
        .args(thresholds::options())
        .args(baseline::options())
        .args(options::metrics())
        .args(options::outputs());
    let runner = Command::new("runner")
        .about("Takes part in a run that a controller leads, and ends with it")
        .after_help("Ctrl-C and SIGTERM let others have its share first; twice, and it ends now.")
        .args(connection())
        .arg(own_name())
        .arg(options::workers())
        .args(options::collector())
        .args([options::quiet(), options::log_level()]);
    let status = Command::new("status").about("Shows the run that is under way, and its runners").args(connection());
    let how = PossibleValuesParser::new(["gracefully", "now"]);
    let stop = Command::new("stop")
        .about("Stops the run that is under way, or takes away what one without a controller has left")
        .args(connection())
        .arg(
            Arg::new("how")
                .value_name("HOW")
                .value_parser(how)
                .default_value("gracefully")
                .help("Whether what runs may finish"),
        );
    let cluster = Command::new("cluster")
        .about("Looks at the run of a cluster, or stops it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([status, stop].map(|verb| verb.arg(options::log_level())));
    let mut commands = vec![controller, runner];
    commands.append(&mut attending());
    commands.push(cluster);
    commands
}
