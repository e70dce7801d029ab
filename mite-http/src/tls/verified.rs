//! TLS by rustls, with the server's certificate verified against the system's roots, or webpki's where there are none.
//! It is separate because reading the roots is done once for the whole process.

use std::{
    cell::OnceCell,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{
    error::{Class, Fault},
    wire::{Socket, Wire},
};

/// The TLS of one worker.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// Trusts `roots` and nothing else.
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { config: trusting(roots).unwrap().into() }
    }

    /// Reads the trusted certificates, which takes a few milliseconds the first time in a process.
    pub(crate) fn prepare(&self) -> Result<(), Fault> {
        self.config().map(drop)
    }

    /// Shakes hands with the server of `url` over `socket`.
    pub(crate) async fn secure(&self, url: &Url, socket: Socket) -> Result<Wire, Fault> {
        let failed = || {
            let peer = &url[url::Position::BeforeHost..url::Position::AfterPort];
            Fault::new(Class::Tls, format!("failed the TLS handshake with {peer}"))
        };
        let name = match url.host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|error| failed().because(error))?
            }
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).into(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).into(),
            None => return Err(failed().because("the URL has no host")),
        };
        let stream =
            TlsConnector::from(self.config()?).connect(name, socket).await.map_err(|error| failed().because(error))?;
        Ok(Wire::tls(stream))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = of_the_process()?;
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

fn of_the_process() -> Result<Arc<ClientConfig>, Fault> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = trusting(roots())?;
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(Class::Tls, "failed to set up TLS").because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // A store may hold certificates that rustls does not understand; the others serve all the same.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
