//! What a name stands for in a report: the rows of a journey, of a transaction or of a kind of request.
//!
//! Accessors, assertions and thresholds all find their rows here, so that a name that is not there is told in the same words,
//! with the one that was probably meant.

use std::fmt;

use super::metrics::MetricRows;
use super::rows::{JourneyReport, RequestReport, Tables, TransactionReport};
use crate::names::ROOT;
use crate::nearest::{did_you_mean, list};

/// What a figure is of: a journey, a transaction, a kind of request, or whichever of them has a name.
///
/// A bare name, `"Log in"`, is that of a journey (in full or its function alone), a transaction, or a request as the
/// report's text shows it (`"POST · Log in"`, which is those of all names, or `"POST /users/{id} · Log in"`). What several journeys have by one name is meant in all of them; with the
/// journey, as the text shows it (`"Log in · shop:signin"`), in that one. Where more than one kind has it,
/// [`journey`](crate::threshold::journey), [`transaction`](crate::threshold::transaction) and
/// [`request`](crate::threshold::request) say which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series(Named);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Any(String),
    Journey(String),
    Transaction(String),
    /// The method, the name that is asked for, and the transaction, as the text shows them.
    Request(String),
    AllRequests,
    Metric(MetricSelector),
}

impl From<&str> for Series {
    fn from(name: &str) -> Self {
        Self(Named::Any(name.to_owned()))
    }
}

impl From<&String> for Series {
    fn from(name: &String) -> Self {
        Self(Named::Any(name.clone()))
    }
}

impl From<String> for Series {
    fn from(name: String) -> Self {
        Self(Named::Any(name))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Named::Any(name) => write!(f, "{name:?}"),
            Named::Journey(name) => write!(f, "the journey {name:?}"),
            Named::Transaction(name) => write!(f, "the transaction {name:?}"),
            Named::Request(name) => write!(f, "the request {name:?}"),
            Named::AllRequests => f.write_str("all requests"),
            Named::Metric(selector) => selector.fmt(f),
        }
    }
}

/// The requests with one method in one transaction, as [`threshold::request`](crate::threshold::request) gives them: of all
/// names, or of the one that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSeries {
    method: String,
    place: String,
}

impl RequestSeries {
    pub(crate) fn new(method: &str, place: &str) -> Self {
        Self { method: method.to_owned(), place: place.to_owned() }
    }

    /// Only those with this name: `request("GET", "Log in").named("/users/{id}")`.
    ///
    /// ```
    /// use mite_core::threshold::{ms, p99, request};
    ///
    /// let threshold = p99(request("GET", "Look").named("/users/{id}")).under(ms(300));
    /// assert_eq!(threshold.to_string(), "p99 of the request \"GET /users/{id} · Look\" under 300 ms");
    /// ```
    pub fn named(self, name: impl AsRef<str>) -> Series {
        Series(Named::Request(request_label(&self.method, Some(name.as_ref()), &self.place)))
    }
}

impl From<RequestSeries> for Series {
    fn from(of: RequestSeries) -> Self {
        Self(Named::Request(request_label(&of.method, None, &of.place)))
    }
}

/// A metric of one's own, as [`threshold::metric`](crate::threshold::metric) gives it: all its series, or those with some labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSelector {
    name: String,
    labels: Vec<(String, String)>,
}

impl MetricSelector {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), labels: Vec::new() }
    }

    /// Only what has this label: `metric("cart_items").label("shop", "berlin")`.
    ///
    /// ```
    /// use mite_core::threshold::{metric, value};
    ///
    /// let threshold = value(metric("stock").label("shop", "berlin")).over(0.0);
    /// assert_eq!(threshold.to_string(), "the value of the metric \"stock\"{shop=\"berlin\"} over 0");
    /// ```
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

impl From<MetricSelector> for Series {
    fn from(of: MetricSelector) -> Self {
        Self(Named::Metric(of))
    }
}

/// In the words in which thresholds tell it, and can be read again.
impl fmt::Display for MetricSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the metric {:?}", self.name)?;
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        if labels.is_empty() { Ok(()) } else { write!(f, "{{{}}}", labels.join(", ")) }
    }
}

