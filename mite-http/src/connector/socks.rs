//! SOCKS5 as a client speaks it: RFC 1928, and RFC 1929 for credentials.
//! It is separate from the tunnels because it is a protocol of its own, and all that is known of its bytes is here.

use std::{error::Error, fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use url::Host;

use crate::network::proxy::Credentials;

const VERSION: u8 = 5;

/// That of the credentials' own exchange.
const CREDENTIALS_VERSION: u8 = 1;

const NO_CREDENTIALS: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

const CONNECT: u8 = 1;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

const DONE: u8 = 0;

/// Why a proxy did not connect.
#[derive(Debug)]
pub(super) enum Refused {
    /// The exchange broke off.
    Io(io::Error),
    /// It answers in another protocol.
    NotSocks,
    /// It takes none of the ways to sign in that it was offered.
    NoWayIn,
    Credentials,
    /// Its reply has this code.
    Reply(u8),
    /// What it would be told has more bytes than there is room for.
    TooLong,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "the exchange broke off",
            Self::NotSocks => "it does not answer in SOCKS5",
            Self::NoWayIn => "no acceptable way to sign in",
            Self::Credentials => "user and password not accepted",
            Self::Reply(1) => "general failure",
            Self::Reply(2) => "connection not allowed by its rules",
            Self::Reply(3) => "network unreachable",
            Self::Reply(4) => "host unreachable",
            Self::Reply(5) => "connection refused",
            Self::Reply(6) => "TTL expired",
            Self::Reply(7) => "command not supported",
            Self::Reply(8) => "type of address not supported",
            Self::Reply(code) => return write!(f, "reply {code}, which has no meaning"),
            Self::TooLong => "SOCKS5 has no room for more than 255 bytes",
        })
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Has the proxy at the other end of `stream` connect to `port` of `host`. Nothing is read beyond its reply.
pub(super) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
    host: &Host<&str>,
    port: u16,
) -> Result<(), Refused> {
    let offered: &[u8] = if credentials.is_some() { &[NO_CREDENTIALS, USER_AND_PASSWORD] } else { &[NO_CREDENTIALS] };
    let mut greeting = vec![VERSION];
    push(&mut greeting, offered)?;
    say(stream, &greeting).await?;
    match (hear(stream, VERSION).await?, credentials) {
        (NO_CREDENTIALS, _) => {}
        (USER_AND_PASSWORD, Some(Credentials { user, password })) => {
            let mut credentials = vec![CREDENTIALS_VERSION];
            push(&mut credentials, user.as_bytes())?;
            push(&mut credentials, password.as_bytes())?;
            say(stream, &credentials).await?;
            if hear(stream, CREDENTIALS_VERSION).await? != DONE {
                return Err(Refused::Credentials);
            }
        }
        _ => return Err(Refused::NoWayIn),
    }

    say(stream, &request(host, port)?).await?;
    match hear(stream, VERSION).await? {
        DONE => {}
        code => return Err(Refused::Reply(code)),
    }
    // The proxy's own address and port, which nobody needs.
    let mut kind = [0; 2];
    stream.read_exact(&mut kind).await?;
    let address = match kind {
        [_, IPV4] => 4,
        [_, NAME] => usize::from(stream.read_u8().await?),
        [_, IPV6] => 16,
        _ => return Err(Refused::NotSocks),
    };
    stream.read_exact(&mut [0; 255 + 2][..address + 2]).await?;
    Ok(())
}

