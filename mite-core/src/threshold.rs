//! Thresholds: what a figure of the report should be, as values that can be checked.
//!
//! They are apart from the assertions that tests make of them, since a command line, too, decides by them what has passed.
//!
//! ```
//! use mite_core::threshold::{count, error_rate, ms, p99, percent};
//! use mite_core::volume::{SECOND, constant};
//! use mite_core::{Context, NoData, Result, Scenario};
//!
//! async fn signin(ctx: &mut Context) -> Result {
//!     ctx.transaction("Log in", async |_ctx| Ok(())).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result {
//! let report = mite_core::run(Scenario::new().journey(signin, NoData, constant(100, SECOND / 5))).await?;
//! report.assert(p99("Log in").under(ms(300)));
//! report.assert_all([count("signin").at_least(20), error_rate().under(percent(0.1))]);
//!
//! let checked = count("Log in").at_least(21).check(&report);
//! assert!(!checked.passed());
//! assert_eq!(checked.to_string(), "the count of \"Log in\" is 20, and should be at least 21");
//! # Ok(())
//! # }
//! ```

mod parse;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde::{Deserialize, Deserializer};

use crate::histogram::Histogram;
use crate::report::metrics::MetricRows;
use crate::report::rows::Tables;
use crate::report::series::{Meant, Rows};
use crate::report::units::{number, time as as_text};

pub use crate::report::series::{MetricSelector, RequestSeries, Series};
use crate::stats::{Distribution, MetricKind};
pub use parse::ThresholdError;

/// So many milliseconds.
///
/// ```
/// use mite_core::threshold::ms;
///
/// assert_eq!(ms(1500), std::time::Duration::from_millis(1500));
/// ```
pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many seconds.
///
/// ```
/// use mite_core::threshold::secs;
///
/// assert_eq!(secs(10), std::time::Duration::from_secs(10));
/// ```
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A part of a hundred: `percent(0.1)` is one in a thousand.
///
/// A threshold with one that is not from 0 to 100 fails, and says so.
///
/// ```
/// use mite_core::threshold::percent;
///
/// assert_eq!(percent(0.1).get(), 0.1);
/// ```
pub fn percent(percent: f64) -> Percent {
    Percent(percent)
}

/// A part of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// 0.1 for one in a thousand.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The journey with this name: `signup:signin`, or `signin` alone.
///
/// ```
/// use mite_core::threshold::{journey, ms, p99};
///
/// assert_eq!(p99(journey("signin")).under(ms(300)).to_string(), "p99 of the journey \"signin\" under 300 ms");
/// ```
pub fn journey(name: impl Into<String>) -> Series {
    Series::journey(name)
}

/// The transaction with this name, in all journeys that have it, or in one: `Log in · shop:signin`. One within another has
/// both names: `Log in :: Check`.
///
/// ```
/// use mite_core::threshold::{ms, p99, transaction};
///
/// assert_eq!(p99(transaction("Log in")).under(ms(300)).to_string(), "p99 of the transaction \"Log in\" under 300 ms");
/// ```
pub fn transaction(name: impl Into<String>) -> Series {
    Series::transaction(name)
}

/// The requests with this method in this transaction, of all outcomes, and of all names unless
/// [`named`](RequestSeries::named) asks for one; those made outside of any transaction stand under their journey's name.
///
/// ```
/// use mite_core::threshold::{ms, p99, request};
///
/// assert_eq!(p99(request("POST", "Log in")).under(ms(300)).to_string(), "p99 of the request \"POST · Log in\" under 300 ms");
/// ```
pub fn request(method: impl AsRef<str>, transaction: impl AsRef<str>) -> RequestSeries {
    RequestSeries::new(method.as_ref(), transaction.as_ref())
}

/// The metric of one's own with this name, over all sets of label values, or with some: `metric("cart_items").label("shop", "berlin")`.
///
/// Its values have no unit: `p99(metric("basket_value")).under(50.0)`. Where [`count`] or [`rate`] is asked for, a bare name does
/// as well, unless a journey, a transaction or a request has it too.
///
/// ```
/// use mite_core::threshold::{metric, p99};
///
/// assert_eq!(p99(metric("basket_value")).under(50.0).to_string(), "p99 of the metric \"basket_value\" under 50");
/// ```
pub fn metric(name: impl Into<String>) -> MetricSelector {
    MetricSelector::new(name)
}

/// What half of the times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, p50};
///
/// assert_eq!(p50("Log in").under(ms(20)).to_string(), "p50 of \"Log in\" under 20 ms");
/// ```
pub fn p50<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(50.0, of)
}

/// What three quarters of the times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, p75};
///
/// assert_eq!(p75("Log in").under(ms(30)).to_string(), "p75 of \"Log in\" under 30 ms");
/// ```
pub fn p75<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(75.0, of)
}

/// What 90 of 100 times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, p90};
///
/// assert_eq!(p90("Log in").under(ms(50)).to_string(), "p90 of \"Log in\" under 50 ms");
/// ```
pub fn p90<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(90.0, of)
}

/// What 95 of 100 times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, p95};
///
/// assert_eq!(p95("Log in").under(ms(100)).to_string(), "p95 of \"Log in\" under 100 ms");
/// ```
pub fn p95<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(95.0, of)
}

/// What 99 of 100 times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, p99};
///
/// assert_eq!(p99("Log in").under(ms(300)).to_string(), "p99 of \"Log in\" under 300 ms");
/// ```
pub fn p99<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(99.0, of)
}