/// The rows of one kind that have a name; there is at least one.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    Journeys(Vec<&'a JourneyReport>),
    Transactions(Vec<&'a TransactionReport>),
    Requests(Vec<&'a RequestReport>),
}

/// What a name stands for; there is at least one row of it.
#[derive(Debug)]
pub(crate) enum Meant<'a> {
    Rows(Rows<'a>),
    /// One of one's own, which has no times and no errors.
    Metric(MetricRows<'a>),
}

impl Series {
    pub(crate) fn journey(name: impl Into<String>) -> Self {
        Self(Named::Journey(name.into()))
    }

    pub(crate) fn transaction(name: impl Into<String>) -> Self {
        Self(Named::Transaction(name.into()))
    }

    pub(crate) fn all_requests() -> Self {
        Self(Named::AllRequests)
    }

    /// Whether a metric of one's own is meant for sure, whose values have no unit.
    pub(crate) fn is_metric(&self) -> bool {
        matches!(self.0, Named::Metric(_))
    }

    /// As the report's text shows it: `POST · Log in`.
    pub(crate) fn request_labelled(label: impl Into<String>) -> Self {
        Self(Named::Request(label.into()))
    }

    /// The rows that are meant.
    ///
    /// # Errors
    /// Nothing has the name, or several things do: a sentence's second half, with the names that there are.
    pub(crate) fn find<'a>(&self, tables: Tables<'a>) -> Result<Meant<'a>, String> {
        let rows = match &self.0 {
            Named::Any(name) => return any(tables, name),
            Named::Journey(name) => journeys(tables, name).map(Rows::Journeys),
            Named::Transaction(name) => transactions(tables, name).map(Rows::Transactions),
            Named::Request(name) => requests(tables, name).map(Rows::Requests),
            Named::Metric(MetricSelector { name, labels }) => {
                let rows = metric(tables, name, labels)?;
                if rows.series().is_empty() {
                    return Err(format!("{self} never occurred"));
                }
                return Ok(Meant::Metric(rows));
            }
            Named::AllRequests if tables.requests.is_empty() => Err("the report has no requests".to_owned()),
            Named::AllRequests => Ok(Rows::Requests(tables.requests.iter().collect())),
        };
        rows.map(Meant::Rows)
    }
}

/// The rows of a journey, by its name in full or by its function's.
pub(super) fn journeys<'a>(tables: Tables<'a>, name: &str) -> Result<Vec<&'a JourneyReport>, String> {
    let (rows, names) = journeys_named(tables, name);
    checked(rows, &names, name, "journey").unwrap_or_else(|| unknown("journey", name, &journey_names(tables)))
}

/// A metric's series with these labels.
pub(super) fn metric<'a>(
    tables: Tables<'a>,
    name: &str,
    labels: &[(String, String)],
) -> Result<MetricRows<'a>, String> {
    match tables.metrics.iter().find(|metric| metric.name == name) {
        Some(metric) => metric.select(labels),
        None => unknown("metric", name, &metric_names(tables)),
    }
}

/// The rows of a transaction, in all journeys.
pub(super) fn transactions<'a>(tables: Tables<'a>, name: &str) -> Result<Vec<&'a TransactionReport>, String> {
    let (rows, names) = transactions_named(tables, name);
    checked(rows, &names, name, "transaction")
        .unwrap_or_else(|| unknown("transaction", name, &transaction_names(tables)))
}

/// The outcomes of a kind of request, by its method and transaction as the text shows them.
pub(super) fn requests<'a>(tables: Tables<'a>, name: &str) -> Result<Vec<&'a RequestReport>, String> {
    let (rows, names) = requests_named(tables, name);
    checked(rows, &names, name, "request").unwrap_or_else(|| unknown("request", name, &request_names(tables)))
}

