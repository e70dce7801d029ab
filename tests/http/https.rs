//! Certificates are verified unless a journey says otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mite::prelude::*;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::common::accounted;

#[mite_http(base = "app_url")]
async fn log_in(ctx: &mut Context) -> Result {
    ctx.http().post("/session").basic_auth("ann", "secret").await?;
    Ok(())
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_before_anything_is_sent() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.into()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (tried, trusted) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = (Arc::clone(&tried), Arc::clone(&trusted));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.0.fetch_add(1, Ordering::Relaxed);
            let shaken = acceptor.accept(stream).await;
            counts.1.fetch_add(u64::from(shaken.is_ok()), Ordering::Relaxed);
        }
    });

    let scenario = Scenario::new().journey(log_in, NoData, constant(10, SECOND));
    let report = accounted(Run::new(scenario).config("app_url", &url)).await;

    assert_eq!(report.journey("log_in").failed, 10);
    let [requests] = &report.requests[..] else { panic!("{report}") };
    assert_eq!((requests.code, requests.error.as_deref(), requests.count), (0, Some("tls"), 10));
    let [error] = &report.errors[..] else { panic!("{report}") };
    let peer = url.trim_start_matches("https://");
    assert!(error.message.contains(&format!("failed the TLS handshake with {peer}")), "{}", error.message);
    assert!(error.message.contains("certificate"), "{}", error.message);
    assert_eq!((tried.load(Ordering::Relaxed), trusted.load(Ordering::Relaxed)), (10, 0));
}