/// What 999 of 1000 times were not longer than: see [`percentile`].
///
/// ```
/// use mite_core::threshold::{p999, secs};
///
/// assert_eq!(p999("Log in").under(secs(1)).to_string(), "p99.9 of \"Log in\" under 1 s");
/// ```
pub fn p999<O: Of>(of: O) -> Figure<O::Unit> {
    percentile(99.9, of)
}

/// What so many of 100 times were not longer than, told within 0.1 %: `percentile(99.9, "Log in")`.
///
/// Of a journey it is the *response time* (due to ended) of those that completed; of a transaction the time with or without
/// an error; of a request the time to the end of its body, or to its failure; of a [`metric`] that is a histogram its values. All rows of the name count, by merging their
/// histograms. A threshold with a percentile that is not from 0 to 100 fails, and says so.
///
/// ```
/// use mite_core::threshold::{ms, percentile};
///
/// assert_eq!(percentile(99.5, "Log in").under(ms(400)).to_string(), "p99.5 of \"Log in\" under 400 ms");
/// ```
pub fn percentile<O: Of>(percent: f64, of: O) -> Figure<O::Unit> {
    Figure::new(Measure::Percentile(percent), Some(of.into()))
}

/// The longest time or greatest value, exactly; of what, see [`percentile`].
///
/// ```
/// use mite_core::threshold::{max, secs};
///
/// assert_eq!(max("Log in").at_most(secs(2)).to_string(), "the maximum of \"Log in\" at most 2 s");
/// ```
pub fn max<O: Of>(of: O) -> Figure<O::Unit> {
    Figure::new(Measure::Max, Some(of.into()))
}

/// The mean of the times or values, exactly; of what, see [`percentile`].
///
/// ```
/// use mite_core::threshold::{mean, ms};
///
/// assert_eq!(mean("Log in").under(ms(50)).to_string(), "the mean of \"Log in\" under 50 ms");
/// ```
pub fn mean<O: Of>(of: O) -> Figure<O::Unit> {
    Figure::new(Measure::Mean, Some(of.into()))
}

/// The standard deviation of the times or values; of what, see [`percentile`].
///
/// ```
/// use mite_core::threshold::{ms, stdev};
///
/// assert_eq!(stdev("Log in").under(ms(50)).to_string(), "the standard deviation of \"Log in\" under 50 ms");
/// ```
pub fn stdev<O: Of>(of: O) -> Figure<O::Unit> {
    Figure::new(Measure::Stdev, Some(of.into()))
}

/// How many errors were reported, those that a journey handled itself included.
///
/// ```
/// use mite_core::threshold::errors;
///
/// assert_eq!(errors().at_most(10).to_string(), "the count of errors at most 10");
/// ```
pub fn errors() -> Figure<u64> {
    Figure::new(Measure::Errors, None)
}

/// The standard deviation of the requests per second over the whole seconds that were measured: how even the load was. It has no
/// windows.
///
/// ```
/// use mite_core::threshold::request_rate_stdev;
///
/// assert_eq!(request_rate_stdev().under(2.5).to_string(), "the standard deviation of requests per second under 2.5 per second");
/// ```
pub fn request_rate_stdev() -> Figure<f64> {
    Figure::new(Measure::RequestRateStdev, None)
}

/// All requests of all journeys, whatever came of them: `p99(all_requests())`.
///
/// ```
/// use mite_core::threshold::{all_requests, ms, p99};
///
/// assert_eq!(p99(all_requests()).under(ms(300)).to_string(), "p99 of all requests under 300 ms");
/// ```
pub fn all_requests() -> Series {
    Series::all_requests()
}

/// Of all journeys that completed or failed, the part that failed. An error that a journey handled itself is none here, and
/// one in [`Report::assert_no_errors`](crate::Report::assert_no_errors).
///
/// ```
/// use mite_core::threshold::{error_rate, percent};
///
/// assert_eq!(error_rate().at_most(percent(0.1)).to_string(), "the error rate at most 0.1 %");
/// ```
pub fn error_rate() -> Figure<Percent> {
    Figure::new(Measure::ErrorRate, None)
}

/// The part that failed: of the journeys of this name that completed or failed; of the transactions, those with an error; of
/// the requests, those without an answer or with one of code 400 or over.
///
/// ```
/// use mite_core::threshold::{error_rate_of, percent};
///
/// assert_eq!(error_rate_of("Log in").under(percent(1.0)).to_string(), "the error rate of \"Log in\" under 1 %");
/// ```
pub fn error_rate_of(of: impl Into<Series>) -> Figure<Percent> {
    Figure::new(Measure::ErrorRate, Some(of.into()))
}

/// How many there were per second, over the [measured time](crate::Report::measured): journeys that completed, transactions that
/// ended, requests of any outcome, and by how much counters and accumulators rose; of a histogram, its values.
///
/// ```
/// use mite_core::threshold::rate;
///
/// assert_eq!(rate("Log in").at_least(95.0).to_string(), "the rate of \"Log in\" at least 95 per second");
/// ```
pub fn rate(of: impl Into<Series>) -> Figure<f64> {
    Figure::new(Measure::Rate, Some(of.into()))
}

/// How many there were: journeys that completed, transactions that ended, requests of any outcome, what a counter counted, and
/// the values of a histogram.
///
/// ```
/// use mite_core::threshold::count;
///
/// assert_eq!(count("signin").at_least(1000).to_string(), "the count of \"signin\" at least 1000");
/// ```
pub fn count(of: impl Into<Series>) -> Figure<u64> {
    Figure::new(Measure::Count, Some(of.into()))
}

