//! Thresholds as text, for command lines: as they stand in Rust, with signs, or in the words in which they are told.
//!
//! It is apart from thresholds, which Rust code makes without any text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Bound, Measure, MetricSelector, Percent, RequestSeries, Series, Threshold, Value};

/// What a threshold looks like, for whoever has written something else.
const EXAMPLE: &str = "`p99(\"Log in\") < 300 ms`, `error_rate() <= 0.1 %`, `rate(\"Log in\") >= 95` or \
                       `p95(\"Log in\").under(1 s).in_each(10 s)`";

const FIGURES: &str =
    "`p50`, `p99`, `p99.9`, `max`, `mean`, `stdev`, `error_rate`, `errors`, `rate`, `count` or `value`";

/// Text that is no threshold: what was expected, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdError {
    text: String,
    /// In bytes.
    at: usize,
    expected: String,
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, at, expected } = self;
        let rest = text.get(*at..).unwrap_or_default();
        let place = if rest.is_empty() { "at its end".to_owned() } else { format!("at `{rest}`") };
        write!(f, "`{text}` is no threshold: {place} there should be {expected}. Write it as {EXAMPLE}")
    }
}

impl std::error::Error for ThresholdError {}

/// Reads `p99("Log in").under(300 ms)`, `p99("Log in") < 300 ms` and `p99 of "Log in" under 300 ms`, all of which are the same.
///
/// - **Figures** are `p50` and any other percentile, `max`, `mean`, `stdev`, `error_rate`, `rate` and `count`, which are of
///   something (`error_rate` need not be): a name, or `journey("…")`, `transaction("…")`, `request("GET", "…")` to say which
///   kind is meant, or `all_requests()`; `metric("…")` or `metric("…"){label="…"}`, of which `value` is told too; then `errors` and `request_rate_stdev`, which are of the whole run.
/// - **Bounds** are `<` or `under`, `<=` or `at_most`, `>=` or `at_least`, `>` or `over`.
/// - **Limits** of times have a unit (`us`, `ms`, `s`, `min`, `h`), those of error rates a `%`; rates are per second; those of
///   metrics are plain numbers.
/// - `in each 10 s`, or `.in_each(10 s)`, makes it one of [windows](Threshold::in_each).
///
/// ```
/// use mite_core::threshold::{Threshold, ms, p99, secs};
///
/// let threshold: Threshold = "p99(\"Log in\") < 300 ms in each 10 s".parse()?;
/// assert_eq!(threshold, p99("Log in").under(ms(300)).in_each(secs(10)));
/// # Ok::<(), mite_core::threshold::ThresholdError>(())
/// ```
impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = Reader { text, at: 0 };
        let threshold = reader.threshold();
        let at = reader.at;
        threshold.map_err(|expected| ThresholdError { text: text.to_owned(), at, expected })
    }
}