fn any<'a>(tables: Tables<'a>, name: &str) -> Result<Meant<'a>, String> {
    let (of_journeys, journey_names) = journeys_named(tables, name);
    let (of_transactions, transaction_names) = transactions_named(tables, name);
    let (of_requests, request_names) = requests_named(tables, name);
    let mut said = Vec::new();
    if !of_journeys.is_empty() {
        said.push(("a journey", format!("`journey({name:?})`")));
    }
    if !of_transactions.is_empty() {
        said.push(("a transaction", format!("`transaction({name:?})`")));
    }
    if let Some(row) = of_requests.first() {
        // A name that the requests share is part of what was asked.
        let named = row.name.as_deref().filter(|_| request_names.contains(&label_of(row)));
        let named = named.map_or_else(String::new, |name| format!(".named({name:?})"));
        said.push(("a request", format!("`request({:?}, {:?}){named}`", row.method, place_of(row))));
    }
    let metric = tables.metrics.iter().find(|metric| metric.name == name);
    if metric.is_some() {
        said.push(("a metric", format!("`metric({name:?})`")));
    }
    if said.len() > 1 {
        let (kinds, mends): (Vec<_>, Vec<_>) = said.into_iter().unzip();
        return Err(format!("{name:?} is {}: say which, by {}", kinds.join(" and "), mends.join(" or ")));
    }
    checked(of_journeys, &journey_names, name, "journey")
        .map(|rows| rows.map(Rows::Journeys))
        .or_else(|| {
            let rows = checked(of_transactions, &transaction_names, name, "transaction")?;
            Some(rows.map(Rows::Transactions))
        })
        .or_else(|| Some(checked(of_requests, &request_names, name, "request")?.map(Rows::Requests)))
        .map(|rows| rows.map(Meant::Rows))
        .or_else(|| metric.map(|_| Series(Named::Metric(MetricSelector::new(name))).find(tables)))
        .unwrap_or_else(|| nothing_named(tables, name))
}

/// The rows that have the name in full; without any those that have it as their other name. Then the full names of these.
fn named<'a, R>(
    rows: impl IntoIterator<Item = &'a R>,
    name: &str,
    names: impl Fn(&R) -> (String, String),
) -> (Vec<&'a R>, Vec<String>) {
    let (mut in_full, mut by_other) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for row in rows {
        let (full, other) = names(row);
        let (rows, names) = match (full == name, other == name) {
            (true, _) => &mut in_full,
            (_, true) => &mut by_other,
            _ => continue,
        };
        rows.push(row);
        if !names.contains(&full) {
            names.push(full);
        }
    }
    if in_full.0.is_empty() { by_other } else { in_full }
}

fn journeys_named<'a>(tables: Tables<'a>, name: &str) -> (Vec<&'a JourneyReport>, Vec<String>) {
    named(tables.journeys, name, |row| (row.journey.clone(), short(&row.journey).to_owned()))
}

fn transactions_named<'a>(tables: Tables<'a>, name: &str) -> (Vec<&'a TransactionReport>, Vec<String>) {
    named(tables.transactions, name, |row| (row.transaction.clone(), in_journey(&row.transaction, &row.journey)))
}

fn requests_named<'a>(tables: Tables<'a>, name: &str) -> (Vec<&'a RequestReport>, Vec<String>) {
    let labelled = |request_name: fn(&RequestReport) -> Option<&str>| {
        named(tables.requests, name, |row| {
            let label = request_label(&row.method, request_name(row), place_of(row));
            let other = match row.transaction.as_str() {
                ROOT => request_label(&row.method, request_name(row), short(&row.journey)),
                _ => in_journey(&label, &row.journey),
            };
            (label, other)
        })
    };
    // A method alone stands for all its names.
    let of_all_names = labelled(|_| None);
    if of_all_names.0.is_empty() { labelled(|row| row.name.as_deref()) } else { of_all_names }
}

/// A journey's function without its module.
fn short(journey: &str) -> &str {
    journey.rsplit(':').next().unwrap_or(journey)
}

/// Where a request was made, as the text tells it: its transaction, or its journey where it was in none.
pub(super) fn place_of(row: &RequestReport) -> &str {
    if row.transaction == ROOT { &row.journey } else { &row.transaction }
}