/// What a metric is: what a counter or an accumulator has come to, or the last value of a gauge, with the labels of one set.
///
/// ```
/// use mite_core::threshold::{metric, value};
///
/// assert_eq!(value(metric("stock").label("shop", "berlin")).over(0.0).to_string(), "the value of the metric \"stock\"{shop=\"berlin\"} over 0");
/// ```
pub fn value(of: MetricSelector) -> Figure<f64> {
    Figure::new(Measure::Value, Some(of.into()))
}

/// What has times or values, and what these are counted in: of a [`metric`] plain numbers, of all else durations.
pub trait Of: Into<Series> + sealed::Sealed {
    /// What a limit is told in.
    type Unit: Unit;
}

impl Of for &str {
    type Unit = Duration;
}

impl Of for &String {
    type Unit = Duration;
}

impl Of for String {
    type Unit = Duration;
}

impl Of for Series {
    type Unit = Duration;
}

impl Of for RequestSeries {
    type Unit = Duration;
}

impl Of for MetricSelector {
    type Unit = f64;
}

/// A figure of the report, and what it is of; `U` is what it is counted in.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a figure alone is no threshold: say what it should be, as in `.under(…)`"]
pub struct Figure<U> {
    measure: Measure,
    of: Option<Series>,
    unit: PhantomData<fn() -> U>,
}

impl<U: Unit> Figure<U> {
    fn new(measure: Measure, of: Option<Series>) -> Self {
        Self { measure, of, unit: PhantomData }
    }

    /// It should be less than this.
    ///
    /// ```
    /// use mite_core::threshold::{ms, p99};
    ///
    /// assert_eq!(p99("Log in").under(ms(300)).to_string(), "p99 of \"Log in\" under 300 ms");
    /// ```
    pub fn under(self, limit: U) -> Threshold {
        self.bound(Bound::Under, limit)
    }

    /// It should be this or less.
    ///
    /// ```
    /// use mite_core::threshold::{error_rate, percent};
    ///
    /// assert_eq!(error_rate().at_most(percent(0.1)).to_string(), "the error rate at most 0.1 %");
    /// ```
    pub fn at_most(self, limit: U) -> Threshold {
        self.bound(Bound::AtMost, limit)
    }

    /// It should be this or more.
    ///
    /// ```
    /// use mite_core::threshold::count;
    ///
    /// assert_eq!(count("signin").at_least(1000).to_string(), "the count of \"signin\" at least 1000");
    /// ```
    pub fn at_least(self, limit: U) -> Threshold {
        self.bound(Bound::AtLeast, limit)
    }

    /// It should be more than this.
    ///
    /// ```
    /// use mite_core::threshold::{error_rate, percent};
    ///
    /// assert_eq!(error_rate().over(percent(50.0)).to_string(), "the error rate over 50 %");
    /// ```
    pub fn over(self, limit: U) -> Threshold {
        self.bound(Bound::Over, limit)
    }

    fn bound(self, bound: Bound, limit: U) -> Threshold {
        let limit = match limit.into() {
            // A rate is the only number that is per second.
            Value::PerSecond(number) if !self.measure.is_rate() => Value::Number(number),
            limit => limit,
        };
        Threshold { measure: self.measure, of: self.of, bound, limit, window: None }
    }
}

/// What a figure is counted in: [`Duration`], [`Percent`], `u64`, or `f64`, which is per second or what a metric's values are.
pub trait Unit: Into<Value> + sealed::Sealed {}

impl Unit for Duration {}
impl Unit for Percent {}
impl Unit for f64 {}
impl Unit for u64 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::time::Duration {}
    impl Sealed for super::Percent {}
    impl Sealed for f64 {}
    impl Sealed for u64 {}
    impl Sealed for &str {}
    impl Sealed for &String {}
    impl Sealed for String {}
    impl Sealed for super::Series {}
    impl Sealed for super::RequestSeries {}
    impl Sealed for super::MetricSelector {}
}

/// A figure or a limit, in its unit.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Value {
    /// A time.
    Time(Duration),
    /// A part of a whole.
    Part(Percent),
    /// So many per second.
    PerSecond(f64),
    /// So many.
    Count(u64),
    /// As a metric's values are.
    Number(f64),
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl From<Percent> for Value {
    fn from(part: Percent) -> Self {
        Self::Part(part)
    }
}

impl From<f64> for Value {
    fn from(per_second: f64) -> Self {
        Self::PerSecond(per_second)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

/// Three digits or a little more: `412 ms`, `1.5 %`, `95.2 per second`, `200`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => {
                let text = as_text(*time);
                let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
                write!(f, "{} {unit}", without_zeros(number))
            }
            Self::Part(part) => write!(f, "{} %", digits(part.0)),
            Self::PerSecond(rate) => write!(f, "{} per second", digits(*rate)),
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(value) => {
                let text = number(*value);
                // Zeros at the end of an exponent are none of its fraction.
                f.write_str(if text.contains('e') { &text } else { without_zeros(&text) })
            }
        }
    }
}