/// What is read, and how far. What cannot be read is answered with what should stand there.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn threshold(&mut self) -> Read<Threshold> {
        let (measure, of) = self.figure()?;
        let bound = self.bound()?;
        let is_of_metric = of.as_ref().is_some_and(Series::is_metric);
        let limit = self.in_brackets(|reader| reader.limit(measure, is_of_metric))?;
        let window = self.window()?;
        if !self.rest().is_empty() {
            return Err("nothing more".to_owned());
        }
        let threshold = Threshold { measure, of, bound, limit, window };
        threshold.mistake().map_err(|why| format!("something else, since {why}"))?;
        Ok(threshold)
    }

    /// What is left, without the space before it.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Goes past `sign` if it is there.
    fn has(&mut self, sign: &str) -> bool {
        let is_there = self.rest().starts_with(sign);
        self.at += if is_there { sign.len() } else { 0 };
        is_there
    }

    /// A word, in which a dot is part of a number: `p99.9`.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let is_point = c == '.'
                && rest[..at].ends_with(|c: char| c.is_ascii_digit())
                && rest[at + 1..].starts_with(|c: char| c.is_ascii_digit());
            if !(c.is_alphanumeric() || c == '_' || c == 'µ' || is_point) {
                break;
            }
            end = at + c.len_utf8();
        }
        &rest[..end]
    }

    /// Goes past a word if it is one of these, whole; a space in one stands for any, and for `_`.
    fn has_word(&mut self, words: &[&str]) -> bool {
        words.iter().any(|words| {
            let before = self.at;
            for word in words.split(' ') {
                if self.word() != word {
                    self.at = before;
                    return false;
                }
                self.at += word.len();
            }
            true
        })
    }

    fn figure(&mut self) -> Read<(Measure, Option<Series>)> {
        self.has_word(&["the"]);
        let measure = match self.word() {
            "error_rate" | "error_rate_of" => Measure::ErrorRate,
            "error" if self.has_word(&["error rate"]) => return self.of(Measure::ErrorRate),
            "max" | "maximum" => Measure::Max,
            "mean" => Measure::Mean,
            "stdev" => Measure::Stdev,
            "errors" => Measure::Errors,
            "request_rate_stdev" => Measure::RequestRateStdev,
            "standard" if self.has_word(&["standard deviation of requests per second"]) => {
                return Ok((Measure::RequestRateStdev, None));
            }
            "standard" if self.has_word(&["standard deviation"]) => return self.of(Measure::Stdev),
            "count" if self.has_word(&["count of errors"]) => return Ok((Measure::Errors, None)),
            "rate" => Measure::Rate,
            "value" => Measure::Value,
            "count" => Measure::Count,
            word => match word.strip_prefix('p').map(str::parse) {
                // As it is called in Rust, where a name has no point.
                Some(Ok(999.0)) => Measure::Percentile(99.9),
                Some(Ok(percent)) => Measure::Percentile(percent),
                _ => return Err(format!("a figure: {FIGURES}")),
            },
        };
        self.at += self.word().len();
        self.of(measure)
    }

    fn of(&mut self, measure: Measure) -> Read<(Measure, Option<Series>)> {
        let of = if self.has("(") {
            let of = if self.has(")") { None } else { Some(self.series()?) };
            if of.is_some() {
                self.must_have(")")?;
            }
            of
        } else if self.has_word(&["of"]) {
            Some(self.series()?)
        } else {
            None
        };
        let is_of_the_run = matches!(measure, Measure::Errors | Measure::RequestRateStdev);
        if of.is_none() && !is_of_the_run && measure != Measure::ErrorRate {
            return Err("what the figure is of: `(\"Log in\")`".to_owned());
        }
        if of.is_some() && is_of_the_run {
            return Err("a bound, since this figure is of the whole run".to_owned());
        }
        if measure == Measure::Value && !of.as_ref().is_some_and(Series::is_metric) {
            return Err("a metric before it, since only these have values: `value(metric(\"queue_depth\"))`".to_owned());
        }
        Ok((measure, of))
    }

    fn series(&mut self) -> Read<Series> {
        self.has_word(&["the"]);
        let kind = self.word();
        self.at += kind.len();
        match kind {
            "" => Ok(self.string()?.into()),
            "journey" => self.in_brackets(Self::string).map(Series::journey),
            "transaction" => self.in_brackets(Self::string).map(Series::transaction),
            "request" => self.request(),
            "metric" => self.metric(),
            "all_requests" => {
                if self.has("(") {
                    self.must_have(")")?;
                }
                Ok(Series::all_requests())
            }
            "all" if self.has_word(&["requests"]) => Ok(Series::all_requests()),
            _ => {
                self.at -= kind.len();
                Err("a name in quotes, or `journey(\"…\")`, `transaction(\"…\")`, `request(\"GET\", \"…\")`, `metric(\"…\")`".to_owned())
            }
        }
    }

    /// In Rust's words it has a method and a place, in those in which it is told both are in one name.
    fn request(&mut self) -> Read<Series> {
        if !self.has("(") {
            return self.string().map(Series::request_labelled);
        }
        let first = self.string()?;
        if self.has(")") {
            return Ok(Series::request_labelled(first));
        }
        self.must_have(",")?;
        let of = RequestSeries::new(&first, &self.string()?);
        self.must_have(")")?;
        if !self.has_word_after_point("named") {
            return Ok(of.into());
        }
        self.in_brackets(Self::string).map(|name| of.named(name))
    }

    /// With its labels as in Rust, or as Prometheus has them, in which it is told: `metric("cart_items"){shop="berlin"}`.
    fn metric(&mut self) -> Read<Series> {
        let mut of = MetricSelector::new(self.in_brackets(Self::string)?);
        while self.has_word_after_point("label") {
            self.must_have("(")?;
            let name = self.string()?;
            self.must_have(",")?;
            of = of.label(name, self.string()?);
            self.must_have(")")?;
        }
        if self.has("{") {
            while !self.has("}") {
                let name = self.word();
                if name.is_empty() {
                    return Err("the name of a label".to_owned());
                }
                self.at += name.len();
                self.must_have("=")?;
                of = of.label(name, self.string()?);
                if !self.has(",") && !self.rest().starts_with('}') {
                    return Err("`,` or `}`".to_owned());
                }
            }
        }
        Ok(of.into())
    }

    fn bound(&mut self) -> Read<Bound> {
        self.has(".");
        let bounds: [(&[&str], &[&str], Bound); 4] = [
            (&["<=", "≤"], &["at_most", "at most"], Bound::AtMost),
            (&[">=", "≥"], &["at_least", "at least"], Bound::AtLeast),
            (&["<"], &["under"], Bound::Under),
            (&[">"], &["over"], Bound::Over),
        ];
        for (signs, words, bound) in bounds {
            if signs.iter().any(|sign| self.has(sign)) || self.has_word(words) {
                return Ok(bound);
            }
        }
        Err("`<`, `<=`, `>=` or `>`".to_owned())
    }

    fn limit(&mut self, measure: Measure, is_of_metric: bool) -> Read<Value> {
        match measure {
            Measure::Value => self.signed().map(Value::Number),
            Measure::Percentile(_) | Measure::Max | Measure::Mean | Measure::Stdev if is_of_metric => {
                self.signed().map(Value::Number)
            }
            Measure::Percentile(_) | Measure::Max | Measure::Mean | Measure::Stdev => self.time().map(Value::Time),
            Measure::ErrorRate => {
                let part = self.number()?;
                self.must_have("%")?;
                Ok(Value::Part(Percent(part)))
            }
            Measure::Rate | Measure::RequestRateStdev => {
                let rate = self.number()?;
                if !self.has("/s") {
                    self.has_word(&["per second"]);
                }
                Ok(Value::PerSecond(rate))
            }
            Measure::Count | Measure::Errors => {
                let digits = self.word();
                let count = digits.parse().map_err(|_| "a whole number".to_owned())?;
                self.at += digits.len();
                Ok(Value::Count(count))
            }
        }
    }

    fn window(&mut self) -> Read<Option<Duration>> {
        self.has(".");
        if !self.has_word(&["in_each", "in each"]) {
            return Ok(None);
        }
        self.in_brackets(Self::time).map(Some)
    }

    fn number(&mut self) -> Read<f64> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].parse().map_err(|_| "a number".to_owned())?;
        self.at += end;
        Ok(number)
    }

    /// A number that may be below zero, or very large.
    fn signed(&mut self) -> Read<f64> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && !".eE+-".contains(c)).unwrap_or(rest.len());
        let number = rest[..end].parse().map_err(|_| "a number".to_owned())?;
        self.at += end;
        Ok(number)
    }

    fn time(&mut self) -> Read<Duration> {
        let before = self.at;
        let number = self.number()?;
        let unit = self.word();
        let nanos = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "min" | "m" => 60e9,
            "h" => 3600e9,
            _ => return Err("a unit of time: `us`, `ms`, `s`, `min` or `h`".to_owned()),
        };
        let nanos = number * nanos;
        if !(0.0..1e18).contains(&nanos) {
            self.at = before;
            return Err("a time of less than 30 years".to_owned());
        }
        self.at += unit.len();
        Ok(Duration::from_nanos(nanos.round() as u64))
    }

    /// A name in double quotes, in which a backslash stands before one of either.
    fn string(&mut self) -> Read<String> {
        let wanted = || "a name in double quotes".to_owned();
        let rest = self.rest();
        let within = rest.strip_prefix('"').ok_or_else(wanted)?;
        let (mut name, mut chars) = (String::new(), within.char_indices());
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 2;
                    return Ok(name);
                }
                '\\' => name.extend(chars.next().map(|(_, c)| c)),
                c => name.push(c),
            }
        }
        Err("a closing quote after the name".to_owned())
    }

    /// With or without brackets around it.
    fn in_brackets<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let opened = self.has("(");
        let inner = read(self)?;
        if opened {
            self.must_have(")")?;
        }
        Ok(inner)
    }

    fn has_word_after_point(&mut self, word: &str) -> bool {
        let before = self.at;
        let is_there = self.has(".") && self.has_word(&[word]);
        if !is_there {
            self.at = before;
        }
        is_there
    }

    fn must_have(&mut self, sign: &str) -> Read<()> {
        if self.has(sign) { Ok(()) } else { Err(format!("`{sign}`")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::threshold::{
        all_requests, count, error_rate, error_rate_of, errors, journey, max, mean, metric, ms, p50, p99, p999,
        percent, percentile, rate, request, request_rate_stdev, secs, stdev, transaction, value,
    };

    #[test]
    fn text_is_what_it_would_be_in_rust() {
        let cases = [
            ("p99(\"Log in\").under(300 ms)", p99("Log in").under(ms(300))),
            ("p99(\"Log in\")<300ms", p99("Log in").under(ms(300))),
            ("  p99 of \"Log in\" under 300 ms ", p99("Log in").under(ms(300))),
            ("p99.9(\"x\") <= 1.5 s", p999("x").at_most(ms(1500))),
            ("p999(\"x\") <= 1.5 s", p999("x").at_most(ms(1500))),
            ("p12.5(\"x\") > 2 min", percentile(12.5, "x").over(secs(120))),
            ("the maximum of \"x\" at most 1 h", max("x").at_most(secs(3600))),
            ("mean(journey(\"shop:signin\")) >= 5us", mean(journey("shop:signin")).at_least(Duration::from_micros(5))),
            (
                "p50 of the transaction \"Log in :: Check\" over 1 µs",
                p50(transaction("Log in :: Check")).over(Duration::from_micros(1)),
            ),
            ("error_rate() < 0.1 %", error_rate().under(percent(0.1))),
            ("error_rate < 0.1%", error_rate().under(percent(0.1))),
            ("the error rate at most 0 %", error_rate().at_most(percent(0.0))),
            ("error_rate_of(\"x\").at_most(1 %)", error_rate_of("x").at_most(percent(1.0))),
            (
                "error_rate(request(\"GET\", \"Look\").named(\"/users/{id}\")) < 1 %",
                error_rate_of(request("GET", "Look").named("/users/{id}")).under(percent(1.0)),
            ),
            ("rate(\"Log in\").at_least(95)", rate("Log in").at_least(95.0)),
            ("rate(\"Log in\") ≥ 95.5/s", rate("Log in").at_least(95.5)),
            ("count(\"say \\\"so\\\"\") > 10", count("say \"so\"").over(10)),
            ("stdev(all_requests()) <= 5 ms", stdev(all_requests()).at_most(ms(5))),
            ("errors <= 10", errors().at_most(10)),
            ("request_rate_stdev() < 2.5", request_rate_stdev().under(2.5)),
            ("error_rate() > 50 % in each 10 s", error_rate().over(percent(50.0)).in_each(secs(10))),
            ("p99(\"x\").under(1 s).in_each(1 min)", p99("x").under(secs(1)).in_each(secs(60))),
            ("p99(metric(\"basket_value\")) < 50", p99(metric("basket_value")).under(50.0)),
            ("the maximum of the metric \"x\" at least -12.5", max(metric("x")).at_least(-12.5)),
            ("mean(metric(\"x\")).over(1e300).in_each(10 s)", mean(metric("x")).over(1e300).in_each(secs(10))),
            ("stdev(metric(\"x\")) <= 0", stdev(metric("x")).at_most(0.0)),
            ("count(\"cart_items\") >= 100", count("cart_items").at_least(100)),
            (
                "count(metric(\"x\").label(\"shop\", \"berlin\")).over(3)",
                count(metric("x").label("shop", "berlin")).over(3),
            ),
            (
                "value(metric(\"x\"){shop=\"say \\\"so\\\"\", country=\"DE\"}) < 3",
                value(metric("x").label("shop", "say \"so\"").label("country", "DE")).under(3.0),
            ),
            ("rate(metric(\"x\")) > 0.5/s", rate(metric("x")).over(0.5)),
        ];
        for (text, threshold) in cases {
            assert_eq!(text.parse(), Ok(threshold.clone()), "{text}");
            // The words in which it is told are a text of it, too.
            assert_eq!(threshold.to_string().parse(), Ok(threshold), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_where_and_what_should_be_there() {
        let cases = [
            (
                "",
                "at its end there should be a figure: `p50`, `p99`, `p99.9`, `max`, `mean`, `stdev`, `error_rate`, `errors`, `rate`, `count` or `value`",
            ),
            ("q99(\"x\") < 1 s", "at `q99(\"x\") < 1 s` there should be a figure"),
            ("p99 < 1 s", "at `< 1 s` there should be what the figure is of: `(\"Log in\")`"),
            ("p99(Log in) < 1 s", "at `Log in) < 1 s` there should be a name in quotes, or `journey(\"…\")`"),
            ("p99(\"x) < 1 s", "at `\"x) < 1 s` there should be a closing quote after the name"),
            ("p99(\"x\") = 1 s", "at `= 1 s` there should be `<`, `<=`, `>=` or `>`"),
            ("p99(\"x\") < 300", "at its end there should be a unit of time: `us`, `ms`, `s`, `min` or `h`"),
            ("p99(\"x\") < 1 day", "at `day` there should be a unit of time"),
            ("error_rate() < 0.1", "at its end there should be `%`"),
            (
                "error_rate() < 101 %",
                "there should be something else, since a part of a whole is from 0 % to 100 %, not 101 %",
            ),
            ("count(\"x\") < 1.5", "at `1.5` there should be a whole number"),
            ("p99(\"x\") < 1 s or so", "at `or so` there should be nothing more"),
            ("p99(\"x\") < 1 s in each 1500 ms", "a window is of whole seconds"),
            ("p101(\"x\") < 1 s", "a percentile is from 0 to 100, not 101"),
            ("p99(metric(\"x\")) < 1 s", "at `s` there should be nothing more"),
            ("p99(metric(\"x\")) < many", "at `many` there should be a number"),
            ("p99(metric(\"x\")) < 1e999", "a value is a finite number, not inf"),
            ("value(\"x\") < 1", "since only these have values: `value(metric(\"queue_depth\"))`"),
            ("count(metric(\"x\"){shop}) < 1", "at `}) < 1` there should be `=`"),
            ("count(metric(\"x\"){shop=\"a\" b}) < 1", "at `b}) < 1` there should be `,` or `}`"),
            ("count(metric(\"x\").label(\"shop\")) < 1", "at `)) < 1` there should be `,`"),
        ];
        for (text, expected) in cases {
            let told = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("`{text}` is no threshold: ")) && told.contains(expected), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[a-zA-Z0-9 ().,<>=%\"\\\\µ≤_/é]{0,60}") {
            let _ = text.parse::<Threshold>().map_err(|error| error.to_string());
        }

        #[test]
        fn any_name_can_be_told(name in "\\PC{1,20}") {
            let threshold = p99(name.as_str()).under(ms(1));
            let text = format!("p99(\"{}\") < 1 ms", name.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(text.parse(), Ok(threshold));
        }
    }
}
