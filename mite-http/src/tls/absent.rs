//! What stands for TLS in a build without it.
//! It is separate so that the connector is the same in both builds.

use std::{fmt, sync::Arc};

use http::Version;
use url::Host;

use crate::{
    error::{Class, Fault},
    network::Network,
    wire::{Socket, Wire},
};

/// Refuses every https URL.
#[derive(Debug)]
pub(crate) struct Tls;

impl Tls {
    pub(crate) fn new(_: Arc<Network>) -> Self {
        Self
    }

    #[expect(clippy::unused_async, reason = "the signature is that of the build with TLS")]
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        Err(absent())
    }

    #[expect(clippy::unused_async, reason = "the signature is that of the build with TLS")]
    pub(crate) async fn secure(
        &self,
        _: &Host<&str>,
        _: &dyn fmt::Display,
        _: Socket,
    ) -> Result<(Wire, Version), Fault> {
        Err(absent())
    }

    #[expect(clippy::unused_async, reason = "the signature is that of the build with TLS")]
    pub(crate) async fn secure_proxy(&self, _: &Host<&str>, _: &dyn fmt::Display, _: Socket) -> Result<Socket, Fault> {
        Err(absent())
    }
}

fn absent() -> Fault {
    Fault::new(Class::Tls, "https needs the feature `tls`, which this build of mite-http does not have")
}
