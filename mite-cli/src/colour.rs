//! The report's colours, for terminals: the verdict, and the thresholds that hold or do not.
//!
//! They are apart from the report's text, which has none wherever else it goes.

use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Style};
use mite_core::{Report, Verdict};

use crate::progress::has_escapes;

/// A comparison's text as standard output takes it.
pub(crate) fn comparison_for_stdout(text: &str) -> String {
    if is_coloured() { coloured_comparison(text) } else { text.to_owned() }
}

fn is_coloured() -> bool {
    io::stdout().is_terminal() && has_escapes() && !anstyle_query::no_color()
}

/// The text with the colours of its marks, and of the last word of figures that have changed.
fn coloured_comparison(text: &str) -> String {
    let mut told = String::new();
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        let word = body.rsplit_once(' ').map_or("", |(_, word)| word);
        let colour = match word {
            "slower" | "worse" => Some(AnsiColor::Red),
            "faster" | "better" => Some(AnsiColor::Green),
            _ => None,
        };
        if let Some(rest) = body.strip_prefix('✓') {
            told.extend([painted(style(AnsiColor::Green), "✓").as_str(), rest]);
        } else if body.starts_with('✗') {
            told += &painted(style(AnsiColor::Red), body);
        } else if let Some(colour) = colour.filter(|_| body.starts_with("  ")) {
            told.extend([&body[..body.len() - word.len()], painted(style(colour), word).as_str()]);
        } else {
            told += body;
        }
        told += end;
    }
    told
}

/// The report's text as standard output takes it.
pub(crate) fn for_stdout(report: &Report) -> String {
    let text = report.to_string();
    if is_coloured() { coloured(&text, &report.scenario, report.verdict) } else { text }
}

/// The text with the colours of its first lines: the verdict's, and those of the thresholds below it.
fn coloured(text: &str, scenario: &str, verdict: Verdict) -> String {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let word = verdict.to_string();
    let rest = first.strip_prefix(scenario).and_then(|rest| rest.strip_prefix(": ")?.strip_prefix(word.as_str()));
    let Some(rest) = rest else { return text.to_owned() };
    let mut told = format!("{scenario}: {}{rest}", painted(style(verdict_colour(verdict)).bold(), &word));
    let mut is_head = true;
    for line in lines {
        is_head = is_head && line.starts_with(['✓', '✗']);
        let (mark, rest) = line.split_at(if is_head { '✓'.len_utf8() } else { 0 });
        if !is_head {
            told += line;
        } else if mark == "✓" {
            told.extend([painted(style(AnsiColor::Green), mark).as_str(), rest]);
        } else {
            told.extend([painted(style(AnsiColor::Red), line.trim_end_matches('\n')).as_str(), "\n"]);
        }
    }
    told
}

fn verdict_colour(verdict: Verdict) -> AnsiColor {
    match verdict {
        Verdict::Passed => AnsiColor::Green,
        Verdict::Failed => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    }
}

fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn style(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_and_the_thresholds_are_coloured() {
        let text =
            "shop: failed in 1.00 s: 1 of 2 thresholds did not pass\n✓ p50 is 1 ms\n✗ p99 is 2 s\n\n✗ a journey's\n";
        let told = coloured(text, "shop", Verdict::Failed);
        assert_eq!(
            told,
            "shop: \x1b[1m\x1b[31mfailed\x1b[0m in 1.00 s: 1 of 2 thresholds did not pass\n\
             \x1b[32m✓\x1b[0m p50 is 1 ms\n\x1b[31m✗ p99 is 2 s\x1b[0m\n\n✗ a journey's\n"
        );
        assert_eq!(anstyle_free(&told), text);
        assert!(
            coloured("shop: passed in 1 s\n", "shop", Verdict::Passed)
                .starts_with("shop: \x1b[1m\x1b[32mpassed\x1b[0m")
        );
        let limited = coloured("shop: generator limited in 1 s", "shop", Verdict::GeneratorLimited);
        assert_eq!(limited, "shop: \x1b[1m\x1b[33mgenerator limited\x1b[0m in 1 s");
        assert_eq!(coloured("something else", "shop", Verdict::Passed), "something else");
    }

    #[test]
    fn what_has_changed_is_coloured() {
        let text = "shop: compared: 1 figure worse\nLog in\n  p50   1 ms  same\n  p99   2 s  slower\n  rate  5/s  better\n\n\
                    ✗ p99 is worse\n✓ no figure is worse\n";
        let told = coloured_comparison(text);
        assert_eq!(
            told,
            "shop: compared: 1 figure worse\nLog in\n  p50   1 ms  same\n  p99   2 s  \x1b[31mslower\x1b[0m\n  rate  5/s  \
             \x1b[32mbetter\x1b[0m\n\n\x1b[31m✗ p99 is worse\x1b[0m\n\x1b[32m✓\x1b[0m no figure is worse\n"
        );
        assert_eq!(anstyle_free(&told), text);
    }

    /// What a terminal shows of it.
    fn anstyle_free(told: &str) -> String {
        let mut parser = vt100::Parser::default();
        parser.process(told.replace('\n', "\r\n").as_bytes());
        parser.screen().contents() + "\n"
    }
}
