//! The limit on how long a server may take to answer, counted from when it had the whole request.
//! It is separate from the client because few sessions set it, and the others pay nothing for it.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use crate::{
    error::{Class, Fault},
    outgoing::Outgoing,
    payload::Payload,
    transport::{Answer, Connection},
};

/// Sends `request` and waits for the head of the response, for at most `limit` from when the last byte was written.
pub(crate) async fn send_within(
    limit: Duration,
    connection: &mut Connection,
    request: &Outgoing<'_>,
    payload: &mut Option<Payload>,
) -> Result<Answer, Fault> {
    let marks = Rc::clone(connection.marks());
    let mut answer = Box::pin(connection.send(request, payload));
    let mut wait = limit;
    loop {
        if let Ok(answer) = timeout(wait, answer.as_mut()).await {
            return answer;
        }
        wait = left(limit, marks.sent(), Instant::now());
        if wait.is_zero() {
            let what = format!("timeout: the head of the response was not there within {limit:?} of the request's end");
            return Err(Fault::new(Class::Timeout, what));
        }
    }
}

/// How much longer to wait: for as long as bytes are being written, the limit has not begun.
fn left(limit: Duration, sent: Option<Instant>, now: Instant) -> Duration {
    sent.map_or(limit, |sent| limit.saturating_sub(now.saturating_duration_since(sent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_begins_with_the_end_of_the_request() {
        let (second, sent) = (Duration::from_secs(1), Instant::now());
        assert_eq!(left(second, None, sent), second);
        assert_eq!(left(second, Some(sent), sent + second / 4), second * 3 / 4);
        assert_eq!(left(second, Some(sent), sent + second), Duration::ZERO);
        assert_eq!(left(second, Some(sent), sent + second * 2), Duration::ZERO);
    }
}