impl Value {
    /// With all its digits, for where three are too few to tell two values apart.
    fn exact(self) -> String {
        match self {
            Self::Time(time) => {
                let text = format!("{time:?}");
                let unit = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
                format!("{} {}", &text[..unit], &text[unit..])
            }
            Self::Part(part) => format!("{} %", part.0),
            Self::PerSecond(rate) => format!("{rate} per second"),
            Self::Count(count) => count.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }

    /// So much, in the unit of `self`, as [`Value::in_json`] has it.
    fn of_same_unit(self, number: f64) -> Self {
        match self {
            Self::Time(_) => Self::Time(Duration::from_micros(number as u64)),
            Self::Part(_) => Self::Part(Percent(number)),
            Self::PerSecond(_) => Self::PerSecond(number),
            Self::Count(_) => Self::Count(number as u64),
            Self::Number(_) => Self::Number(number),
        }
    }

    /// As a number, and what it is counted in.
    fn in_json(self) -> (serde_json::Number, &'static str) {
        let float = |number| serde_json::Number::from_f64(number).unwrap_or_else(|| 0.into());
        match self {
            Self::Time(time) => ((time.as_micros() as u64).into(), "us"),
            Self::Part(part) => (float(part.0), "percent"),
            Self::PerSecond(rate) => (float(rate), "per_second"),
            Self::Count(count) => (count.into(), "count"),
            Self::Number(number) => (float(number), "number"),
        }
    }

    fn is_zero(self) -> bool {
        match self {
            Self::Time(time) => time.is_zero(),
            Self::Part(Percent(part)) => part == 0.0,
            Self::PerSecond(rate) => rate == 0.0,
            Self::Count(count) => count == 0,
            // There are some below.
            Self::Number(_) => false,
        }
    }
}

/// Three significant digits, without zeros at their end.
fn digits(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let decimals = (2 - number.abs().log10().floor() as i32).clamp(0, 9) as usize;
    without_zeros(&format!("{number:.decimals$}")).to_owned()
}

/// A number without the zeros that end its fraction.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// What a figure of the report should be.
///
/// ```
/// use mite_core::threshold::{Threshold, ms, p99, secs};
///
/// let threshold = p99("Log in").under(ms(300)).in_each(secs(10));
/// // As text, it is what `--threshold` takes.
/// let parsed: Threshold = "p99(\"Log in\") < 300 ms in each 10 s".parse()?;
/// assert_eq!(parsed.to_string(), threshold.to_string());
/// # Ok::<(), mite_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a threshold does nothing until it is checked, as by `report.assert(…)`"]
pub struct Threshold {
    measure: Measure,
    of: Option<Series>,
    bound: Bound,
    limit: Value,
    /// In each so long a part of the run, rather than in all of it.
    window: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    Percentile(f64),
    Max,
    Mean,
    Stdev,
    ErrorRate,
    Errors,
    RequestRateStdev,
    Rate,
    Count,
    Value,
}

impl Measure {
    fn is_rate(self) -> bool {
        matches!(self, Self::Rate | Self::RequestRateStdev)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Under,
    AtMost,
    AtLeast,
    Over,
}

impl Bound {
    fn holds(self, figure: Value, limit: Value) -> bool {
        match self {
            Self::Under => figure < limit,
            Self::AtMost => figure <= limit,
            Self::AtLeast => figure >= limit,
            Self::Over => figure > limit,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Under => "under",
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
            Self::Over => "over",
        })
    }
}

/// The threshold in words: `p99 of "Log in" under 300 ms`.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}{}", self.subject(), self.bound, self.limit, self.each())
    }
}

impl Threshold {
    /// It should be so in each part of the run that is so long, from each second on: `p99("Log in").under(ms(300)).in_each(secs(10))`.
    ///
    /// Whole seconds, from 1 on. Windows begin after the warm-up, and end with the plan; one in which nothing was timed says
    /// nothing of times. Only the run itself can tell: give it to [`Run::threshold`](crate::Run::threshold) or
    /// [`Run::abort_when`](crate::Run::abort_when).
    ///
    /// ```
    /// use mite_core::threshold::{ms, p99, secs};
    ///
    /// assert_eq!(p99("Log in").under(ms(300)).in_each(secs(10)).to_string(), "p99 of \"Log in\" under 300 ms in each 10 s");
    /// ```
    pub fn in_each(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Compares the figure that the tables have with the limit.
    pub(crate) fn check_tables(&self, tables: Tables<'_>) -> Checked {
        self.checked(self.mistake().and_then(|()| self.figure(tables)))
    }

    fn checked(&self, found: Result<Found, String>) -> Checked {
        let passed = found.as_ref().is_ok_and(|found| self.bound.holds(found.value, self.limit));
        Checked { threshold: self.clone(), passed, found }
    }

    /// How many seconds its window has.
    pub(crate) fn window_seconds(&self) -> Option<u64> {
        self.window.map(|window| window.as_secs())
    }

    /// Compares the figure of one window, that begins so many seconds after the start of the run; `None` where it says nothing.
    pub(crate) fn check_window(&self, begins: u64, tables: Tables<'_>) -> Option<Checked> {
        let found = match (self.figure(tables), self.measure) {
            (Ok(found), _) => found,
            (Err(_), Measure::Count | Measure::Errors) => Found::of(Value::Count(0)),
            (Err(_), Measure::Rate) => Found::of(Value::PerSecond(0.0)),
            (Err(_), _) => return None,
        };
        Some(self.checked(Ok(Found { begins: Some(begins), ..found })))
    }

    /// Without a figure, and why.
    pub(crate) fn not_told(&self, why: String) -> Checked {
        self.checked(Err(why))
    }

    /// What it has found in all windows, of which the worst is given, if there was any that said something.
    pub(crate) fn check_windows(&self, worst: Option<&Checked>, tables: Tables<'_>) -> Checked {
        let there_is = self.mistake().and_then(|()| self.of.as_ref().map_or(Ok(()), |of| of.find(tables).map(drop)));
        self.checked(there_is.and_then(|()| match worst {
            Some(worst) => worst.found.clone(),
            None => Err(format!("there was none of {} in the run", self.window.map_or_else(String::new, span))),
        }))
    }

    /// Whether the one figure is farther from what it should be than the other.
    pub(crate) fn is_worse(&self, one: &Checked, other: &Checked) -> bool {
        match (one.figure(), other.figure(), self.bound) {
            (Some(one), Some(other), Bound::Under | Bound::AtMost) => one > other,
            (Some(one), Some(other), Bound::AtLeast | Bound::Over) => one < other,
            (None, ..) | (_, None, _) => false,
        }
    }

    fn each(&self) -> String {
        self.window.map_or_else(String::new, |window| format!(" in each {}", span(window)))
    }

    /// What it is of; `None` for the whole run.
    pub(crate) fn series(&self) -> Option<&Series> {
        self.of.as_ref()
    }

    /// Whether the figure is one of time, rather than of how many there were.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(self.measure, Measure::Percentile(_) | Measure::Max | Measure::Mean | Measure::Stdev)
    }

