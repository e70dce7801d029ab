//! The settings of bodies: how large, and whether compressed.
//! They are a file of their own because they are decided together, by what the session and the request say.

use super::Settings;
use crate::{arriving::Wish, draft::options::Options};

/// What a response's body may have, unless told otherwise: 64 MiB.
pub(super) const MAX_BODY: u64 = 64 << 20;

impl Settings {
    /// How many bytes a response's body may have that is read whole, as they come and decoded. 64 MiB unless told
    /// otherwise; a larger one fails its request with class `body`.
    ///
    /// [`stream`](crate::Request::stream) and [`discard`](crate::Request::discard) have no limit.
    ///
    /// ```
    /// # use mite_http::Settings;
    /// let settings = Settings::new().max_body(1024 * 1024);
    /// ```
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Whether servers are told that bodies may come compressed, and bodies that do are decoded. They are not unless told
    /// otherwise: then `Content-Encoding` is the journey's matter.
    ///
    /// gzip, brotli, zstd and deflate are asked for, unless a request has an `Accept-Encoding` of its own.
    #[cfg(feature = "compression")]
    pub fn compression(mut self, compression: bool) -> Self {
        self.compression = compression;
        self
    }

    /// What is to become of the response's body, where the request itself says `said`.
    pub(crate) fn wish(&self, said: Option<&Options>) -> Wish {
        let decode = self.decodes(said);
        match said {
            None => Wish { max: self.max_body, discard: false, decode },
            Some(options) if options.discard => Wish { max: u64::MAX, discard: true, decode },
            Some(options) => Wish { max: options.max_body.unwrap_or(self.max_body), discard: false, decode },
        }
    }

    /// Whether compressed bodies are asked for and decoded.
    pub(crate) fn decodes(&self, said: Option<&Options>) -> bool {
        said.and_then(|options| options.compression).unwrap_or(self.compression)
    }
}
