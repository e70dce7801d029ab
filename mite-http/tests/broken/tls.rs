//! Servers that break TLS.