fn request(host: &Host<&str>, port: u16) -> Result<Vec<u8>, Refused> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host {
        Host::Domain(name) => {
            request.push(NAME);
            push(&mut request, name.as_bytes())?;
        }
        Host::Ipv4(address) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Host::Ipv6(address) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// Adds these bytes, with their number before them.
fn push(message: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Refused> {
    message.push(u8::try_from(bytes.len()).map_err(|_| Refused::TooLong)?);
    message.extend(bytes);
    Ok(())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    stream.flush().await
}

/// What each answer begins with: its version, and one byte that decides.
async fn hear(stream: &mut (impl AsyncRead + Unpin), version: u8) -> Result<u8, Refused> {
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    let [answered, decides] = answer;
    if answered == version { Ok(decides) } else { Err(Refused::NotSocks) }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What comes of a proxy that says `says`, what it was told, and what is left to read.
    async fn told(
        says: &[u8],
        credentials: Option<(&str, &str)>,
        host: &Host<&str>,
    ) -> (Result<(), Refused>, Vec<u8>, Vec<u8>) {
        let (mut ours, mut proxys) = duplex(1 << 10);
        proxys.write_all(says).await.unwrap();
        proxys.shutdown().await.unwrap();
        let credentials =
            credentials.map(|(user, password)| Credentials { user: user.to_owned(), password: password.to_owned() });
        let outcome = connect(&mut ours, credentials.as_ref(), host, 443).await;
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        drop(ours);
        let mut told = Vec::new();
        proxys.read_to_end(&mut told).await.unwrap();
        (outcome, told, rest)
    }

    #[tokio::test]
    async fn a_proxy_is_told_whom_to_connect_to_and_no_byte_too_much_is_read() {
        let address = Host::Ipv4([10, 0, 0, 7].into());
        let to_address = [5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 7, 1, 187];
        let replies: [&[u8]; 4] = [
            &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80],
            &[5, 0, 0, 3, 2, b'a', b'b', 0, 80],
            &[5, 0, 0, 3, 0, 0, 80],
            &[5, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80],
        ];
        for reply in replies {
            let says = [&[5, 0], reply, b"rest"].concat();
            let (outcome, told, rest) = told(&says, None, &address).await;
            outcome.unwrap();
            assert_eq!((told.as_slice(), rest.as_slice()), (to_address.as_slice(), b"rest".as_slice()), "{reply:?}");
        }
        let longest = [&[5, 0, 5, 0, 0, 3, 255], [b'a'; 255].as_slice(), &[0, 80]].concat();
        let (outcome, _, rest) = told(&longest, None, &address).await;
        outcome.unwrap();
        assert_eq!(rest, b"");

        let (outcome, told_name, _) = told(&[&[5, 0], replies[0]].concat(), None, &Host::Domain("a.test")).await;
        outcome.unwrap();
        assert_eq!(told_name, [&[5, 1, 0, 5, 1, 0, 3, 6], b"a.test".as_slice(), &[1, 187]].concat());
        let (outcome, told_v6, _) = told(&[&[5, 0], replies[0]].concat(), None, &Host::Ipv6(1_u128.into())).await;
        outcome.unwrap();
        assert_eq!(told_v6[3..], [5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187]);
    }

    #[tokio::test]
    async fn credentials_are_said_where_they_are_asked_for() {
        let address = Host::Ipv4([10, 0, 0, 7].into());
        let request = [5, 1, 0, 1, 10, 0, 0, 7, 1, 187];
        let reply = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80];
        let ann = Some(("ann", "secret"));
        let (outcome, said, _) = told(&[&[5, 2, 1, 0], reply.as_slice()].concat(), ann, &address).await;
        outcome.unwrap();
        assert_eq!(said, [&[5, 2, 0, 2, 1, 3], b"ann".as_slice(), &[6], b"secret", &request].concat());
        let (outcome, said, _) = told(&[&[5, 0], reply.as_slice()].concat(), ann, &address).await;
        outcome.unwrap();
        assert_eq!(said, [&[5, 2, 0, 2], request.as_slice()].concat());
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_apart() {
        type Case = (&'static [u8], Option<(&'static str, &'static str)>, &'static str);
        let ann = Some(("ann", "secret"));
        let table: [Case; 12] = [
            (b"", None, "the exchange broke off"),
            (&[5], None, "the exchange broke off"),
            (&[5, 0, 5, 0, 0, 1, 127], None, "the exchange broke off"),
            (b"HTTP/1.1 400 Bad Request", None, "it does not answer in SOCKS5"),
            (&[4, 0], None, "it does not answer in SOCKS5"),
            (&[5, 0, 5, 0, 0, 9], None, "it does not answer in SOCKS5"),
            (&[5, 255], ann, "no acceptable way to sign in"),
            // Not offered.
            (&[5, 2], None, "no acceptable way to sign in"),
            (&[5, 2, 1, 1], ann, "user and password not accepted"),
            (&[5, 2, 5, 0], ann, "it does not answer in SOCKS5"),
            (&[5, 0, 5, 5], None, "connection refused"),
            (&[5, 0, 5, 99], None, "reply 99, which has no meaning"),
        ];
        for (says, credentials, why) in table {
            let (outcome, ..) = told(says, credentials, &Host::Domain("a.test")).await;
            assert_eq!(outcome.unwrap_err().to_string(), why, "{says:?}");
        }
        let long = "a".repeat(256);
        let (outcome, said, _) = told(&[5, 0], None, &Host::Domain(&long)).await;
        assert!(matches!(outcome, Err(Refused::TooLong)));
        assert_eq!(said, [5, 1, 0]);
    }
}
