//! What a session's settings say of TLS: whom it trusts, and as whom it presents itself.
//! It is separate because a build without the feature `tls` does not have it.

use std::{fs, path::Path};

use rustls::pki_types::ServerName;

use super::Settings;
use crate::network::trust::{Identity, TlsVersion};

impl Settings {
    /// Trusts the certificates in `pem` besides the default roots: a CA of one's own, or a server's self-signed
    /// certificate.
    ///
    /// PEM that holds no certificate fails every request of the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()])?;
    /// # let pem = made.cert.pem();
    /// let settings = Settings::new().root_certificate(pem);
    /// # let _ = settings;
    /// # Ok::<(), rcgen::Error>(())
    /// ```
    pub fn root_certificate(self, pem: impl AsRef<[u8]>) -> Self {
        self.with_network(|network| {
            let added = network.trust.add_roots(pem.as_ref());
            added.map_err(|mistake| format!("the session's root certificate: {mistake}"))
        })
    }

    /// The same from a file, which is read now: for many sessions, make the settings once and clone them.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().root_certificate_file("tests/ca.pem");
    /// ```
    pub fn root_certificate_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.with_network(|network| {
            let added = read(path).and_then(|pem| network.trust.add_roots(&pem));
            added.map_err(|mistake| format!("the session's root certificate, {}: {mistake}", path.display()))
        })
    }

    /// Trusts the certificates in `pem` in the place of the default roots, which are not read then. Those of
    /// [`root_certificate`](Self::root_certificate) are trusted as well.
    pub fn only_root_certificates(self, pem: impl AsRef<[u8]>) -> Self {
        self.with_network(|network| {
            network.trust.only_roots = true;
            let added = network.trust.add_roots(pem.as_ref());
            added.map_err(|mistake| format!("the session's root certificates: {mistake}"))
        })
    }

    /// The same from a file, which is read now: for many sessions, make the settings once and clone them.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().only_root_certificates_file("tests/ca.pem");
    /// ```
    pub fn only_root_certificates_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.with_network(|network| {
            network.trust.only_roots = true;
            let added = read(path).and_then(|pem| network.trust.add_roots(&pem));
            added.map_err(|mistake| format!("the session's root certificates, {}: {mistake}", path.display()))
        })
    }

    /// The certificate that the session presents to a server that asks for one: its chain, the session's own certificate
    /// first, and the key of that (PKCS#8, PKCS#1 or SEC1), in PEM.
    ///
    /// Sessions with different certificates share no connections. A pair that does not belong together fails every
    /// request of the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use mite_http::Settings;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["ann".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let settings = Settings::new().client_certificate(chain, key);
    /// # let _ = settings;
    /// # Ok::<(), rcgen::Error>(())
    /// ```
    pub fn client_certificate(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.with_network(|network| {
            let identity = Identity::read(chain.as_ref(), key.as_ref());
            let identity = identity.map_err(|mistake| format!("the session's client certificate: {mistake}"))?;
            network.trust.identity = Some(identity);
            Ok(())
        })
    }

    /// The same from files, which are read now: for many sessions, make the settings once and clone them.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().client_certificate_files("client.pem", "client-key.pem");
    /// ```
    pub fn client_certificate_files(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        self.with_network(|network| {
            let named = |path: &Path| read(path).map_err(|mistake| format!("{}: {mistake}", path.display()));
            let identity = named(chain).and_then(|chain| Identity::read(&chain, &named(key)?));
            let identity = identity.map_err(|mistake| {
                format!("the session's client certificate, {} and {}: {mistake}", chain.display(), key.display())
            })?;
            network.trust.identity = Some(identity);
            Ok(())
        })
    }

    /// The name that is sent to servers as theirs (SNI), and that their certificates have to be valid for, in the place of
    /// the URL's host. An IP address is not sent.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().server_name("shop.example");
    /// ```
    pub fn server_name(self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        self.with_network(|network| {
            let parsed = ServerName::try_from(name.to_owned())
                .map_err(|error| format!("the session's server name: `{name}` is none: {error}"))?;
            network.trust.server_name = Some(parsed);
            Ok(())
        })
    }

    /// The oldest version of TLS that is spoken. [`TlsVersion::V1_2`] unless told otherwise.
    pub fn min_tls_version(self, version: TlsVersion) -> Self {
        self.with_network(|network| {
            network.trust.min_version = version;
            Ok(())
        })
    }

    /// Whether a handshake may take up where an earlier one to the same server has ended, which costs both ends less.
    /// `true` unless told otherwise; with `false` every handshake is a full one, as that of a new user.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().tls_session_resumption(false);
    /// ```
    pub fn tls_session_resumption(self, resumption: bool) -> Self {
        self.with_network(|network| {
            network.trust.no_resumption = !resumption;
            Ok(())
        })
    }

    /// Whether any certificate is accepted: expired, for another name, from nobody known. `false` unless told otherwise.
    ///
    /// Whoever is between here and the server can then read and change everything, passwords and client certificates'
    /// sessions included. A server's own certificate is better trusted by
    /// [`root_certificate`](Self::root_certificate).
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().danger_accept_invalid_certs(true);
    /// ```
    pub fn danger_accept_invalid_certs(self, accept: bool) -> Self {
        self.with_network(|network| {
            network.trust.accept_invalid = accept;
            Ok(())
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("failed to read it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_setting_and_the_file() {
        let missing = Path::new("/no/such/file.pem");
        let table = [
            (Settings::new().root_certificate("x"), "the session's root certificate: there is no certificate in it"),
            (
                Settings::new().root_certificate_file(missing),
                "the session's root certificate, /no/such/file.pem: failed to read it: No such file",
            ),
            (Settings::new().only_root_certificates("x"), "the session's root certificates: there is no certificate"),
            (
                Settings::new().only_root_certificates_file(missing),
                "the session's root certificates, /no/such/file.pem: failed to read it",
            ),
            (Settings::new().client_certificate("x", "y"), "the session's client certificate: the chain: there is no"),
            (
                Settings::new().client_certificate_files(missing, "/key.pem"),
                "the session's client certificate, /no/such/file.pem and /key.pem: /no/such/file.pem: failed to read it",
            ),
            (Settings::new().server_name("no name"), "the session's server name: `no name` is none"),
        ];
        for (settings, says) in table {
            let mistake = settings.mistake.unwrap();
            assert!(mistake.starts_with(says), "{mistake}");
        }
    }

    #[test]
    fn sessions_with_different_certificates_do_not_share_connections() {
        let made = || {
            let made = rcgen::generate_simple_self_signed(["ann".to_owned()]).unwrap();
            Settings::new().client_certificate(made.cert.pem(), made.signing_key.serialize_pem())
        };
        let (ann, bob) = (made(), made());
        assert_eq!(ann.mistake, None);
        assert_eq!(ann, ann.clone());
        assert_ne!(ann.network(), bob.network());
        assert_ne!(Settings::new().root_certificate(""), Settings::new().danger_accept_invalid_certs(true));
    }
}
