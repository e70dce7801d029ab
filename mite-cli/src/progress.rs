//! What is shown of a run while it goes on: a block of figures at a terminal's end, or plain lines for a log.
//!
//! It is apart from the report, which is made once, at the end.

mod chart;
mod layout;
mod line;
mod lines;
mod seen;
mod units;

use std::convert::Infallible;
use std::io::{self, IsTerminal as _};

use clap::ArgMatches;
use mite_core::{Follow, Progress};
use terminal_size::{Height, Width};

use crate::block::Block;
use seen::Seen;

/// A line for a log is told each so many seconds.
const LINE_EACH: u64 = 2;

/// Where a terminal does not say how large it is.
const USUAL: Size = Size { width: 80, height: 24 };

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    width: usize,
    height: usize,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Screen { has_colour: bool },
    Lines,
    Nothing,
}

/// What decides how a run is shown.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    /// `--progress`; `--quiet` is `none`.
    progress: &'a str,
    is_terminal: bool,
    /// Whether the terminal does what it is told by escapes.
    has_escapes: bool,
    /// `NO_COLOR`
    no_colour: bool,
}

impl Asked<'_> {
    fn how(self) -> Result<How, String> {
        let screen = How::Screen { has_colour: self.has_escapes && !self.no_colour };
        match self.progress {
            "screen" if self.is_terminal => Ok(screen),
            "screen" => {
                Err("standard error is no terminal, which `--progress screen` needs: leave it out, and lines are \
                             printed"
                    .to_owned())
            }
            "lines" => Ok(How::Lines),
            "none" => Ok(How::Nothing),
            _ if self.is_terminal && self.has_escapes => Ok(screen),
            _ => Ok(How::Lines),
        }
    }
}

/// A run's progress on standard error. Dropping it takes away what it has drawn.
pub(crate) struct Shown {
    how: How,
    block: Block,
    seen: Seen,
}

impl Shown {
    /// As the arguments say, and as standard error is. `title` stands for the run.
    ///
    /// # Errors
    /// What was asked for cannot be, in one sentence.
    pub(crate) fn new(title: &str, arguments: &ArgMatches, block: &Block) -> Result<Self, String> {
        let asked = Asked {
            progress: match arguments.get_one::<String>("progress") {
                _ if arguments.get_flag("quiet") => "none",
                Some(progress) => progress,
                // clap has a default.
                None => "auto",
            },
            is_terminal: io::stderr().is_terminal(),
            has_escapes: has_escapes(),
            no_colour: anstyle_query::no_color(),
        };
        let how = asked.how()?;
        if matches!(how, How::Screen { .. }) {
            block.give_way_to_panics();
        }
        Ok(Self { how, block: block.clone(), seen: Seen::new(title) })
    }

    /// Shows what a run does, until this is dropped.
    pub(crate) async fn follow(mut self, mut told: Follow) -> Infallible {
        let mut resized = Resized::listen();
        self.draw();
        loop {
            tokio::select! {
                progress = told.next() => match progress {
                    Some(progress) => self.tell(progress),
                    None => break,
                },
                () = resized.next() => self.draw(),
                () = self.block.missing() => self.draw(),
            }
        }
        // What is drawn stays until the report is there.
        loop {
            tokio::select! {
                () = resized.next() => self.draw(),
                () = self.block.missing() => self.draw(),
            }
        }
    }

    fn tell(&mut self, progress: Progress) {
        self.seen.take(progress);
        match self.how {
            How::Screen { .. } => self.draw(),
            How::Lines if self.seen.is_due(LINE_EACH) => {
                if let Some(line) = lines::line(&self.seen) {
                    self.block.say(&line);
                }
            }
            How::Lines | How::Nothing => {}
        }
    }

    fn draw(&self) {
        let How::Screen { has_colour } = self.how else { return };
        let lines = layout::lines(&self.seen, size());
        self.block.draw(&lines.iter().map(|line| line.painted(has_colour)).collect::<Vec<_>>());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.block.erase();
    }
}

fn size() -> Size {
    let told = terminal_size::terminal_size_of(io::stderr());
    told.map_or(USUAL, |(Width(width), Height(height))| Size { width: width.into(), height: height.into() })
}

/// Whether a terminal takes escapes: `TERM=dumb` does not, and Windows is asked to.
pub(crate) fn has_escapes() -> bool {
    #[cfg(windows)]
    if anstyle_query::windows::enable_ansi_colors() == Some(false) {
        return false;
    }
    anstyle_query::term_supports_ansi_color()
}

/// Tells that the terminal has another size, where the system does.
struct Resized {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Resized {
    fn listen() -> Self {
        Self {
            // Without it, the next second is drawn in the right size.
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()).ok(),
        }
    }

    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "there is nothing to wait for"))]
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
