//! Failed exchanges for people: of the first ones the lines that say most, as `curl --verbose` shows them.
//!
//! They are apart from the tables, since what systems answer is shown here: of any length, and with any characters.

use std::fmt;

use super::units::counted;
use super::units::time;
use crate::exchange::FailedExchange;
use crate::names::ROOT;

/// How many are shown.
const SHOWN: usize = 3;
/// How many lines of a head, and of a body, are shown.
const MOST_LINES: usize = 4;
/// How many characters of a line.
const LONGEST_LINE: usize = 72;

pub(super) fn write(exchanges: &[FailedExchange], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if exchanges.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nfailed exchanges")?;
    for exchange in exchanges.iter().take(SHOWN) {
        writeln!(f, "  {}", summary(exchange))?;
        lines(&exchange.request, ">", f)?;
        lines(&exchange.response, "<", f)?;
        if let Some(message) = &exchange.message {
            lines(message, "!", f)?;
        }
    }
    match exchanges.len().saturating_sub(SHOWN) {
        0 => writeln!(f, "  the JSON has them in full"),
        more => writeln!(f, "  and {more} more: the JSON has all, in full"),
    }
}

/// One line: `GET http://shop/users/7 → 503 in 12.0 ms (shop:signin, Log in)`.
pub(crate) fn summary(exchange: &FailedExchange) -> String {
    let FailedExchange { journey, transaction, method, url, code, error, duration, .. } = exchange;
    let outcome = error.clone().unwrap_or_else(|| code.to_string());
    let place = if transaction == ROOT { journey.clone() } else { format!("{journey}, {transaction}") };
    format!("{} {} → {outcome} in {} ({place})", method, visible(url), time(*duration))
}

/// The first lines of a head and of what follows it, each after a mark that says whose they are.
fn lines(text: &str, mark: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let all: Vec<&str> = text.lines().collect();
    let (head, body) = match all.iter().position(|line| line.is_empty()) {
        Some(end) => (&all[..end], &all[end + 1..]),
        None => (&all[..], &[][..]),
    };
    some_lines(head, mark, f)?;
    if !body.is_empty() {
        writeln!(f, "    {mark}")?;
    }
    some_lines(body, mark, f)
}

fn some_lines(lines: &[&str], mark: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for line in lines.iter().take(MOST_LINES) {
        writeln!(f, "{}", format!("    {mark} {}", visible(line)).trim_end())?;
    }
    match lines.len().saturating_sub(MOST_LINES) {
        0 => Ok(()),
        more => writeln!(f, "    {mark} … {} more", counted(more as u64, "line")),
    }
}

/// As much of a line as is shown. A terminal would obey some of its characters: these are written as their numbers.
fn visible(line: &str) -> String {
    let shown = |c: char| match c {
        '\t' => " ".to_owned(),
        _ if c.is_control() => c.escape_default().to_string(),
        _ => c.to_string(),
    };
    let mut told = String::new();
    let mut left = LONGEST_LINE;
    for c in line.chars() {
        let c = shown(c);
        let chars = c.chars().count();
        if chars > left {
            return told + "…";
        }
        left -= chars;
        told.push_str(&c);
    }
    told
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::fixed;

    #[test]
    fn the_first_ones_are_shown_with_their_first_lines() {
        assert_snapshot!(fixed::failing());
    }

    #[test]
    fn a_few_are_all_shown() {
        let mut report = fixed::failing();
        report.failed_exchanges.truncate(2);
        let told = report.to_string();
        assert!(told.contains("\n  the JSON has them in full\n") && !told.contains("more: the JSON"), "{told}");
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let cases = [
            ("plain", "plain".to_owned()),
            ("a\tb", "a b".to_owned()),
            ("\u{1b}[2J\u{7}", "\\u{1b}[2J\\u{7}".to_owned()),
            (&"ä".repeat(72), "ä".repeat(72)),
            (&"ä".repeat(73), "ä".repeat(72) + "…"),
            // A number is shown whole or not at all.
            (&("x".repeat(70) + "\u{1b}"), "x".repeat(70) + "…"),
        ];
        for (line, shown) in cases {
            assert_eq!(visible(line), shown);
        }
    }
}
