//! What becomes of a run over several processes when runners, its controller, the network and the server of NATS are killed or
//! stand still: `cargo run --release -p mite-nats --example chaos`.
//!
//! It starts itself in the roles of a controller and of runners, with a real nats-server, and holds what arrives at a target against
//! the plan. It prints what it has measured, and ends with 1 where something is not as it has to be; `--help` tells what can be asked
//! of it.

mod cases;
mod cluster;
mod cost;
mod pools;
mod process;
mod proxy;
mod roles;
mod table;
mod target;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Arg, ArgAction, Command};
use mite_nats::testing::Server;

use cases::Form;
use roles::Arguments;
use table::Findings;

const TESTS: [(&str, &str); 17] = [
    ("T1", "3 runners of 1000/s each, and nothing happens"),
    ("T3", "all begin at the same time, over slow networks too"),
    ("T4", "kill -9 of one of three runners"),
    ("T5", "one of three runners stands still and goes on"),
    ("T6", "the network of one of three runners is cut"),
    ("T7", "one more runner comes, and another leaves"),
    ("T8", "kill -9 of the controller, which is started again"),
    ("T9", "the controller stands still, and one that stands by takes over"),
    ("T10", "kill -9 of nats-server, which is started again at once"),
    ("T11", "nats-server is away for long"),
    ("T12", "items that come once, and runners that are killed"),
    ("T12A", "the same, where what a lost runner had comes again"),
    ("T13", "accounts that one start has at a time, and runners that are lost"),
    ("T15", "the merged histogram is that of all samples"),
    ("T16", "the target stands still, and the bus does"),
    ("BUS", "messages and bytes of a runner"),
    ("CPU", "what a request costs, beside one process"),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("there are threads");
    if let Some(role) = arguments.first().and_then(|first| first.strip_prefix("role=")).map(str::to_owned) {
        let level =
            if std::env::var_os("CHAOS_DEBUG").is_some() { tracing::Level::DEBUG } else { tracing::Level::INFO };
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
        let arguments = Arguments::of(arguments.drain(1..));
        match role.as_str() {
            "controller" => runtime.block_on(roles::controller(&arguments)),
            "alone" => runtime.block_on(roles::alone(&arguments)),
            _ => runtime.block_on(roles::runner(&arguments)),
        }
        return ExitCode::SUCCESS;
    }
    let asked = command().get_matches();
    if asked.get_flag("list") {
        for (test, what) in TESTS {
            println!("{test:<4} {what}");
        }
        return ExitCode::SUCCESS;
    }
    let (is_long, counts_alone) = (asked.get_flag("long"), asked.get_flag("counts"));
    let is_named =
        |option: &str, test: &str| asked.get_many::<String>(option).is_some_and(|mut tests| tests.any(|of| of == test));
    let (mut carried_out, mut missed) = (0, 0);
    for (test, what) in TESTS {
        if is_named("without", test) || (asked.contains_id("only") && !is_named("only", test)) {
            continue;
        }
        let server = if test == "BUS" { cost::watched_server() } else { Server::start() };
        let Some(server) = server else { return ExitCode::SUCCESS };
        let (mut findings, since) = (Findings::new(counts_alone), Instant::now());
        let outcome = runtime.block_on(carry_out(test, server, Form { is_long }, &mut findings));
        if let Err(why) = outcome {
            findings.failed(&why);
        }
        println!("{test:<4} {what} ({:.0} s)", since.elapsed().as_secs_f64());
        findings.print(test);
        carried_out += 1;
        missed += u32::from(!findings.are_met());
    }
    println!("{} of {carried_out} tests met their bars", carried_out - missed);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What can be asked of it.
fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let tests = |name: &'static str, help: &'static str| {
        let names = TESTS.map(|(test, _)| test);
        Arg::new(name).long(name).value_name("TEST,…").value_delimiter(',').value_parser(names).help(help)
    };
    Command::new("chaos")
        .about("Holds what arrives at a target against the plan of a run over several processes that are killed, stopped and cut off.")
        .arg(flag("list", "Tells the tests that there are"))
        .arg(tests("only", "Carries out these tests alone"))
        .arg(tests("without", "Leaves these tests out"))
        .arg(flag("long", "Repeats what happens at random often"))
        .arg(flag("counts", "Judges what is counted alone, and tells what goes by time: for a machine that does other things besides"))
}

async fn carry_out(test: &str, server: Server, form: Form, findings: &mut Findings) -> Result<(), String> {
    match test {
        "T1" => cases::t1(server, form, findings).await,
        "T3" => cases::t3(server, form, findings).await,
        "T4" => cases::t4(server, form, findings).await,
        "T5" => cases::t5(server, form, findings).await,
        "T6" => cases::t6(server, form, findings).await,
        "T7" => cases::t7(server, form, findings).await,
        "T8" => cases::t8(server, form, findings).await,
        "T9" => cases::t9(server, form, findings).await,
        "T10" => cases::t10(server, form, findings).await,
        "T11" => cases::t11(server, form, findings).await,
        "T12" => pools::t12(server, form, findings).await,
        "T12A" => pools::t12_again(server, form, findings).await,
        "T13" => pools::t13(server, form, findings).await,
        "T15" => cases::t15(server, form, findings).await,
        "T16" => cases::t16(server, form, findings).await,
        "BUS" => cost::traffic(server, form, findings).await,
        "CPU" => cost::cpu(server, form, findings).await,
        _ => Err("there is no such test".to_owned()),
    }
}