    /// What the threshold is about: `p99 of "Log in"`.
    fn subject(&self) -> String {
        let figure = match self.measure {
            Measure::Percentile(percent) => format!("p{percent}"),
            Measure::Max => "the maximum".to_owned(),
            Measure::Mean => "the mean".to_owned(),
            Measure::Stdev => "the standard deviation".to_owned(),
            Measure::Errors => "the count of errors".to_owned(),
            Measure::RequestRateStdev => "the standard deviation of requests per second".to_owned(),
            Measure::ErrorRate => "the error rate".to_owned(),
            Measure::Rate => "the rate".to_owned(),
            Measure::Count => "the count".to_owned(),
            Measure::Value => "the value".to_owned(),
        };
        match &self.of {
            Some(of) => format!("{figure} of {of}"),
            None => figure,
        }
    }

    /// What no report could pass, or fail.
    ///
    /// # Errors
    /// Why, as a sentence's second half.
    pub(crate) fn mistake(&self) -> Result<(), String> {
        if let Measure::Percentile(percent) = self.measure
            && !(0.0..=100.0).contains(&percent)
        {
            return Err(format!("a percentile is from 0 to 100, not {percent}"));
        }
        match self.limit {
            Value::Part(Percent(part)) if !(0.0..=100.0).contains(&part) => {
                return Err(format!("a part of a whole is from 0 % to 100 %, not {part} %"));
            }
            Value::PerSecond(rate) if !(rate.is_finite() && rate >= 0.0) => {
                return Err(format!("a rate is a number from 0 on, not {rate}"));
            }
            Value::Number(number) if !number.is_finite() => {
                return Err(format!("a value is a finite number, not {number}"));
            }
            _ => {}
        }
        if let Some(window) = self.window
            && (window.is_zero() || window.subsec_nanos() > 0)
        {
            return Err(format!("a window is of whole seconds from 1 on, not {window:?}"));
        }
        if self.measure == Measure::RequestRateStdev && self.window.is_some() {
            return Err("a deviation over the run's seconds has no windows".to_owned());
        }
        if self.bound == Bound::Under && self.limit.is_zero() {
            return Err("nothing is: say `at_most`".to_owned());
        }
        Ok(())
    }

    fn figure(&self, tables: Tables<'_>) -> Result<Found, String> {
        let Some(series) = &self.of else {
            match self.measure {
                Measure::Errors => return Ok(Found::of(Value::Count(tables.errors))),
                Measure::RequestRateStdev => {
                    return stdev_of(tables.request_rates).map(|rate| Found::of(Value::PerSecond(rate)));
                }
                _ => {}
            }
            let ended = tables.journeys.iter().map(|row| (row.failed, row.completed));
            return part(ended).ok_or_else(|| "no journey completed or failed".to_owned());
        };
        let rows = match series.find(tables)? {
            Meant::Rows(rows) => rows,
            Meant::Metric(rows) => return self.figure_of_metric(&rows, tables.measured).map(Found::of),
        };
        match self.measure {
            Measure::Value => Err("only a metric has a value".to_owned()),
            Measure::ErrorRate => error_part(&rows).ok_or_else(|| "none completed or failed".to_owned()),
            Measure::Count | Measure::Errors => Ok(Found::of(Value::Count(counted(&rows)))),
            Measure::Rate | Measure::RequestRateStdev => {
                let seconds = tables.measured.as_secs_f64();
                if seconds == 0.0 {
                    return Err("no time was measured".to_owned());
                }
                Ok(Found::of(Value::PerSecond(counted(&rows) as f64 / seconds)))
            }
            Measure::Percentile(_) | Measure::Max | Measure::Mean | Measure::Stdev => {
                let times = times(&rows);
                if times.count() == 0 {
                    return Err(nothing_timed(&rows));
                }
                let time = match self.measure {
                    Measure::Percentile(percent) => times.percentile(percent),
                    Measure::Mean => times.mean(),
                    Measure::Stdev => times.stdev(),
                    _ => times.max(),
                };
                Ok(Found::of(Value::Time(time)))
            }
        }
    }
}

