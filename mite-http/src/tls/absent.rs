//! What stands for TLS in a build without it.
//! It is separate so that the connector is the same in both builds.

use url::Url;

use crate::{
    error::{Class, Fault},
    wire::{Socket, Wire},
};

/// Refuses every https URL.
#[derive(Debug, Default)]
pub(crate) struct Tls;

impl Tls {
    #[expect(clippy::unused_async, reason = "the signature is that of the build with TLS")]
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        Err(absent())
    }

    #[expect(clippy::unused_async, reason = "the signature is that of the build with TLS")]
    pub(crate) async fn secure(&self, _: &Url, _: Socket) -> Result<Wire, Fault> {
        Err(absent())
    }
}

fn absent() -> Fault {
    Fault::new(Class::Tls, "https needs the feature `tls`, which this build of mite-http does not have")
}
