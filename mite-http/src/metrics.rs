//! What a request leaves behind: a sample in the report, and an `http_metrics` message.
//! It is separate because it alone knows the names that others read.

use std::net::IpAddr;

use mite_core::{ExchangeText, RequestSample, Scope};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    ended::{Answered, Ended},
    error::HttpError,
    fields::Fields,
    hop::Hop,
    mask::Masks,
    sent::Sent,
    settings::Settings,
    timing::Timings,
    transcript,
};

const HTTP_METRICS: &str = "http_metrics";

/// Whether anybody reads what requests leave behind.
pub(crate) fn are_wanted(scope: &Scope) -> bool {
    scope.wants(HTTP_METRICS)
}

/// Counts a request that came to an end; if there was a response, calls who wants to see it, and sends its message.
pub(crate) fn report(scope: &Scope, settings: &Settings, ended: &Ended<'_>) {
    let Ended { sent, timings, outcome } = *ended;
    let mut sample = RequestSample {
        method: sent.method().as_str(),
        name: sent.name(),
        total: timings.total(),
        dns: timings.dns(),
        connect: timings.connect(),
        tls: timings.tls(),
        first_byte: timings.first_byte(),
        ..RequestSample::default()
    };
    match outcome {
        Ok(answered) => {
            sample.code = answered.head.status.as_u16();
            sample.bytes = answered.sizes.received;
        }
        Err(error) => sample.error = Some(error.class()),
    }
    scope.request(&sample);
    if matches!(sample.code, 0 | 400..600) {
        scope.failed_exchange(&sample, || written_out(sent, outcome, Masks::new(&settings.masked)));
    }
    scope.show_exchange(&sample, || written_out(sent, outcome, Masks::new(&settings.masked)));
    if let Ok(answered) = outcome {
        tell(scope, settings, sent, timings, &answered);
    }
}

fn written_out(sent: &Sent, outcome: Result<Answered<'_>, &HttpError>, masks: Masks<'_>) -> ExchangeText {
    let request = match sent.headers() {
        Ok(headers) => {
            let content = sent.draft.content();
            transcript::request(sent.method().as_str(), sent.url(), &headers.merged(), content, masks)
        }
        // It was sent, and so it can be written out.
        Err(mistake) => mistake.what(),
    };
    let response = outcome.map(|answered| {
        let line = format!("{:?} {}", answered.head.version, answered.head.status);
        transcript::response(&line, answered.head.headers.map(), answered.body, masks)
    });
    ExchangeText {
        url: masks.url(sent.url()),
        message: outcome.err().map(HttpError::what),
        request,
        response: response.unwrap_or_default(),
    }
}

fn tell(scope: &Scope, settings: &Settings, sent: &Sent, timings: &Timings, answered: &Answered<'_>) {
    let wanted = are_wanted(scope);
    let mut fields = Fields::new(wanted);
    if let Some(callback) = &settings.on_response {
        callback.call(&Hop::of(sent, timings, answered), &mut fields);
    }
    if wanted {
        if let Some(said) = sent.draft.said() {
            fields.begin_with(&said.fields);
        }
        let start_time = scope.unix_time(timings.start());
        scope.emit(HTTP_METRICS, &HttpMetrics { start_time, sent, timings, answered, added: &fields });
    }
}

/// The fields of an `http_metrics` message, in the order of the format. The times are seconds from the start of the
/// request, as curl gives them: each includes those before it.
#[derive(Debug)]
struct HttpMetrics<'a> {
    /// Unix seconds.
    start_time: f64,
    sent: &'a Sent,
    timings: &'a Timings,
    answered: &'a Answered<'a>,
    added: &'a Fields,
}

impl Serialize for HttpMetrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { start_time, sent, timings, answered, added } = self;
        let ends = timings.ends();
        let name = sent.name();
        let mut map = serializer.serialize_map(Some(12 + usize::from(name.is_some()) + added.iter().count()))?;
        map.serialize_entry("start_time", start_time)?;
        map.serialize_entry("effective_url", sent.draft.target.as_str())?;
        map.serialize_entry("response_code", &answered.head.status.as_u16())?;
        map.serialize_entry("dns_time", &ends.dns)?;
        map.serialize_entry("connect_time", &ends.connect)?;
        map.serialize_entry("tls_time", &ends.tls)?;
        map.serialize_entry("transfer_start_time", &ends.transfer_start)?;
        map.serialize_entry("first_byte_time", &ends.first_byte)?;
        map.serialize_entry("total_time", &timings.total().as_secs_f64())?;
        map.serialize_entry("primary_ip", &AsText(answered.remote.map(|remote| remote.ip())))?;
        map.serialize_entry("method", sent.method().as_str())?;
        map.serialize_entry("download_size", &answered.sizes.received)?;
        if let Some(name) = name {
            map.serialize_entry("name", name)?;
        }
        for (key, value) in added.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A binary format would take the bytes of the address, where readers of the message expect its text. It is empty for a Unix
/// socket.
struct AsText(Option<IpAddr>);

impl Serialize for AsText {
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
        let metrics = HttpMetrics {
            start_time: 1.5,
            sent: response.sent(),
            timings: response.timings(),
            answered: &Answered::from(&response),
            added: &Fields::new(true),
        };
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(
            text,
            r#"{"start_time":1.5,"effective_url":"http://h:1/users","response_code":201,"dns_time":0.0,"connect_time":0.0,"tls_time":0.0,"transfer_start_time":0.0,"first_byte_time":0.0,"total_time":0.0,"primary_ip":"127.0.0.1","method":"POST","download_size":5}"#
        );
    }
}