impl Threshold {
    fn figure_of_metric(&self, rows: &MetricRows<'_>, measured: Duration) -> Result<Value, String> {
        let name = &rows.metric().name;
        let kind = rows.metric().kind;
        let (number, spread) = (rows.number(), rows.distribution());
        let counted = spread.as_ref().map(|spread| spread.count() as f64).or(number);
        let of_another = |mend: &str| Err(format!("{name:?} is a {kind}: {mend}"));
        match self.measure {
            Measure::ErrorRate | Measure::Errors | Measure::RequestRateStdev => {
                of_another("metrics have no error rate")
            }
            Measure::Count | Measure::Rate if kind == MetricKind::Gauge => {
                of_another(&format!("ask for its last value, by `value(metric({name:?}))`"))
            }
            Measure::Count if kind == MetricKind::Accumulator => {
                of_another(&format!("ask for what it has come to, by `value(metric({name:?}))`"))
            }
            // A counter counts in whole numbers.
            Measure::Count => Ok(Value::Count(counted.unwrap_or_default() as u64)),
            Measure::Rate if measured.is_zero() => Err("no time was measured".to_owned()),
            Measure::Rate => Ok(Value::PerSecond(counted.unwrap_or_default() / measured.as_secs_f64())),
            Measure::Value => match (number, kind) {
                (Some(number), _) => Ok(Value::Number(number)),
                (None, MetricKind::Gauge) => of_another(&format!(
                    "it has {} sets of label values, so say which, by `metric({name:?}).label(…, …)`",
                    rows.series().len()
                )),
                (None, _) => of_another("ask for its percentiles, `max`, `mean`, `stdev`, `count` or `rate`"),
            },
            Measure::Percentile(_) | Measure::Max | Measure::Mean | Measure::Stdev => match (spread, self.limit) {
                (Some(_), Value::Time(_)) => of_another(&format!(
                    "its values are no times, so say `metric({name:?})`, and a limit without a unit"
                )),
                (Some(spread), _) => Ok(Value::Number(self.of_values(&spread))),
                (None, _) => of_another("only of a histogram's values there is more than one"),
            },
        }
    }

    fn of_values(&self, values: &Distribution) -> f64 {
        match self.measure {
            Measure::Percentile(percent) => values.percentile(percent),
            Measure::Mean => values.mean(),
            Measure::Stdev => values.stdev(),
            _ => values.max(),
        }
    }
}

/// Of a sample, as Python's `statistics.stdev` has it: divided by one less than there are.
fn stdev_of(counts: &[u64]) -> Result<f64, String> {
    if counts.len() < 2 {
        return Err("fewer than two whole seconds were measured".to_owned());
    }
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let squares = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>();
    Ok((squares / (counts.len() - 1) as f64).sqrt())
}

fn times(rows: &Rows<'_>) -> Histogram {
    let mut times = Histogram::new();
    match rows {
        Rows::Journeys(rows) => rows.iter().for_each(|row| times.merge(&row.response_time)),
        Rows::Transactions(rows) => rows.iter().for_each(|row| times.merge(&row.time)),
        Rows::Requests(rows) => rows.iter().for_each(|row| times.merge(&row.time)),
    }
    times
}

fn counted(rows: &Rows<'_>) -> u64 {
    match rows {
        Rows::Journeys(rows) => rows.iter().map(|row| row.completed).sum(),
        Rows::Transactions(rows) => rows.iter().map(|row| row.count).sum(),
        Rows::Requests(rows) => rows.iter().map(|row| row.count).sum(),
    }
}

fn nothing_timed(rows: &Rows<'_>) -> String {
    match rows {
        Rows::Journeys(rows) => {
            let started: u64 = rows.iter().map(|row| row.started).sum();
            format!("of {started} that started none completed")
        }
        Rows::Transactions(_) | Rows::Requests(_) => format!("of {} none was timed", counted(rows)),
    }
}

fn error_part(rows: &Rows<'_>) -> Option<Found> {
    match rows {
        Rows::Journeys(rows) => part(rows.iter().map(|row| (row.failed, row.completed))),
        Rows::Transactions(rows) => part(rows.iter().map(|row| (row.errors, row.count - row.errors))),
        Rows::Requests(rows) => {
            part(rows.iter().map(|row| if row.is_error() { (row.count, 0) } else { (0, row.count) }))
        }
    }
}

/// The first of each two as a part of all, unless there are none.
fn part(counts: impl Iterator<Item = (u64, u64)>) -> Option<Found> {
    let (failed, well) = counts.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    let all = failed + well;
    let value = Value::Part(Percent(failed as f64 * 100.0 / all as f64));
    (all > 0).then_some(Found { parts: Some((failed, all)), ..Found::of(value) })
}

/// What a run is held to.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What its figures should be in the end.
    pub(crate) thresholds: Vec<Threshold>,
    /// What ends it, once so much of it was measured.
    pub(crate) aborts: Vec<(Threshold, Duration)>,
}

impl Asked {
    /// The first that makes no sense, in words, and why.
    pub(crate) fn mistake(&self) -> Option<(String, String)> {
        let all = self.thresholds.iter().chain(self.aborts.iter().map(|(condition, _)| condition));
        all.map(|threshold| (threshold.to_string(), threshold.mistake()))
            .find_map(|(text, mistake)| Some((text, mistake.err()?)))
    }
}

