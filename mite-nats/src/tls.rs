//! What TLS with a server is made with: whom to believe, and who asks.
//! It is separate because the client's own configuration panics in a program that has two cryptographies for rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_nats::rustls::crypto::ring;
use async_nats::rustls::pki_types::pem::PemObject as _;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::{ClientConfig, RootCertStore};
use mite_core::bus::BusError;

use crate::options::Options;

/// The configuration of connections that turn out to need TLS.
///
/// # Errors
/// A file that cannot be read, or that has no certificate or key.
pub(crate) fn config(options: &Options) -> Result<ClientConfig, BusError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| BusError::other("failed to set TLS up").with_source(error))?
        .with_root_certificates(roots(&options.tls_roots)?);
    let Some((certificate, key)) = &options.client_certificate else { return Ok(builder.with_no_client_auth()) };
    let certificates = certificates(certificate, "certificate")?;
    let own = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "key").with_source(error))?;
    builder.with_client_auth_cert(certificates, own).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        BusError::invalid(format_args!("the key in {key} is not that of the certificate in {certificate}"))
            .with_source(error)
    })
}

/// The certificates in the files, or without any the system's.
fn roots(files: &[PathBuf]) -> Result<RootCertStore, BusError> {
    let mut roots = RootCertStore::empty();
    if files.is_empty() {
        // What the system has that is none signs no server: the connection will say so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for file in files {
        for certificate in certificates(file, "certificates")? {
            roots.add(certificate).map_err(|error| unreadable(file, "certificates").with_source(error))?;
        }
    }
    Ok(roots)
}

fn certificates(file: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, BusError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => {
            Err(BusError::invalid(format_args!("{} has no certificate in PEM", file.display())))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(file, what).with_source(error)),
    }
}

fn unreadable(file: &Path, what: &str) -> BusError {
    BusError::invalid(format_args!("failed to read the {what} in {}", file.display()))
}
