//! TLS servers and certificate authorities for the tests of this crate, which tell what their clients have said.
//! They are separate from the plain servers because each test says with which certificate and which versions they run.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::peers::{Peer, ok};

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    key: Vec<u8>,
}

impl Pair {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
        }
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
}

impl Authority {
    /// One whose name no other has.
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!("Authority {}", MADE.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        Self { certificate: made.der().clone(), pem: made.pem(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.sign(names, |_| {})
    }

    /// A certificate that was valid throughout the year 2000.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Pair {
        self.sign(names, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2000, 12, 31);
        })
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair::new(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

/// A certificate that nobody but itself vouches for.
pub(crate) fn self_signed(name: &str, is_ca: bool) -> Pair {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    Pair::new(&params.self_signed(&key).unwrap(), &key)
}

/// What a server presents and asks for.
pub(crate) struct Setup<'a> {
    pub(crate) pair: &'a Pair,
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    pub(crate) alpn: &'static [&'static [u8]],
    /// Whose clients are let in, if not everybody's.
    pub(crate) clients: Option<&'a Authority>,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(pair: &'a Pair) -> Self {
        Self { pair, versions: rustls::ALL_VERSIONS, alpn: &[], clients: None }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(self.versions).unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivatePkcs8KeyDer::from(self.pair.key.clone());
        let mut config = builder.with_single_cert(vec![self.pair.certificate.clone()], key.into()).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|offer| offer.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a client said in its handshake, or why there was none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) kind: Option<HandshakeKind>,
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) client: Option<CertificateDer<'static>>,
}

/// A server in the runtime of its test, stopped when dropped. It answers each request with its first line.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    seen: Rc<RefCell<Vec<Result<Seen, String>>>>,
    task: JoinHandle<()>,
}

impl TlsServer {
    pub(crate) async fn start(setup: Setup<'_>) -> Self {
        let acceptor = setup.acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let notes = Rc::clone(&seen);
        let task = tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(serve(acceptor.clone(), stream, Rc::clone(&notes)));
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn url(&self, host: &str) -> Url {
        format!("https://{host}:{}/", self.address.port()).parse().unwrap()
    }

    /// What each client has said, or why it was turned away, in the order of the handshakes' ends.
    pub(crate) fn seen(&self) -> Vec<Result<Seen, String>> {
        self.seen.borrow().clone()
    }
}

/// Shakes hands on `stream` and answers what is asked on it.
pub(crate) async fn serve(
    acceptor: TlsAcceptor,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    notes: Rc<RefCell<Vec<Result<Seen, String>>>>,
) {
    match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => {
            let (_, connection) = stream.get_ref();
            notes.borrow_mut().push(Ok(Seen {
                name: connection.server_name().map(ToOwned::to_owned),
                alpn: connection.alpn_protocol().map(ToOwned::to_owned),
                kind: connection.handshake_kind(),
                version: connection.protocol_version(),
                client: connection.peer_certificates().map(|chain| chain[0].clone().into_owned()),
            }));
            Peer::new(stream).serve(|received| ok(received.line())).await;
        }
        Err((error, mut stream)) => {
            notes.borrow_mut().push(Err(error.to_string()));
            // Closed only when the client has closed: a reset could overtake the alert that says why.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