/// What the report had, and of a part what it is of what.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    value: Value,
    parts: Option<(u64, u64)>,
    /// Of a window, from which second of the run on.
    begins: Option<u64>,
}

impl Found {
    fn of(value: Value) -> Self {
        Self { value, parts: None, begins: None }
    }
}

/// A window's length: `10 s`.
fn span(window: Duration) -> String {
    format!("{} s", window.as_secs_f64())
}

/// A threshold that was held against a report; its `Display` is a sentence:
/// `p99 of "Log in" is 412 ms, and should be under 300 ms`.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Checked {
    threshold: Threshold,
    passed: bool,
    found: Result<Found, String>,
}

impl Checked {
    /// Whether the figure was there and is what it should be.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use mite_core::threshold::count;
    ///
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(5))).run_blocking()?;
    /// let checked = count("visit").at_least(10).check(&report);
    /// assert!(!checked.passed());
    /// assert_eq!(checked.to_string(), "the count of \"visit\" is 5, and should be at least 10");
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// What was checked.
    pub fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// The figure that the report has; `None` where it has none, or where the threshold makes no sense.
    ///
    /// ```
    /// # use mite_core::volume::at_once;
    /// # use mite_core::{Context, NoData, Result, Run, Scenario};
    /// use mite_core::threshold::count;
    ///
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// let report = Run::new(Scenario::new().journey(visit, NoData, at_once(5))).run_blocking()?;
    /// let checked = count("visit").at_least(10).check(&report);
    /// assert_eq!(checked.figure(), Some(mite_core::threshold::Value::Count(5)));
    /// # Ok::<(), mite_core::Error>(())
    /// ```
    pub fn figure(&self) -> Option<Value> {
        self.found.as_ref().ok().map(|found| found.value)
    }
}

/// As the report's JSON has it: the threshold and what came of it in words, and both figures in the unit of `unit`.
impl Serialize for Checked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (limit, unit) = self.threshold.limit.in_json();
        let mut fields = serializer.serialize_struct("Checked", 10)?;
        let found = self.found.as_ref().ok();
        fields.serialize_field("threshold", &self.threshold.to_string())?;
        fields.serialize_field("passed", &self.passed)?;
        fields.serialize_field("value", &self.figure().map(|figure| figure.in_json().0))?;
        fields.serialize_field("limit", &limit)?;
        fields.serialize_field("unit", unit)?;
        fields.serialize_field("part", &found.and_then(|found| found.parts).map(|(part, _)| part))?;
        fields.serialize_field("of", &found.and_then(|found| found.parts).map(|(_, all)| all))?;
        fields.serialize_field("from_s", &found.and_then(|found| found.begins))?;
        fields.serialize_field("why", &self.found.as_ref().err())?;
        fields.serialize_field("told", &self.to_string())?;
        fields.end()
    }
}

