//! https: the TLS layer between the socket and HTTP, or a plain refusal in a build without the feature `tls`.
//! It is separate so that nothing else of the crate asks whether the feature is on, but the wire and the settings.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod explained;
#[cfg(feature = "tls")]
mod verified;
#[cfg(feature = "tls")]
mod verifiers;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::Tls;
#[cfg(feature = "tls")]
pub(crate) use {explained::explained, verified::Tls};
