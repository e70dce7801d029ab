//! Which certificates https trusts: the system's roots, or webpki's where there are none.
//! It is separate because it is built once for the whole process, and is all that the feature `tls` adds besides the
//! handshake.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use crate::error::{Class, Fault};

/// The configuration with which certificates are verified. The first call reads the system's roots, which takes a few
/// milliseconds.
pub(crate) fn verified() -> Result<Arc<ClientConfig>, Fault> {
    static VERIFIED: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = VERIFIED.get() {
        return Ok(Arc::clone(config));
    }
    let config = trusting(roots())?;
    Ok(Arc::clone(VERIFIED.get_or_init(|| config)))
}

/// A configuration that trusts `roots` and nothing else.
pub(crate) fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, Fault> {
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
