//! TLS by rustls, with the server's certificate verified against the system's roots, or webpki's where there are none.
//! It is separate because reading the roots is done once for the whole process.

use std::{cell, net::IpAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{
    error::{Class, Fault},
    wire::{Socket, Wire},
};

/// The TLS of one worker.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    config: cell::OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// Trusts `roots` and nothing else.
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { config: trusting(roots).unwrap().into() }
    }

    /// Reads the trusted certificates, once in a process.
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        self.config().await.map(drop)
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
        let stream = TlsConnector::from(self.config().await?)
            .connect(name, socket)
            .await
            .map_err(|error| failed().because(error))?;
        Ok(Wire::tls(stream))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = of_the_process().await?;
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

/// The roots are read on another thread: it takes some milliseconds, far more in a build without optimization, for which
/// the worker's other journeys must not wait.
async fn of_the_process() -> Result<Arc<ClientConfig>, Fault> {
    static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let read = async || {
        let read = spawn_blocking(|| trusting(roots())).await;
        read.map_err(|error| Fault::new(Class::Tls, "failed to read the trusted certificates").because(error))?
    };
    CONFIG.get_or_try_init(read).await.cloned()
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
