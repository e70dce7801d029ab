//! Tools that do the same, in turns: A B A B.
//! It is separate from what is compared: what the machine does meanwhile then falls on all of them.

use mite::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    load::Load,
    measured::{self, Usage},
    server::Server,
    spread::Spread,
    table::Table,
    tool::{Found, Tool},
};

/// One tool's turn.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Turn {
    /// Answered, by the tool's own count.
    pub(crate) requests: u64,
    /// By the server's count.
    pub(crate) served: u64,
    pub(crate) connections: u64,
    /// For how long requests were sent.
    pub(crate) seconds: u32,
    pub(crate) usage: Usage,
}

/// What one tool did in all of its turns.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    pub(crate) tool: String,
    pub(crate) turns: Vec<Turn>,
}

/// What all of them did, the first of them being what the others are compared with.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) tools: Vec<Turns>,
    /// Who is missing, who failed, and whose count is not the server's.
    pub(crate) notes: Vec<String>,
}

/// Whoever takes part.
struct Taking {
    tool: Box<dyn Tool>,
    load: Load,
    turns: Vec<Turn>,
    failed: bool,
}

impl Turn {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / f64::from(self.seconds)
    }

    /// In seconds.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.usage.cpu() / self.requests as f64
    }

    /// In seconds.
    fn user_per_request(&self) -> f64 {
        self.usage.user / self.requests as f64
    }

    /// In bytes.
    pub(crate) fn peak(&self) -> f64 {
        self.usage.peak as f64
    }
}

impl Turns {
    pub(crate) fn spread(&self, figure: impl Fn(&Turn) -> f64) -> Option<Spread> {
        Spread::of(self.turns.iter().map(figure))
    }

    fn to_json(&self) -> Value {
        json!({
            "tool": self.tool,
            "rounds": self.turns,
            "requests_per_second": self.spread(Turn::per_second),
            "cpu_seconds_per_request": self.spread(Turn::cpu_per_request),
            "user_seconds_per_request": self.spread(Turn::user_per_request),
            "peak_bytes": self.spread(Turn::peak),
        })
    }
}

/// Where and how often.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    bench: &'a Bench,
    server: &'a Server,
    cores: Vec<usize>,
    times: u32,
}

impl<'a> Rounds<'a> {
    /// As often as was asked for, on the tools' core.
    pub(crate) fn new(bench: &'a Bench, server: &'a Server) -> Self {
        Self { bench, server, cores: vec![bench.machine.for_tool()], times: bench.options.rounds }
    }

    pub(crate) fn on_all_cores(mut self) -> Self {
        self.cores.clone_from(&self.bench.machine.cores);
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.times = 1;
        self
    }

    /// Each tool with its work, in turns.
    ///
    /// # Errors
    ///
    /// If a turn could not be measured. A tool that fails is left out, and that is noted.
    pub(crate) fn run(self, tools: Vec<(Found, Load)>) -> Result<Comparison> {
        let mut notes = Vec::new();
        let mut all = Vec::new();
        for (found, load) in tools {
            match found {
                Ok(tool) => all.push(Taking { tool, load, turns: Vec::new(), failed: false }),
                Err(why) => notes.push(why),
            }
        }
        for round in 1..=self.times {
            for taking in all.iter_mut().filter(|taking| !taking.failed) {
                self.bench.tell(&format!("round {round}: {}", taking.tool.name()));
                taking.take_turn(self.server, &self.cores, &mut notes)?;
            }
        }
        let tools = all.into_iter().filter(|taking| !taking.failed);
        let tools = tools.map(|taking| Turns { tool: taking.tool.name(), turns: taking.turns }).collect();
        Ok(Comparison { tools, notes })
    }
}

impl Comparison {
    /// What a tool did, if it took part.
    pub(crate) fn turns(&self, name: &str) -> Option<&Turns> {
        self.tools.iter().find(|turns| turns.tool == name)
    }

    /// The figure of one tool to that of another, round by round: both are of the same minute.
    pub(crate) fn ratio(&self, one: &str, other: &str, figure: impl Fn(&Turn) -> f64) -> Option<Spread> {
        let (one, other) = (self.turns(one)?, self.turns(other)?);
        Spread::of(one.turns.iter().zip(&other.turns).map(|(one, other)| figure(one) / figure(other)))
    }

    /// Every round, and the medians.
    pub(crate) fn to_json(&self) -> Value {
        self.tools.iter().map(Turns::to_json).collect()
    }

    /// What each did, and the CPU of the first to the CPU of each.
    pub(crate) fn table(&self) -> Table {
        let first = self.tools.first().map_or("", |turns| &turns.tool);
        let ratio = format!("{first} to it");
        let head = ["", "requests/s", "CPU per request, µs", "user part, µs", "peak memory, MB", &ratio];
        let mut table = Table::new(head);
        for turns in &self.tools {
            let told = |spread: Option<Spread>, decimals: usize| {
                spread.map_or_else(String::new, |spread| format!("{spread:.decimals$}"))
            };
            let per_second = turns.spread(Turn::per_second);
            let cpu = turns.spread(|turn| turn.cpu_per_request() * 1e6);
            let user = turns.spread(|turn| turn.user_per_request() * 1e6);
            let peak = turns.spread(|turn| turn.peak() / 1e6);
            let ratio = self.ratio(first, &turns.tool, Turn::cpu_per_request).filter(|_| turns.tool != first);
            let name = turns.tool.clone();
            table.row(vec![name, told(per_second, 0), told(cpu, 2), told(user, 2), told(peak, 1), told(ratio, 3)]);
        }
        table
    }
}

impl Taking {
    fn take_turn(&mut self, server: &Server, cores: &[usize], notes: &mut Vec<String>) -> Result {
        let name = self.tool.name();
        let folder = tempfile::tempdir()?;
        let before = server.count()?;
        let command = self.tool.command(&self.load, folder.path())?;
        let ended = measured::run(&command, cores)?;
        let after = server.count()?;
        // The second question is counted too.
        let (served, connections) = (after.requests - before.requests - 1, after.connections - before.connections - 1);
        match self.tool.requests(&ended, folder.path()) {
            Ok(requests) if requests > 0 => {
                let leaves = self.tool.leaves(&self.load);
                if !(requests..=requests + leaves).contains(&served) {
                    notes.push(format!("COUNTS DIFFER: {name} says {requests} requests, nginx {served}"));
                }
                let seconds = self.load.seconds;
                self.turns.push(Turn { requests, served, connections, seconds, usage: ended.usage });
            }
            Ok(_) => self.fail("it made no requests", notes),
            Err(error) => self.fail(&error.to_string(), notes),
        }
        Ok(())
    }

    fn fail(&mut self, why: &str, notes: &mut Vec<String>) {
        self.failed = true;
        notes.push(format!("FAILED: {}: {why}", self.tool.name()));
    }
}
