//! What a failed handshake means, in words and with what to do about it.
//! It is separate because rustls says what happened, and a reader wants to know which setting, or whose mistake, it is.

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The meaning of `error`, where it is one of the usual ones.
pub(crate) fn explained(error: &io::Error) -> Option<String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => of_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Some("the server closed the connection in the middle of it; perhaps it does not speak TLS".into())
        }
        None => None,
    }
}

fn of_tls(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the server does not speak TLS on this port; perhaps the URL should begin with http://".into())
        }
        Error::AlertReceived(alert) => of_alert(*alert).map(Into::into),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => Some(VERSION.into()),
        _ => None,
    }
}

const VERSION: &str = "the server and the session have no version of TLS in common: mite speaks 1.2 and 1.3, and 1.3 \
     alone with .min_tls_version(TlsVersion::V1_3)";

const OTHERWISE: &str = ".danger_accept_invalid_certs(true) accepts it all the same";

fn of_certificate(error: &CertificateError) -> Option<String> {
    Some(match error {
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs()));
            format!("its certificate expired {} ago; {OTHERWISE}", rough(ago))
        }
        CertificateError::Expired => format!("its certificate has expired; {OTHERWISE}"),
        CertificateError::NotValidYetContext { time, not_before } => {
            let left = Duration::from_secs(not_before.as_secs().saturating_sub(time.as_secs()));
            format!("its certificate is not valid for another {}; {OTHERWISE}", rough(left))
        }
        CertificateError::NotValidYet => format!("its certificate is not valid yet; {OTHERWISE}"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| plain(name)).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            let expected = expected.to_str();
            format!(
                "its certificate is not valid for {expected}, but for {names}; .server_name(…) expects another name, and \
                 {OTHERWISE}"
            )
        }
        CertificateError::UnknownIssuer => {
            format!("its certificate is from nobody known; .root_certificate(…) trusts its issuer, and {OTHERWISE}")
        }
        CertificateError::BadSignature => format!(
            "its certificate was signed with another key than its issuer's; perhaps the root certificate was made anew, \
             and the session has the old one. {OTHERWISE}"
        ),
        CertificateError::Revoked => format!("its certificate was revoked; {OTHERWISE}"),
        // Older tools make these, when asked for a self-signed certificate.
        CertificateError::Other(error) if format!("{error:?}").contains("CaUsedAsEndEntity") => {
            format!("its certificate is that of a CA, which may sign others' and not be a server's own; {OTHERWISE}")
        }
        _ => return None,
    })
}

/// A name as webpki gives it, `DnsName("api.test")`, without what is around it.
fn plain(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"')
}

fn rough(span: Duration) -> String {
    let of = |count: u64, unit: &str| if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") };
    match span.as_secs() {
        seconds @ 0..60 => of(seconds, "second"),
        seconds @ 60..3_600 => of(seconds / 60, "minute"),
        seconds @ 3_600..172_800 => of(seconds / 3_600, "hour"),
        seconds => of(seconds / 86_400, "day"),
    }
}

fn of_alert(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => {
            "the server requires a client certificate: .client_certificate(…) presents one"
        }
        AlertDescription::HandshakeFailure => {
            "the server found nothing in common, or requires a client certificate, which .client_certificate(…) presents"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => {
            "the server does not accept the session's client certificate, or misses one: see .client_certificate(…)"
        }
        AlertDescription::CertificateExpired => "the server says that the session's client certificate has expired",
        AlertDescription::CertificateRevoked => "the server says that the session's client certificate was revoked",
        AlertDescription::ProtocolVersion => VERSION,
        AlertDescription::UnrecognisedName => {
            "the server does not know the name that it was asked for; .server_name(…) asks for another"
        }
        AlertDescription::NoApplicationProtocol => {
            "the server speaks none of the versions of HTTP that were offered; see .http_version(…)"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn the_usual_failures_have_a_meaning() {
        let certificate = |error: CertificateError| Error::InvalidCertificate(error);
        let presented = |names: &[&str]| {
            certificate(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("api.test").unwrap(),
                presented: names.iter().map(|name| (*name).to_owned()).collect(),
            })
        };
        let expired = |ago: u64| certificate(CertificateError::ExpiredContext { time: at(ago + 7), not_after: at(7) });
        let table = [
            (expired(259_200), "its certificate expired 3 days ago"),
            (expired(3_600), "its certificate expired 1 hour ago"),
            (expired(60), "its certificate expired 1 minute ago"),
            (expired(0), "its certificate expired 0 seconds ago"),
            (
                certificate(CertificateError::NotValidYetContext { time: at(0), not_before: at(600) }),
                "its certificate is not valid for another 10 minutes",
            ),
            (
                presented(&["DnsName(\"a.test\")", "IpAddress(127.0.0.1)"]),
                "not valid for api.test, but for a.test, 127.0.0.1; .server_name(…)",
            ),
            (presented(&[]), "not valid for api.test, but for no name at all"),
            (certificate(CertificateError::UnknownIssuer), "from nobody known; .root_certificate(…)"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "requires a client certificate"),
            (Error::AlertReceived(AlertDescription::ProtocolVersion), "no version of TLS in common"),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS on this port"),
        ];
        for (error, says) in table {
            let meaning = explained(&io::Error::other(error)).unwrap();
            assert!(meaning.contains(says), "{meaning}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_its_cause() {
        assert_eq!(explained(&io::Error::other(Error::DecryptError)), None);
        assert_eq!(explained(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
        let cut = explained(&io::Error::from(io::ErrorKind::UnexpectedEof)).unwrap();
        assert!(cut.contains("closed the connection"), "{cut}");
    }
}