/// What is read of a threshold's JSON.
#[derive(Deserialize)]
struct Stored {
    threshold: String,
    passed: bool,
    value: Option<f64>,
    limit: f64,
    part: Option<u64>,
    of: Option<u64>,
    from_s: Option<u64>,
    why: Option<String>,
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let mut threshold: Threshold = stored.threshold.parse().map_err(serde::de::Error::custom)?;
        // The words have three digits of it.
        threshold.limit = threshold.limit.of_same_unit(stored.limit);
        let found = match (stored.value, stored.why) {
            (Some(value), None) => Ok(Found {
                value: threshold.limit.of_same_unit(value),
                parts: stored.part.zip(stored.of),
                begins: stored.from_s,
            }),
            (_, why) => Err(why.unwrap_or_default()),
        };
        Ok(Self { threshold, passed: stored.passed, found })
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Threshold { bound, limit, .. } = &self.threshold;
        let subject = format!("{}{}", self.threshold.subject(), self.threshold.each());
        let found = match &self.found {
            Ok(found) => found,
            Err(why) => return write!(f, "{subject} should be {bound} {limit}, and {why}"),
        };
        let (mut figure, mut limit_text) = (found.value.to_string(), limit.to_string());
        if figure == limit_text && found.value != *limit {
            (figure, limit_text) = (found.value.exact(), limit.exact());
        }
        write!(f, "{subject} is {figure}")?;
        if let Some((part, all)) = found.parts {
            write!(f, " ({part} of {all})")?;
        }
        if let Some(begins) = found.begins {
            write!(f, " at its worst, from {begins} s on")?;
        }
        write!(f, ", {} {bound} {limit_text}", if self.passed { "which is" } else { "and should be" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{WarmUp, fixed};

    #[test]
    fn thresholds_in_words() {
        let mut report = fixed::shop();
        let warm_up = WarmUp { duration: secs(2), ..WarmUp::default() };
        report.warm_up = Some(warm_up);
        report.journeys.push(fixed::journey(6, "shop:late", &[], 3));
        report.journeys.push(fixed::journey(7, "shop:never", &[], 0));
        let cases = [
            // Over both rows of the journey: 295 that completed, 15 of them slow.
            (p50("signin").under(ms(300)), "p50 of \"signin\" is 20 ms, which is under 300 ms"),
            (p99("signin").under(ms(300)), "p99 of \"signin\" is 412 ms, and should be under 300 ms"),
            (p75("signin").over(ms(20)), "p75 of \"signin\" is 20.015 ms, which is over 20 ms"),
            (p90("signin").at_most(ms(20)), "p90 of \"signin\" is 20.015 ms, and should be at most 20 ms"),
            (
                p95(journey("signin")).at_least(secs(1)),
                "p95 of the journey \"signin\" is 412 ms, and should be at least 1 s",
            ),
            (p999("Log in").under(ms(410)), "p99.9 of \"Log in\" is 410 ms, and should be under 410 ms"),
            (percentile(0.0, "Log in").under(ms(3)), "p0 of \"Log in\" is 2 ms, which is under 3 ms"),
            (max("Log in").at_most(ms(410)), "the maximum of \"Log in\" is 410 ms, which is at most 410 ms"),
            (mean("GET · browse").under(ms(5)), "the mean of \"GET · browse\" is 5 ms, and should be under 5 ms"),
            // Of 500 journeys that completed and 8 that failed.
            (error_rate().under(percent(0.1)), "the error rate is 1.59 % (8 of 503), and should be under 0.1 %"),
            (error_rate().at_most(percent(2.0)), "the error rate is 1.59 % (8 of 503), which is at most 2 %"),
            (
                error_rate_of("Log in").under(percent(1.0)),
                "the error rate of \"Log in\" is 1.25 % (5 of 400), and should be under 1 %",
            ),
            (
                error_rate_of(request("POST", "Log in")).under(percent(1.666)),
                "the error rate of the request \"POST · Log in\" is 1.6666666666666667 % (5 of 300), and should be under 1.666 %",
            ),
            (
                error_rate_of(journey("late")).at_most(percent(0.0)),
                "the error rate of the journey \"late\" is 100 % (3 of 3), and should be at most 0 %",
            ),
            // Over 10 s without the warm-up of 2 s.
            (
                rate("Log in").at_least(95.0),
                "the rate of \"Log in\" is 50 per second, and should be at least 95 per second",
            ),
            (
                rate("POST · Log in").at_least(37.51),
                "the rate of \"POST · Log in\" is 37.5 per second, and should be at least 37.51 per second",
            ),
            (count("signin").at_least(10), "the count of \"signin\" is 295, which is at least 10"),
            (
                count(transaction("Search")).over(50),
                "the count of the transaction \"Search\" is 50, and should be over 50",
            ),
            (stdev("Log in").under(ms(100)), "the standard deviation of \"Log in\" is 75.3 ms, which is under 100 ms"),
            (max(all_requests()).under(ms(1)), "the maximum of all requests is 409 ms, and should be under 1 ms"),
            (errors().at_most(3), "the count of errors is 5, and should be at most 3"),
            (
                request_rate_stdev().under(1.0),
                "the standard deviation of requests per second should be under 1 per second, and fewer than two whole seconds \
                 were measured",
            ),
            // What there is no figure of.
            (p99("late").under(ms(1)), "p99 of \"late\" should be under 1 ms, and of 3 that started none completed"),
            (
                error_rate_of("never").under(percent(1.0)),
                "the error rate of \"never\" should be under 1 %, and none completed or failed",
            ),
            (count("never").at_most(0), "the count of \"never\" is 0, which is at most 0"),
            // What makes no sense.
            (p99("signin").under(ms(0)), "p99 of \"signin\" should be under 0 µs, and nothing is: say `at_most`"),
            (
                percentile(100.1, "signin").under(ms(1)),
                "p100.1 of \"signin\" should be under 1 ms, and a percentile is from 0 to 100, not 100.1",
            ),
            (
                percentile(f64::NAN, "signin").under(ms(1)),
                "pNaN of \"signin\" should be under 1 ms, and a percentile is from 0 to 100, not NaN",
            ),
            (
                error_rate().under(percent(-1.0)),
                "the error rate should be under -1 %, and a part of a whole is from 0 % to 100 %, not -1 %",
            ),
            (
                rate("signin").at_least(f64::INFINITY),
                "the rate of \"signin\" should be at least inf per second, and a rate is a number from 0 on, not inf",
            ),
        ];
        for (threshold, words) in cases {
            let checked = threshold.check(&report);
            assert_eq!(checked.to_string(), words);
            assert_eq!(checked.passed(), words.contains(", which is "), "{words}");
        }
    }

    #[test]
    fn a_name_that_never_occurred_does_not_pass() {
        let checked = count(transaction("Log on")).at_most(0).check(&fixed::shop());
        assert!(!checked.passed());
        assert_eq!(checked.figure(), None);
        assert_eq!(
            checked.to_string(),
            "the count of the transaction \"Log on\" should be at most 0, and the report has no transaction \"Log on\" (did \
             you mean \"Log in\"?): it has \"Log in\", \"Log in :: Check password\", \"Search\""
        );
        let nothing = rate("x").over(0.0).check(&fixed::empty());
        assert_eq!(
            nothing.to_string(),
            "the rate of \"x\" should be over 0 per second, and the report has nothing named \"x\": it has nothing"
        );
    }

    #[test]
    fn a_rate_over_no_time_is_not_told() {
        let mut report = fixed::shop();
        report.duration = Duration::ZERO;
        let checked = rate("signin").at_least(1.0).check(&report);
        assert!(checked.to_string().ends_with("and no time was measured"), "{checked}");
    }

    #[test]
    fn digits_are_three() {
        let cases = [
            (0.0, "0"),
            (0.1, "0.1"),
            (0.012_34, "0.0123"),
            (1.5, "1.5"),
            (95.0, "95"),
            (99.96, "100"),
            (1234.5, "1234"),
            (1e-12, "0"),
        ];
        for (number, text) in cases {
            assert_eq!(digits(number), text);
        }
    }
}
