//! Whom a session trusts, and as whom it presents itself: certificates and keys, read from PEM.
//! It is separate from the TLS layer because it is what the user says, checked when it is said.

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// What a session says of TLS.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Trust {
    /// The user's own roots.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// Nobody but `roots` is trusted.
    pub(crate) only_roots: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) server_name: Option<ServerName<'static>>,
    pub(crate) min_version: TlsVersion,
    pub(crate) no_resumption: bool,
    pub(crate) accept_invalid: bool,
}

impl Trust {
    /// Trusts the certificates in `pem` too.
    pub(crate) fn add_roots(&mut self, pem: &[u8]) -> Result<(), String> {
        let certificates = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|error| format!("it cannot be a root: {error}"))?;
        }
        self.roots.extend(certificates);
        Ok(())
    }
}

/// A client certificate with its chain and its key.
#[derive(Clone)]
pub(crate) struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    /// Reads a chain, the client's own certificate first, and the key of that certificate.
    pub(crate) fn read(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = certificates(chain).map_err(|mistake| format!("the chain: {mistake}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => "the key: there is no private key in it; one in PEM begins with \
                 `-----BEGIN PRIVATE KEY-----`, or has RSA or EC before PRIVATE, and is not encrypted"
                .to_owned(),
            error => format!("the key: it is not PEM: {error}"),
        })?;
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "the key is not that of the chain's first certificate, which has to \
                 be the client's own"
                .to_owned(),
            error => format!("the key or its certificate cannot be used: {error}"),
        })?;
        Ok(Self(Arc::new(pair)))
    }
}

/// The chain holds the public key, and so tells keys apart.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.cert == other.0.cert
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// The certificates in `pem`, of which there is one at least.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("it is not PEM: {error}"))?;
    if read.is_empty() {
        return Err("there is no certificate in it; one in PEM begins with `-----BEGIN CERTIFICATE-----`".to_owned());
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, KeyPair, generate_simple_self_signed};

    use super::*;

    fn made() -> Made<KeyPair> {
        generate_simple_self_signed(["client.test".to_owned()]).unwrap()
    }

    #[test]
    fn a_pair_is_read_and_compared_by_its_chain() {
        let (one, two) = (made(), made());
        let read = |made: &Made<KeyPair>| {
            Identity::read(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
        };
        assert_eq!(read(&one), read(&one));
        assert_ne!(read(&one), read(&two));
    }

    /// Made by `openssl req -x509 -newkey rsa:2048` and `openssl ecparam -genkey`, with the keys in the forms of old.
    #[test]
    fn keys_are_read_in_each_of_their_forms() {
        const RSA_CERTIFICATE: &str = include_str!("trust/rsa.crt");
        const EC_CERTIFICATE: &str = include_str!("trust/ec.crt");
        for (form, certificate, key) in [
            ("PKCS#1", RSA_CERTIFICATE, include_str!("trust/rsa.pkcs1.key")),
            ("PKCS#8, RSA", RSA_CERTIFICATE, include_str!("trust/rsa.pkcs8.key")),
            ("SEC1", EC_CERTIFICATE, include_str!("trust/ec.sec1.key")),
            ("PKCS#8, EC", EC_CERTIFICATE, include_str!("trust/ec.pkcs8.key")),
        ] {
            Identity::read(certificate.as_bytes(), key.as_bytes())
                .unwrap_or_else(|mistake| panic!("{form}: {mistake}"));
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_in_words() {
        let (one, two) = (made(), made());
        let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let table = [
            ("", key.as_str(), "the chain: there is no certificate in it"),
            (key.as_str(), key.as_str(), "the chain: there is no certificate in it"),
            (certificate.as_str(), "", "the key: there is no private key in it"),
            (certificate.as_str(), certificate.as_str(), "the key: there is no private key in it"),
            ("-----BEGIN CERTIFICATE-----\nx", key.as_str(), "the chain: it is not PEM"),
            (&certificate, &two.signing_key.serialize_pem(), "the key is not that of the chain's first certificate"),
        ];
        for (chain, key, says) in table {
            let mistake = Identity::read(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(mistake.contains(says) && !mistake.contains("PRIVATE KEY-----\nM"), "{mistake}");
        }
    }

    #[test]
    fn roots_add_up_and_nonsense_is_refused() {
        let mut trust = Trust::default();
        trust.add_roots((made().cert.pem() + &made().cert.pem()).as_bytes()).unwrap();
        trust.add_roots(made().cert.pem().as_bytes()).unwrap();
        assert_eq!(trust.roots.len(), 3);
        for (pem, says) in [
            ("", "there is no certificate in it"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it cannot be a root"),
        ] {
            let mistake = trust.add_roots(pem.as_bytes()).unwrap_err();
            assert!(mistake.contains(says), "{mistake}");
        }
        assert_eq!(trust.roots.len(), 3);
    }

    #[test]
    fn a_key_is_never_shown() {
        let made = made();
        let identity = Identity::read(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity { certificates: 1, .. }");
    }
}
