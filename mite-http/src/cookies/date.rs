//! The date of a cookie's `Expires`, which servers write in many ways.
//! It is separate because it is a little language of its own, by RFC 6265, 5.1.1.

use std::time::{Duration, SystemTime};

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The time that `text` says, if it is a date. What is before 1970 is 1970: over it is in any case.
pub(super) fn parse(text: &[u8]) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // Each part is the first word that looks like it, in whatever order they come.
    for word in text.split(|byte| is_delimiter(*byte)) {
        if time.is_none()
            && let Some(found) = time_of_day(word)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some((found, _)) = number(word, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(word)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some((found, _)) = number(word, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hour, minute, second), day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 0..=69 => year + 2000,
        year @ 70..=99 => year + 1900,
        year => year,
    };
    if hour > 23 || minute > 59 || second > 59 || year < 1601 {
        return None;
    }
    let first = days(year, month);
    let after = if month == 12 { days(year + 1, 1) } else { days(year, month + 1) };
    if day == 0 || first + i64::from(day) > after {
        return None;
    }
    let seconds = (first + i64::from(day) - 1) * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'/' | b';'..=b'@' | b'['..=b'`' | b'{'..=b'~')
}

/// The number of so many digits that `word` begins with, and what follows it.
fn number(word: &[u8], least: usize, most: usize) -> Option<(u32, &[u8])> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = (least..=most).contains(&digits).then(|| word.split_at(digits))?;
    Some((digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')), rest))
}

fn time_of_day(word: &[u8]) -> Option<(u32, u32, u32)> {
    let (hour, rest) = number(word, 1, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 1, 2)?;
    let (second, _) = number(rest.strip_prefix(b":")?, 1, 2)?;
    Some((hour, minute, second))
}

fn month_of(word: &[u8]) -> Option<u32> {
    let name = word.get(..3)?;
    (1..).zip(MONTHS).find_map(|(number, month)| name.eq_ignore_ascii_case(month).then_some(number))
}

/// The days from 1970 to the first of a month, by the Gregorian calendar.
fn days(year: u32, month: u32) -> i64 {
    // Counted from March on, a leap day is the last of its year.
    let (year, month) = if month > 2 { (i64::from(year), month - 3) } else { (i64::from(year) - 1, month + 9) };
    let in_years = year * 365 + year / 4 - year / 100 + year / 400;
    let in_months = i64::from((153 * month + 2) / 5);
    // As many are between the March of the year 0 and 1970.
    in_years + in_months - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse(text.as_bytes()).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn dates_in_many_forms() {
        let table = [
            // The three forms of HTTP.
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            // What else is met.
            ("Sun, 06-Nov-1994 08:49:37 GMT", Some(784_111_777)),
            ("06 november 1994 8:49:37", Some(784_111_777)),
            ("08:49:37 1994 6 Nov", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(1)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(0)),
            ("Mon, 01 Jan 1601 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("1 Jan 69 00:00:00", Some(3_124_224_000)),
            ("1 Jan 70 00:00:00", Some(0)),
            // No dates.
            ("", None),
            ("never", None),
            ("Mon, 01 Jan 1600 00:00:00 GMT", None),
            ("29 Feb 2023 00:00:00", None),
            ("29 Feb 1900 00:00:00", None),
            ("31 Apr 2024 00:00:00", None),
            ("0 Jan 2024 00:00:00", None),
            ("32 Jan 2024 00:00:00", None),
            ("1 Jan 2024 24:00:00", None),
            ("1 Jan 2024 00:60:00", None),
            ("1 Jan 2024 00:00:60", None),
            ("1 Jan 2024", None),
            ("1 Jan 00:00:00", None),
            ("1 Foo 2024 00:00:00", None),
            ("1 Jan 20245 00:00:00", None),
        ];
        for (text, expected) in table {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut expected = days(1970, 1);
        assert_eq!(expected, 0);
        for year in 1970..2500 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, length) in (1..).zip([31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                assert_eq!(days(year, month), expected, "{year}-{month}");
                expected += length;
            }
        }
    }
}
