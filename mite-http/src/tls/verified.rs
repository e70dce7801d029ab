//! TLS by rustls: the configuration of one worker's handshakes, and the handshakes.
//! It is separate because what is costly about it is done once: reading the roots in a process, the rest in a connector.

use std::{cell::OnceCell, fmt, io, net::IpAddr, sync::Arc};

use http::Version;
use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    sign::SingleCertAndKey,
    version::TLS13,
};
use tokio::task::spawn_blocking;
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use super::{
    explained::explained,
    verifiers::{EitherOf, Unverified},
};
use crate::{
    error::{Class, Fault},
    network::{
        HTTP2, Network,
        trust::{TlsVersion, Trust},
    },
    wire::{Socket, Wire},
};

/// How many sessions may be taken up again: rustls keeps up to 8 for a server, and so up to 8 servers.
const RESUMABLE: usize = 64;

/// The TLS of one worker's connections that share a network.
#[derive(Debug)]
pub(crate) struct Tls {
    network: Arc<Network>,
    config: OnceCell<Arc<ClientConfig>>,
    proxy_config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn new(network: Arc<Network>) -> Self {
        Self { network, config: OnceCell::new(), proxy_config: OnceCell::new() }
    }

    /// Does what takes time once: the trusted certificates are read, and the configuration is made.
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        if self.config.get().is_some() {
            return Ok(());
        }
        self.config().await.map(drop)
    }

    /// Shakes hands with `host` over `socket`; what is spoken then is what the server chose.
    pub(crate) async fn secure(
        &self,
        host: &Host<&str>,
        peer: &dyn fmt::Display,
        socket: Socket,
    ) -> Result<(Wire, Version), Fault> {
        let name = match &self.network.trust.server_name {
            Some(name) => name.clone(),
            None => server_name(host, peer)?,
        };
        let stream = handshake(self.config().await?, name, peer, socket).await?;
        let spoken = self.network.http_version.spoken(stream.get_ref().1.alpn_protocol());
        Ok((Wire::tls(stream), spoken))
    }

    /// Shakes hands with a proxy, which is trusted as servers are, and not told who asks.
    pub(crate) async fn secure_proxy(
        &self,
        host: &Host<&str>,
        peer: &dyn fmt::Display,
        socket: Socket,
    ) -> Result<Socket, Fault> {
        let config = if let Some(config) = self.proxy_config.get() {
            Arc::clone(config)
        } else {
            let trust = Trust { identity: None, ..self.network.trust.clone() };
            let config = configured(&trust, &[]).await?;
            Arc::clone(self.proxy_config.get_or_init(|| config))
        };
        handshake(config, server_name(host, peer)?, peer, socket).await.map(Socket::within)
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let offers = self.network.http_version.offers(HTTP2);
        let config = configured(&self.network.trust, offers).await?;
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

fn server_name(host: &Host<&str>, peer: &dyn fmt::Display) -> Result<ServerName<'static>, Fault> {
    match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|error| {
            let what = format!("failed the TLS handshake with {peer}: no certificate can be valid for such a name");
            Fault::new(Class::Tls, what).because(error)
        }),
        Host::Ipv4(ip) => Ok(IpAddr::from(*ip).into()),
        Host::Ipv6(ip) => Ok(IpAddr::from(*ip).into()),
    }
}

async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    peer: &dyn fmt::Display,
    socket: Socket,
) -> Result<TlsStream<Socket>, Fault> {
    let shaken = TlsConnector::from(config).connect(name, socket).await;
    shaken.map_err(|error: io::Error| {
        let meaning = explained(&error).map_or(String::new(), |meaning| format!(": {meaning}"));
        Fault::new(Class::Tls, format!("failed the TLS handshake with {peer}{meaning}")).because(error)
    })
}

/// What the default trust of every connector stands on.
#[derive(Debug)]
struct OfTheProcess {
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl OfTheProcess {
    /// The roots are read on another thread: it takes some milliseconds, far more in a build without optimization, for
    /// which the worker's other journeys must not wait.
    async fn get() -> Result<&'static Self, Fault> {
        static READ: tokio::sync::OnceCell<OfTheProcess> = tokio::sync::OnceCell::const_new();
        READ.get_or_try_init(async || {
            let failed = || Fault::new(Class::Tls, "failed to read the trusted certificates");
            let roots = spawn_blocking(roots).await.map_err(|error| failed().because(error))?;
            let provider = Arc::new(ring::default_provider());
            let verifier = trusting(roots, &provider).map_err(|error| failed().because(error))?;
            Ok(Self { provider, verifier })
        })
        .await
    }
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

fn trusting(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
}

/// A configuration of its own for `trust`. Unless that is the default, the process's roots are only looked at where they
/// are asked for; they are never copied.
async fn configured(trust: &Trust, offers: &[&[u8]]) -> Result<Arc<ClientConfig>, Fault> {
    let failed = || Fault::new(Class::Tls, "failed to set up TLS");
    let mut own = RootCertStore::empty();
    for root in &trust.roots {
        own.add(root.clone()).map_err(|error| failed().because(error))?;
    }
    let by_default = !trust.accept_invalid && !trust.only_roots;
    let (provider, verifier): (_, Arc<dyn ServerCertVerifier>) = if by_default {
        let OfTheProcess { provider, verifier } = OfTheProcess::get().await?;
        if own.is_empty() {
            (Arc::clone(provider), Arc::clone(verifier) as _)
        } else {
            let own = trusting(own, provider).map_err(|error| failed().because(error))?;
            (Arc::clone(provider), Arc::new(EitherOf(own, Arc::clone(verifier))))
        }
    } else {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if trust.accept_invalid {
            Arc::new(Unverified(provider.signature_verification_algorithms))
        } else {
            trusting(own, &provider).map_err(|error| failed().because(error))?
        };
        (provider, verifier)
    };

    let versions = match trust.min_version {
        TlsVersion::V1_2 => DEFAULT_VERSIONS,
        TlsVersion::V1_3 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| failed().because(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &trust.identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.0)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = offers.iter().map(|offer| offer.to_vec()).collect();
    config.resumption =
        if trust.no_resumption { Resumption::disabled() } else { Resumption::in_memory_sessions(RESUMABLE) };
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
