//! Over TLS, with certificates on both sides: what is needed is given by file, and what lacks is told.
//! Where nats-server is not installed, these tests say so; with `CI` in the environment they fail.

use std::fs;
use std::path::Path;

use mite_core::bus::{BusError, Fabric as _};
use mite_nats::testing::{Server, ServerOptions};
use mite_nats::{Nats, Options};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority, and what it has signed for a server and for a client, as files.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "mite's tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for (name, host, usage) in [
        ("server", "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", "ada", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join(format!("{name}.pem")), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A server whose configuration has this beside its certificate.
fn server(folder: &Path, more: &str) -> Option<Server> {
    let place = folder.display();
    let config = format!("tls {{ cert_file: \"{place}/server.pem\", key_file: \"{place}/server.key\", {more} }}");
    Server::start_with(&ServerOptions { config, ..ServerOptions::default() })
}

async fn refused(options: Options) -> BusError {
    match Nats::connect(options).await {
        Ok(nats) => panic!("it is connected to {}", nats.description()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_authority() {
    let folder = TempDir::new().unwrap();
    certificates(folder.path());
    let Some(server) = server(folder.path(), "") else { return };
    let url = format!("tls://{}", server.address());
    let error = refused(Options::new(&url)).await;
    assert!(error.to_string().starts_with(&format!("no TLS with {url}: give the certificates")), "{error}");
    assert!(error.is_invalid());
    let nats = Nats::connect(Options::new(&url).tls_roots(folder.path().join("ca.pem"))).await.unwrap();
    let register = nats.register("run7").await.unwrap();
    register.set_if("a", None, b"1".to_vec()).await.unwrap();
    assert_eq!(register.get("a").await.unwrap().unwrap().value, b"1");
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let folder = TempDir::new().unwrap();
    certificates(folder.path());
    let more = format!("ca_file: \"{}/ca.pem\", verify: true", folder.path().display());
    let Some(server) = server(folder.path(), &more) else { return };
    let file = |name: &str| folder.path().join(name);
    let options = Options::new(format!("tls://{}", server.address())).tls_roots(file("ca.pem"));
    let error = refused(options.clone()).await;
    assert!(error.to_string().contains(&server.address()), "{error}");
    let nats = Nats::connect(options.client_certificate(file("client.pem"), file("client.key"))).await.unwrap();
    nats.register("run7").await.unwrap();
}
