//! Forms of several parts, files among them, as browsers send them (RFC 7578).
//! It is separate from the body because the parts have names and types, and a boundary that none of them contains.

use std::{borrow::Cow, path::Path};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};

use crate::{body::Body, headers};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A form of several parts, for [`Request::multipart`](crate::Request::multipart).
///
/// It is sent with `Content-Length` unless one of its parts has no known length.
///
/// # Examples
///
/// ```no_run
/// use mite_core::{Context, Result};
/// use mite_http::{HttpContext, Multipart};
///
/// async fn upload(ctx: &mut Context) -> Result {
///     let form = Multipart::new().text("title", "A film").file("film", "film.mp4");
///     ctx.http().post("http://localhost:8080/films").multipart(form).await?.error_for_status()?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Default)]
#[must_use = "a form is sent by the request that has it"]
pub struct Multipart {
    parts: Vec<(String, Part)>,
}

/// One part of a form: a body with headers.
///
/// # Examples
///
/// ```
/// use mite_http::{Body, Multipart, Part};
///
/// let photo = Part::new(Body::file("photos/1.jpg")).file_name("ann.jpg").content_type("image/jpeg");
/// let form = Multipart::new().text("name", "Ann").part("photo", photo);
/// # let _ = form;
/// ```
#[derive(Debug)]
#[must_use = "a part is sent by the form that it is added to"]
pub struct Part {
    body: Body,
    file_name: Option<String>,
    headers: HeaderMap,
    mistake: Option<String>,
}

impl Multipart {
    /// A form without parts.
    ///
    /// ```
    /// # use mite_http::{Multipart, Part};
    /// let form = Multipart::new().text("title", "a film").file("film", "film.mp4");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    ///
    /// ```
    /// # use mite_http::Multipart;
    /// let form = Multipart::new().text("title", "a film");
    /// ```
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::new(value.into()))
    }

    /// Adds a file whose contents are these bytes.
    ///
    /// ```
    /// # use mite_http::Multipart;
    /// let form = Multipart::new().bytes("film", "film.mp4", "video/mp4", vec![0; 1024]);
    /// ```
    pub fn bytes(
        self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        content_type: impl TryInto<HeaderValue, Error: Into<http::Error>>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        self.part(name, Part::new(bytes.into()).file_name(file_name).content_type(content_type))
    }

    /// Adds a file of this machine under its own name, as `application/octet-stream`. [`Part`] sends it with another.
    ///
    /// ```
    /// # use mite_http::Multipart;
    /// let form = Multipart::new().file("film", "film.mp4");
    /// ```
    pub fn file(self, name: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.part(name, Part::new(Body::file(path)).file_name(file_name))
    }

    /// Adds a part.
    ///
    /// ```
    /// # use mite_http::{Multipart, Part};
    /// let film = Part::new("…").file_name("film.mp4").content_type("video/mp4");
    /// let form = Multipart::new().part("film", film);
    /// ```
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The type and the body of the request that sends this form; or what is wrong with it.
    pub(crate) fn into_body(self) -> Result<(HeaderValue, Body), String> {
        if let Some((name, mistake)) = self.parts.iter().find_map(|(name, part)| Some((name, part.mistake.as_ref()?))) {
            return Err(format!("the part `{name}` of its form: {mistake}"));
        }
        let boundary = self.boundary();
        let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
            .map_err(|error| format!("the boundary of its form: {error}"))?;
        let mut bodies = Vec::with_capacity(2 * self.parts.len() + 1);
        // Ends the line before: that of the part, if there was one.
        let mut line_end = "";
        for (name, part) in self.parts {
            bodies.push(part.head(line_end, &boundary, &name).into());
            bodies.push(part.body);
            line_end = "\r\n";
        }
        bodies.push(Body::from(format!("{line_end}--{boundary}--\r\n")));
        Ok((content_type, Body::joined(bodies)))
    }

    /// One that no part at hand contains. What is still to be read is trusted: 128 random bits are not met by chance.
    fn boundary(&self) -> String {
        loop {
            let boundary = format!("mite-{:032x}", random_bits());
            let met = |part: &Part| part.body.as_whole().is_some_and(|bytes| contains(bytes, boundary.as_bytes()));
            if !self.parts.iter().any(|(_, part)| met(part)) {
                return boundary;
            }
        }
    }
}

impl Part {
    /// A part that contains this, and is no file.
    pub fn new(body: impl Into<Body>) -> Self {
        let body = body.into();
        let mistake = body.has_trailers().then(|| "a part has no trailers".to_owned());
        Self { body, file_name: None, headers: HeaderMap::new(), mistake }
    }

    /// Makes it a file of this name. Its type is `application/octet-stream` unless told otherwise.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// Its `Content-Type`.
    pub fn content_type(self, value: impl TryInto<HeaderValue, Error: Into<http::Error>>) -> Self {
        self.header(CONTENT_TYPE, value)
    }

    /// Sets a header of this part. One that makes no sense fails the request.
    pub fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        match headers::parse(name, value) {
            Ok((name, _)) if name == CONTENT_DISPOSITION => {
                self.mistake.get_or_insert_with(|| "its Content-Disposition is made of its names".to_owned());
            }
            Ok((name, value)) => {
                self.headers.insert(name, value);
            }
            Err(error) => {
                self.mistake.get_or_insert_with(|| error.to_string());
            }
        }
        self
    }

    /// The lines before the part's body.
    fn head(&self, line_end: &str, boundary: &str, name: &str) -> Bytes {
        let mut head = BytesMut::new();
        head.extend_from_slice(format!("{line_end}--{boundary}\r\n").as_bytes());
        head.extend_from_slice(format!("Content-Disposition: form-data; name=\"{}\"", escaped(name)).as_bytes());
        if let Some(file_name) = &self.file_name {
            head.extend_from_slice(format!("; filename=\"{}\"", escaped(file_name)).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        let octets = (self.file_name.is_some() && !self.headers.contains_key(CONTENT_TYPE)).then_some(OCTETS);
        let content_type = octets.as_ref().map(|octets| (&CONTENT_TYPE, octets));
        for (name, value) in content_type.into_iter().chain(&self.headers) {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head.freeze()
    }
}

/// A name as browsers write it between quotes: what would end it, or its line, is percent-encoded, and nothing else.
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['"', '\r', '\n']) {
        Cow::Owned(name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A"))
    } else {
        Cow::Borrowed(name)
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// The standard library seeds its hash maps with them.
fn random_bits() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(()));
    half() << 64 | half()
}

#[cfg(test)]
mod tests;
