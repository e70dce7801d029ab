//! Certificate authorities, what they sign, and the TLS of servers that have it.

use std::{io::Read as _, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::rustls::{
    ALL_VERSIONS, ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

use super::scripted::{Peer, Received};

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Pair {
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The TLS of a server with this certificate.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(ALL_VERSIONS).unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![self.certificate.der().clone()], key.into()).unwrap())
    }
}

/// A certificate authority.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this name.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.sign(name, |_| ())
    }

    /// A certificate that was valid throughout the year 2000.
    pub(crate) fn issue_expired(&self, name: &str) -> Pair {
        self.sign(name, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2000, 12, 31);
        })
    }

    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

/// The server's end of a connection over TLS.
pub(crate) type Secured = StreamOwned<ServerConnection, std::net::TcpStream>;

/// Shakes hands; none if that fails.
pub(crate) fn shake_hands(peer: &Peer, server: &Arc<ServerConfig>) -> Option<Secured> {
    let mut stream = peer.stream();
    let mut connection = ServerConnection::new(Arc::clone(server)).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            // What it has to say about that, it says.
            let _ = connection.write_tls(&mut stream);
            return None;
        }
    }
    Some(StreamOwned::new(connection, stream))
}

/// The next request over TLS, which has no body.
pub(crate) fn request(stream: &mut Secured) -> Option<Received> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(Received { head: String::from_utf8(head).ok()?, body: Vec::new() })
}