/// A kind of request, as the text tells it.
pub(super) fn request_label(method: &str, name: Option<&str>, place: &str) -> String {
    match name {
        Some(name) => format!("{method} {name} · {place}"),
        None => format!("{method} · {place}"),
    }
}

/// The kind of request that a row is of, as the text tells it.
pub(super) fn label_of(row: &RequestReport) -> String {
    request_label(&row.method, row.name.as_deref(), place_of(row))
}

/// What a journey has by a name that others have too, as the text tells it.
pub(super) fn in_journey(name: &str, journey: &str) -> String {
    format!("{name} · {journey}")
}

/// `None` when there are no rows; an error when they are those of several things.
fn checked<R>(rows: Vec<R>, names: &[String], name: &str, kind: &str) -> Option<Result<Vec<R>, String>> {
    match names {
        [] => None,
        [_] => Some(Ok(rows)),
        _ => Some(Err(format!("{name:?} is the name of the {kind}s {}: say which in full", list(names)))),
    }
}

fn journey_names(tables: Tables<'_>) -> Vec<String> {
    distinct(tables.journeys.iter().map(|row| row.journey.clone()))
}

fn transaction_names(tables: Tables<'_>) -> Vec<String> {
    // The root of each journey is the journey.
    let rows = tables.transactions.iter().filter(|row| row.transaction != ROOT);
    distinct(rows.map(|row| row.transaction.clone()))
}

fn request_names(tables: Tables<'_>) -> Vec<String> {
    distinct(tables.requests.iter().map(label_of))
}

fn metric_names(tables: Tables<'_>) -> Vec<String> {
    tables.metrics.iter().map(|metric| metric.name.clone()).collect()
}

pub(super) fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut told = Vec::new();
    for name in names {
        if !told.contains(&name) {
            told.push(name);
        }
    }
    told
}

fn unknown<T>(kind: &str, name: &str, names: &[String]) -> Result<T, String> {
    let there = if names.is_empty() { "none".to_owned() } else { list(names) };
    Err(format!("the report has no {kind} {name:?}{}: it has {there}", did_you_mean(name, names)))
}

