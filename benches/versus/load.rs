//! What a tool is asked to do.
//! It is separate because every tool says the same in words of its own.

/// One turn's work.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) body: Option<&'static str>,
    /// Open at the same time.
    pub(crate) connections: u32,
    /// Requests at the same time on each connection: more than one over HTTP/2 alone.
    pub(crate) streams: u32,
    pub(crate) seconds: u32,
}

impl Load {
    /// GET on 64 connections.
    pub(crate) fn get(url: String, seconds: u32) -> Self {
        Self { url, body: None, connections: 64, streams: 1, seconds }
    }

    /// Requests under way at the same time.
    pub(crate) fn running(&self) -> u32 {
        self.connections * self.streams
    }
}
