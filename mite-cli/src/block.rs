//! Standard error, with a block of lines at its end that is drawn again and again: what else is said stands above it, whole.
//!
//! It is apart from what is in the block, so that logs and sentences need not know of that.
//!
//! Between two drawings the cursor waits on the block's first line, which is empty, and no mode of the terminal is changed. So
//! there is nothing to put right however the process ends; what somebody else prints meanwhile lands above the next drawing; and
//! a terminal that breaks lines anew when it is resized moves what is below the cursor, all of which is erased.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A log that never rests must not make the terminal draw all the time.
const REDRAWN_AFTER: Duration = Duration::from_millis(50);

/// To the line's start, where all below is erased.
const ERASE: &str = "\r\x1b[J";

/// A handle: clones say and draw in the same place.
#[derive(Clone)]
pub(crate) struct Block {
    place: Arc<Mutex<Place>>,
    missing: Arc<Notify>,
}

struct Place {
    terminal: Box<dyn Write + Send>,
    /// What is drawn, or will be after what is said now; empty where there is no block.
    frame: String,
    is_drawn: bool,
    drawn_at: Option<Instant>,
}

impl Block {
    /// At the end of standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(Box::new(io::stderr()))
    }

    fn of(terminal: Box<dyn Write + Send>) -> Self {
        let place = Place { terminal, frame: String::new(), is_drawn: false, drawn_at: None };
        Self { place: Arc::new(Mutex::new(place)), missing: Arc::new(Notify::new()) }
    }

    /// Says a line, above the block.
    pub(crate) fn say(&self, line: &str) {
        self.say_bytes(format!("{line}\n").as_bytes());
    }

    fn say_bytes(&self, text: &[u8]) {
        let mut is_missing = false;
        self.with(|place| is_missing = !place.say(text));
        if is_missing {
            self.missing.notify_one();
        }
    }

    /// Waits until the block is not there for what has been said, and somebody should draw it.
    pub(crate) async fn missing(&self) {
        self.missing.notified().await;
        tokio::time::sleep(REDRAWN_AFTER).await;
    }

    /// Draws these lines in the place of those that were there. None must be wider than the terminal, and there must be fewer
    /// of them than it has rows.
    pub(crate) fn draw(&self, lines: &[String]) {
        self.with(|place| {
            place.frame = frame(lines);
            place.draw();
        });
    }

    /// Takes the block away.
    pub(crate) fn erase(&self) {
        self.with(Place::erase);
    }

    /// Takes the block away, until it is drawn again, when a panic is about to be printed. Those of journeys are not.
    pub(crate) fn give_way_to_panics(&self) {
        let block = self.clone();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            block.try_erase();
            before(info);
        }));
    }

    /// As [`erase`](Self::erase), unless somebody is drawing, who may be the one who asks.
    fn try_erase(&self) {
        match self.place.try_lock() {
            Ok(mut place) => place.erase(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().erase(),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn with(&self, act: impl FnOnce(&mut Place)) {
        act(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Place {
    /// Whether the block is there again, if there is one.
    fn say(&mut self, text: &[u8]) -> bool {
        let mut told = Vec::with_capacity(text.len() + ERASE.len());
        if self.is_drawn {
            told.extend(ERASE.as_bytes());
            self.is_drawn = false;
        }
        told.extend(text);
        self.write(&told);
        if self.drawn_at.is_none_or(|at| at.elapsed() >= REDRAWN_AFTER) {
            self.draw();
        }
        self.is_drawn || self.frame.is_empty()
    }

    fn draw(&mut self) {
        if self.frame.is_empty() {
            return;
        }
        let frame = std::mem::take(&mut self.frame);
        self.write(frame.as_bytes());
        self.frame = frame;
        self.is_drawn = true;
        self.drawn_at = Some(Instant::now());
    }

    fn erase(&mut self) {
        self.frame.clear();
        if std::mem::take(&mut self.is_drawn) {
            self.write(ERASE.as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Who does not listen cannot be told so.
        let _ = self.terminal.write_all(bytes).and_then(|()| self.terminal.flush());
    }
}

/// The lines as the terminal is told them, all in one: an empty one, those, and back to the first. Meanwhile nothing is shown, by
/// terminals that can wait, and lines are not broken: one whose width the terminal sees differently is cut.
fn frame(lines: &[String]) -> String {
    let mut frame = "\x1b[?2026h\x1b[?7l\r\x1b[K".to_owned();
    for line in lines {
        frame.extend(["\r\n", line, "\x1b[K"]);
    }
    frame += "\x1b[J";
    if !lines.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(frame, "\x1b[{}A", lines.len());
    }
    frame += "\r\x1b[?7h\x1b[?2026l";
    frame
}

/// What is logged: whole events, each in one write.
impl Write for Block {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.say_bytes(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    /// A terminal that is looked at.
    #[derive(Clone)]
    struct Terminal(Arc<Mutex<vt100::Parser>>);

    impl Terminal {
        fn new(rows: u16, columns: u16) -> Self {
            let size = [rows, columns].map(|size| NonZero::new(size).unwrap());
            Self(Arc::new(Mutex::new(vt100::Parser::new(size[0], size[1], 100))))
        }

        fn text(&self) -> String {
            self.0.lock().unwrap().screen().contents()
        }

        fn cursor(&self) -> (u16, u16) {
            self.0.lock().unwrap().screen().cursor_position()
        }
    }

    impl Write for Terminal {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            // As a terminal's driver does it.
            let driven = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\n', "\r\n");
            self.0.lock().unwrap().process(driven.as_bytes());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(rows: u16, columns: u16) -> (Block, Terminal) {
        let terminal = Terminal::new(rows, columns);
        (Block::of(Box::new(terminal.clone())), terminal)
    }

    fn lines(of: &[&str]) -> Vec<String> {
        of.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn what_is_said_stands_above_the_block() {
        let (block, terminal) = drawn(6, 20);
        block.say("running shop");
        block.draw(&lines(&["one", "two"]));
        assert_eq!(terminal.text(), "running shop\n\none\ntwo");
        assert_eq!(terminal.cursor(), (1, 0));
        block.say("a sentence that is longer than a row");
        block.draw(&lines(&["1"]));
        assert_eq!(terminal.text(), "running shop\na sentence that is longer than a row\n\n1");
        // The terminal has no more rows: what was first goes to the scroll-back.
        block.draw(&lines(&["1", "2", "3"]));
        assert_eq!(terminal.text(), "a sentence that is longer than a row\n\n1\n2\n3");
        block.erase();
        assert_eq!(terminal.text(), "a sentence that is longer than a row");
        block.say("the end");
        assert_eq!(terminal.text(), "a sentence that is longer than a row\nthe end");
    }

    #[test]
    fn what_others_print_stays_above_it() {
        let (block, mut terminal) = drawn(6, 20);
        block.draw(&lines(&["one", "two"]));
        terminal.write_all(b"by somebody else\n").unwrap();
        block.draw(&lines(&["one", "two"]));
        assert_eq!(terminal.text(), "by somebody else\n\none\ntwo");
    }

    #[test]
    fn what_is_logged_stands_above_it() {
        let (block, terminal) = drawn(6, 60);
        block.draw(&lines(&["one", "two"]));
        let log = block.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || log.clone());
        tracing::subscriber::with_default(subscriber.finish(), || tracing::warn!(target: "shop", "the till is empty"));
        block.draw(&lines(&["one", "two"]));
        assert_eq!(terminal.text(), " WARN shop: the till is empty\n\none\ntwo");
    }

    #[test]
    fn it_gives_way_to_a_panic() {
        let (block, terminal) = drawn(6, 20);
        block.draw(&lines(&["one", "two"]));
        block.give_way_to_panics();
        let ended = std::thread::spawn(|| panic!("as it should")).join();
        assert!(ended.is_err());
        assert_eq!(terminal.text(), "");
        block.draw(&lines(&["one"]));
        assert_eq!(terminal.text(), "\none");
    }

    #[test]
    fn no_mode_of_the_terminal_is_left_changed() {
        let frame = frame(&lines(&["one"]));
        for mode in ["7", "2026"] {
            let places = ["l", "h"].map(|end| frame.rfind(&format!("\x1b[?{mode}{end}")).unwrap());
            let is_on_at_the_end = mode == "7";
            assert_eq!(places[1] > places[0], is_on_at_the_end, "{frame:?}");
        }
        // The cursor is never hidden.
        assert!(!frame.contains("?25"), "{frame:?}");
    }

    #[test]
    fn without_a_block_there_is_no_escape() {
        let terminal = tempfile::NamedTempFile::new().unwrap();
        let block = Block::of(Box::new(terminal.reopen().unwrap()));
        block.say("running shop");
        (&mut block.clone() as &mut dyn Write).write_all(b"WARN a log\n").unwrap();
        block.erase();
        block.try_erase();
        assert_eq!(std::fs::read_to_string(terminal.path()).unwrap(), "running shop\nWARN a log\n");
    }

    #[tokio::test]
    async fn a_log_that_never_rests_does_not_draw_each_time() {
        let (block, terminal) = drawn(6, 20);
        block.draw(&lines(&["one"]));
        (0..10_000).for_each(|n| block.say(&n.to_string()));
        assert!(terminal.text().contains("9999"));
        // Unless the last of them came late enough, somebody is asked to draw.
        if !terminal.text().ends_with("one") {
            block.missing().await;
        }
        block.draw(&lines(&["one"]));
        assert!(terminal.text().ends_with("9999\n\none"), "{}", terminal.text());
    }
}
