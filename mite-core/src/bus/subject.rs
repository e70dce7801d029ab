//! Subjects, lanes and keys: what they are made of, and which of them a pattern is about.
//! It is separate because it is the same for each form of the traits, and pure.

use super::BusError;

/// Bytes of a subject, a lane or a key, at the most.
const LONGEST: usize = 255;

/// Whether a token may have it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'/')
}

/// Why a text is no token; none where it is one.
fn trouble(token: &str) -> Option<&'static str> {
    if token.is_empty() {
        Some("a token of it is empty")
    } else if token.bytes().all(is_plain) {
        None
    } else {
        Some("a token has letters, digits, `-`, `_`, `=` and `/` of ASCII")
    }
}

fn refuse(what: &str, text: &str, why: &str) -> BusError {
    BusError::invalid(format_args!("{text:?} is no {what}: {why}"))
}

/// Checks a subject, a lane or a key: tokens that are joined by dots, 255 bytes in all at the most.
///
/// # Errors
/// What it is not made of; [`BusError::is_invalid`].
///
/// ```
/// use mite_core::bus::check_subject;
///
/// assert!(check_subject("run7.heartbeat.3").is_ok());
/// assert!(check_subject("run7..3").is_err());
/// assert!(check_subject("run7.*").is_err());
/// ```
pub fn check_subject(subject: &str) -> Result<(), BusError> {
    if subject.len() > LONGEST {
        return Err(refuse("subject", subject, "it has over 255 bytes"));
    }
    match subject.split('.').find_map(trouble) {
        Some(why) => Err(refuse("subject", subject, why)),
        None => Ok(()),
    }
}

/// Checks a pattern: as a subject, in which `*` stands for one token, and `>` as the last one for one or more.
///
/// # Errors
/// What it is not made of; [`BusError::is_invalid`].
///
/// ```
/// use mite_core::bus::check_pattern;
///
/// assert!(check_pattern("run7.*.3").is_ok());
/// assert!(check_pattern(">").is_ok());
/// assert!(check_pattern("run7.>.3").is_err());
/// ```
pub fn check_pattern(pattern: &str) -> Result<(), BusError> {
    if pattern.len() > LONGEST {
        return Err(refuse("pattern", pattern, "it has over 255 bytes"));
    }
    let tokens = pattern.strip_suffix('>').map_or(Some(pattern), |before| match before {
        "" => None,
        before => before.strip_suffix('.').or(Some(before)),
    });
    let Some(tokens) = tokens else { return Ok(()) };
    match tokens.split('.').filter(|token| *token != "*").find_map(trouble) {
        Some(why) => Err(refuse("pattern", pattern, why)),
        // `run7>`
        None if pattern.ends_with('>') && !pattern.ends_with(".>") => {
            Err(refuse("pattern", pattern, "`>` is a token of its own"))
        }
        None => Ok(()),
    }
}

/// Checks the name of a register or of a log: from 1 to 100 letters, digits, `-` and `_` of ASCII.
///
/// # Errors
/// What it is not made of; [`BusError::is_invalid`].
///
/// ```
/// use mite_core::bus::check_name;
///
/// assert!(check_name("run7_records").is_ok());
/// assert!(check_name("run7.records").is_err());
/// ```
pub fn check_name(name: &str) -> Result<(), BusError> {
    let is_made_right = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_made_right && (1..=100).contains(&name.len()) {
        Ok(())
    } else {
        Err(refuse("name", name, "one has from 1 to 100 letters, digits, `-` and `_` of ASCII"))
    }
}

/// Whether a pattern is about a subject; both must have been checked.
///
/// ```
/// use mite_core::bus::matches;
///
/// assert!(matches("run7.*", "run7.hello"));
/// assert!(!matches("run7.*", "run7.heartbeat.3"));
/// assert!(matches("run7.>", "run7.heartbeat.3"));
/// assert!(!matches("run7.>", "run7"));
/// ```
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        let Some(token) = tokens.next() else { return false };
        if wanted == ">" {
            return true;
        }
        if wanted != "*" && wanted != token {
            return false;
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_tokens_and_dots() {
        for (subject, is_one) in [
            ("a", true),
            ("a.b", true),
            ("A-1_2=3/4.b", true),
            ("", false),
            (".", false),
            ("a.", false),
            (".a", false),
            ("a b", false),
            ("a.*", false),
            ("a.>", false),
            // The server's own.
            ("$JS.API", false),
            ("ä", false),
            ("a\r\nPUB", false),
            (&"a".repeat(255), true),
            (&"a".repeat(256), false),
        ] {
            assert_eq!(check_subject(subject).is_ok(), is_one, "{subject:?}");
        }
    }

    #[test]
    fn patterns_have_wildcards_as_tokens() {
        for (pattern, is_one) in [
            ("a", true),
            ("*", true),
            ("*.a.*", true),
            (">", true),
            ("a.>", true),
            ("*.>", true),
            ("", false),
            ("a.", false),
            ("a*", false),
            ("a>", false),
            ("a.>.b", false),
            (">>", false),
            ("a.b>", false),
            (".>", false),
            ("a..>", false),
            (&format!("{}.>", "a".repeat(254)), false),
        ] {
            assert_eq!(check_pattern(pattern).is_ok(), is_one, "{pattern:?}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        for (name, is_one) in
            [("a", true), ("a-B_9", true), ("", false), ("a.b", false), ("a/b", false), (&"a".repeat(101), false)]
        {
            assert_eq!(check_name(name).is_ok(), is_one, "{name:?}");
        }
    }

    #[test]
    fn a_pattern_is_about_subjects() {
        for (pattern, subject, is_about) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("*.b", "a.b", true),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            (">", "a", true),
            (">", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("*.>", "a", false),
            ("*.>", "a.b", true),
        ] {
            assert_eq!(matches(pattern, subject), is_about, "{pattern} {subject}");
        }
    }
}