fn nothing_named<T>(tables: Tables<'_>, name: &str) -> Result<T, String> {
    let kinds = [
        ("journey", journey_names(tables)),
        ("transaction", transaction_names(tables)),
        ("request", request_names(tables)),
        ("metric", metric_names(tables)),
    ];
    let there: Vec<String> = kinds
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(kind, names)| format!("the {kind}{} {}", if names.len() == 1 { "" } else { "s" }, list(names)))
        .collect();
    let names: Vec<String> = kinds.into_iter().flat_map(|(_, names)| names).collect();
    let there = if there.is_empty() { "nothing".to_owned() } else { there.join("; ") };
    Err(format!("the report has nothing named {name:?}{}: it has {there}", did_you_mean(name, &names)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixed;

    #[test]
    fn names_are_found_and_what_is_not_there_is_told_with_what_is() {
        let report = fixed::shop();
        let request = |method, place| Series::from(RequestSeries::new(method, place));
        let cases: [(Series, Result<usize, &str>); 14] = [
            // A journey by both of its names; it has two rows.
            ("shop:signin".into(), Ok(2)),
            ("signin".into(), Ok(2)),
            // A transaction in two journeys is both.
            ("Log in".into(), Ok(2)),
            (Series::transaction("Log in :: Check password"), Ok(1)),
            ("Log in · shop:browse".into(), Ok(1)),
            (request("POST", "Log in · shop:signin"), Ok(2)),
            // All outcomes of a request, in a transaction and in none.
            ("POST · Log in".into(), Ok(2)),
            (request("GET", "shop:browse"), Ok(1)),
            (request("GET", "browse"), Ok(1)),
            (
                "Log on".into(),
                Err("the report has nothing named \"Log on\" (did you mean \"Log in\"?): it has the journeys \
                     \"shop:signin\", \"shop:browse\", \"admin:browse\", \"Search\"; the transactions \"Log in\", \
                     \"Log in :: Check password\", \"Search\"; the requests \"POST · Log in\", \"GET · shop:browse\""),
            ),
            (
                Series::transaction("check pasword"),
                Err(
                    "the report has no transaction \"check pasword\" (did you mean \"Log in :: Check password\"?): it has \
                     \"Log in\", \"Log in :: Check password\", \"Search\"",
                ),
            ),
            (
                request("PUT", "x"),
                Err("the report has no request \"PUT · x\": it has \"POST · Log in\", \"GET · shop:browse\""),
            ),
            (
                "Search".into(),
                Err("\"Search\" is a journey and a transaction: say which, by `journey(\"Search\")` or \
                     `transaction(\"Search\")`"),
            ),
            (
                "browse".into(),
                Err("\"browse\" is the name of the journeys \"shop:browse\", \"admin:browse\": say which in full"),
            ),
        ];
        for (series, expected) in cases {
            let found = series.find(report.tables()).map(|meant| match meant {
                Meant::Rows(Rows::Journeys(rows)) => rows.len(),
                Meant::Rows(Rows::Transactions(rows)) => rows.len(),
                Meant::Rows(Rows::Requests(rows)) => rows.len(),
                Meant::Metric(rows) => rows.series().len(),
            });
            assert_eq!(found, expected.map_err(str::to_owned), "{series}");
        }
    }

    /// Of a method the requests with a name and without, here of two journeys, and those of one name.
    #[test]
    fn requests_are_found_by_their_names_too() {
        let report = fixed::named();
        let request = |method, place| RequestSeries::new(method, place);
        let cases: [(Series, Result<usize, &str>); 11] = [
            (request("GET", "Look").into(), Ok(5)),
            ("GET · Look".into(), Ok(5)),
            (request("GET", "Look").named("/users/{id}"), Ok(3)),
            ("GET /users/{id} · Look".into(), Ok(3)),
            ("GET /users/{id} · Look · shop:browse".into(), Ok(1)),
            (request("GET", "Look · shop:browse").named("/users/{id}"), Ok(1)),
            // Outside of any transaction, under both of the journey's names.
            (request("GET", "shop:browse").named("/"), Ok(1)),
            ("GET / · browse".into(), Ok(1)),
            (
                request("GET", "Look").named("/user/{id}"),
                Err(
                    "the report has no request \"GET /user/{id} · Look\" (did you mean \"GET /users/{id} · Look\"?): it has \
                     \"GET /users/{id} · Look\", \"GET · Look\", \"GET /carts/{id} · Look\", \"GET / · shop:browse\"",
                ),
            ),
            (
                request("PUT", "Look").named("/users/{id}"),
                Err(
                    "the report has no request \"PUT /users/{id} · Look\" (did you mean \"GET /users/{id} · Look\"?): it has \
                     \"GET /users/{id} · Look\", \"GET · Look\", \"GET /carts/{id} · Look\", \"GET / · shop:browse\"",
                ),
            ),
            (
                "GET /carts/{id} · Look".into(),
                Err("\"GET /carts/{id} · Look\" is a transaction and a request: say which, by \
                     `transaction(\"GET /carts/{id} · Look\")` or `request(\"GET\", \"Look\").named(\"/carts/{id}\")`"),
            ),
        ];
        for (series, expected) in cases {
            let found = series.find(report.tables()).map(|meant| match meant {
                Meant::Rows(Rows::Requests(rows)) => rows.len(),
                other => panic!("requests are meant, and not {other:?}"),
            });
            assert_eq!(found, expected.map_err(str::to_owned), "{series}");
        }
    }

    #[test]
    fn an_empty_report_says_that_there_is_nothing() {
        let told = Series::from("x").find(fixed::empty().tables()).unwrap_err();
        assert_eq!(told, "the report has nothing named \"x\": it has nothing");
        let told = Series::transaction("x").find(fixed::empty().tables()).unwrap_err();
        assert_eq!(told, "the report has no transaction \"x\": it has none");
    }
}
