//! What went wrong: errors with their places, and samples of what was sent and what came back.
//!
//! They are apart from the figures, since here texts of others stand, and are cut.

use std::fmt;

use super::axis::grouped;
use crate::exchange::FailedExchange;
use crate::names::ROOT;
use crate::report::Report;
use crate::report::markup::Escaped;
use crate::report::units::counted;
use crate::report::units::time;

/// So many kinds of error are shown; the JSON has all.
const MOST_ERRORS: usize = 200;
/// So many characters of a message, and of each side of an exchange.
const LONGEST_TEXT: usize = 4096;

pub(super) fn write(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    errors(report, f)?;
    exchanges(&report.failed_exchanges, f)
}

fn errors(report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if report.errors.is_empty() {
        return Ok(());
    }
    writeln!(f, "<section><h2>Errors</h2><ul class=\"errors\">")?;
    for error in report.errors.iter().take(MOST_ERRORS) {
        let place = place(&error.journey, &error.transaction);
        let message = cut(&error.message);
        write!(f, "<li><b class=\"bad\">{} ×</b><div><p>{}</p>", grouped(error.count), Escaped(&message))?;
        writeln!(
            f,
            "<p class=\"note\"><code>{}</code> in {}</p></div></li>",
            Escaped(&error.location),
            Escaped(&place)
        )?;
    }
    writeln!(f, "</ul>")?;
    match report.errors.len().saturating_sub(MOST_ERRORS) {
        0 => {}
        more => writeln!(f, "<p class=\"note\">And {} more: the JSON has all.</p>", counted(more as u64, "kind"))?,
    }
    writeln!(f, "</section>")
}

fn exchanges(exchanges: &[FailedExchange], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if exchanges.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "<section><h2>Failed exchanges</h2><p class=\"note\">A sample of the requests that failed, with what was sent and \
         what came back.</p>"
    )?;
    for exchange in exchanges {
        let outcome = exchange.error.clone().unwrap_or_else(|| exchange.code.to_string());
        let place = place(&exchange.journey, &exchange.transaction);
        write!(
            f,
            "<details><summary><b class=\"bad\">{}</b> {} {}<span class=\"note\">{} at {} in {}</span></summary>",
            Escaped(&outcome),
            Escaped(&exchange.method),
            Escaped(&cut(&exchange.url)),
            time(exchange.duration),
            time(exchange.at),
            Escaped(&place)
        )?;
        if let Some(message) = &exchange.message {
            write!(f, "<p>{}</p>", Escaped(&cut(message)))?;
        }
        side("sent", &exchange.request, f)?;
        side("received", &exchange.response, f)?;
        writeln!(f, "</details>")?;
    }
    writeln!(f, "</section>")
}

fn place(journey: &str, transaction: &str) -> String {
    match transaction {
        ROOT => journey.to_owned(),
        transaction => format!("{journey}, {transaction}"),
    }
}

fn side(what: &str, text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if text.is_empty() {
        return write!(f, "<p class=\"note\">nothing was {what}</p>");
    }
    // A head's lines may end with a carriage return, which would be shown.
    let lines: Vec<&str> = text.lines().collect();
    write!(f, "<p class=\"note\">{what}</p><pre>{}</pre>", Escaped(&cut(&lines.join("\n"))))
}

/// As much of a text as the page has room for; it says that there was more.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}\n… {} bytes more: the JSON has them", &text[..end], text.len() - end),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let most = "ä".repeat(LONGEST_TEXT);
        assert_eq!(cut(&most), most);
        assert_eq!(cut(&format!("{most}ö")), format!("{most}\n… 2 bytes more: the JSON has them"));
    }
}
