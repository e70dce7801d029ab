//! What a request leaves behind: a sample in the report, and an `http_metrics` message.
//! It is separate because it alone knows the names that others read.

use std::net::{IpAddr, SocketAddr};

use http::StatusCode;
use mite_core::{RequestSample, Scope};
use serde::{Serialize, Serializer};
use url::Url;

use crate::{error::HttpError, exchange::Sizes, response::Response, timing::Timings};

const HTTP_METRICS: &str = "http_metrics";

/// What there is to tell of a request that was answered, its body as far as it has come included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) url: &'a Url,
    pub(crate) status: StatusCode,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) sizes: Sizes,
}

impl<'a> From<&'a Response> for Answered<'a> {
    fn from(response: &'a Response) -> Self {
        Self { url: response.url(), status: response.status(), remote: response.remote_addr(), sizes: response.sizes() }
    }
}

/// Counts a request that came to an end, and sends its message if there was a response.
pub(crate) fn report(scope: &Scope, method: &str, timings: &Timings, outcome: Result<Answered<'_>, &HttpError>) {
    let mut sample = RequestSample {
        method,
        total: timings.total(),
        dns: timings.dns(),
        connect: timings.connect(),
        tls: timings.tls(),
        first_byte: timings.first_byte(),
        ..RequestSample::default()
    };
    match outcome {
        Ok(answered) => {
            sample.code = answered.status.as_u16();
            sample.bytes = answered.sizes.received;
            if scope.wants(HTTP_METRICS) {
                let start_time = scope.unix_time(timings.start());
                scope.emit(HTTP_METRICS, &HttpMetrics::new(start_time, method, timings, &answered));
            }
        }
        Err(error) => sample.error = Some(error.class()),
    }
    scope.request(&sample);
}

/// The fields of an `http_metrics` message, in the order of the format. The times are seconds from the start of the
/// request, as curl gives them: each includes those before it.
#[derive(Debug, Serialize)]
struct HttpMetrics<'a> {
    start_time: f64,
    effective_url: &'a str,
    response_code: u16,
    dns_time: f64,
    connect_time: f64,
    tls_time: f64,
    transfer_start_time: f64,
    first_byte_time: f64,
    total_time: f64,
    /// Empty for a Unix socket.
    primary_ip: Address,
    method: &'a str,
    download_size: u64,
}

impl<'a> HttpMetrics<'a> {
    /// The metrics of a request that began at `start_time` (Unix seconds).
    fn new(start_time: f64, method: &'a str, timings: &Timings, answered: &Answered<'a>) -> Self {
        let ends = timings.ends();
        Self {
            start_time,
            effective_url: answered.url.as_str(),
            response_code: answered.status.as_u16(),
            dns_time: ends.dns,
            connect_time: ends.connect,
            tls_time: ends.tls,
            transfer_start_time: ends.transfer_start,
            first_byte_time: ends.first_byte,
            total_time: timings.total().as_secs_f64(),
            primary_ip: Address(answered.remote.map(|remote| remote.ip())),
            method,
            download_size: answered.sizes.received,
        }
    }
}

/// A binary format would take the bytes of the address, where readers of the message expect its text.
#[derive(Debug)]
struct Address(Option<IpAddr>);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(ip) => serializer.collect_str(ip),
            None => serializer.serialize_str(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::tests::response;

    #[test]
    fn http_metrics_have_the_fields_of_the_format_in_its_order() {
        let response = response(201, "12345");
        let metrics = HttpMetrics::new(1.5, "POST", response.timings(), &Answered::from(&response));
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(
            text,
            r#"{"start_time":1.5,"effective_url":"http://h:1/users","response_code":201,"dns_time":0.0,"connect_time":0.0,"tls_time":0.0,"transfer_start_time":0.0,"first_byte_time":0.0,"total_time":0.0,"primary_ip":"127.0.0.1","method":"POST","download_size":5}"#
        );
    }
}
