//! A duration as people write it: `500ms`, `1.5s`, `2m`. It is exact, in whole nanoseconds, or refused.

/// Why a text is not a timeout.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Form,
    Zero,
    Range,
}

impl Refusal {
    pub(crate) fn message(&self, text: &str) -> String {
        match self {
            Refusal::Form => format!(
                "`{text}` is no duration: write a number and its unit, such as `500ms`, `1.5s` or `2m` \
                 (the units are us, ms, s, m and h)"
            ),
            Refusal::Zero => {
                "a timeout of zero would fail every request: write one such as `timeout = \"5s\"`".to_owned()
            }
            Refusal::Range => format!(
                "`{text}` cannot be held: a timeout is a whole number of nanoseconds, of no more than 584 years"
            ),
        }
    }
}

/// From the longest name to the shortest, so that `ms` is not taken for `s`.
const UNITS: [(&str, u64); 5] =
    [("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

pub(crate) fn nanoseconds(text: &str) -> Result<u64, Refusal> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .ok_or(Refusal::Form)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(Refusal::Form),
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Form);
    }
    let mut total = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit)).ok_or(Refusal::Range)?;
    // A tenth, a hundredth, … of the unit for each digit; units hold factors of ten for as long as they are whole.
    let mut place = unit;
    for digit in fraction.trim_end_matches('0').bytes() {
        if place % 10 != 0 {
            return Err(Refusal::Range);
        }
        place /= 10;
        total = total.checked_add(place * u64::from(digit - b'0')).ok_or(Refusal::Range)?;
    }
    if total == 0 { Err(Refusal::Zero) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, expected) in [
            ("100us", 100_000),
            ("500ms", 500_000_000),
            ("5s", 5_000_000_000),
            ("5 s", 5_000_000_000),
            ("1.5s", 1_500_000_000),
            ("1.50s", 1_500_000_000),
            ("0.000000001s", 1),
            ("0.25m", 15_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            // u64::MAX nanoseconds
            ("18446744073.709551615s", u64::MAX),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, expected) in [
            ("", Refusal::Form),
            ("5", Refusal::Form),
            ("s", Refusal::Form),
            (".5s", Refusal::Form),
            ("5.s", Refusal::Form),
            ("1.2.3s", Refusal::Form),
            ("-5s", Refusal::Form),
            ("+5s", Refusal::Form),
            ("1e3s", Refusal::Form),
            ("5 sec", Refusal::Form),
            ("1m 30s", Refusal::Form),
            ("٥s", Refusal::Form),
            ("0s", Refusal::Zero),
            ("0.00h", Refusal::Zero),
            // A tenth of a nanosecond.
            ("0.0000000001s", Refusal::Range),
            ("18446744073.709551616s", Refusal::Range),
            ("99999999999999999999h", Refusal::Range),
        ] {
            assert_eq!(nanoseconds(text), Err(expected), "{text}");
        }
    }
}
