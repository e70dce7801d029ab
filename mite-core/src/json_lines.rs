//! MessagePack as lines of JSON, and back: every value has one line, and the line gives the value's bytes again.
//!
//! It is apart from packing, which goes from Rust's types to MessagePack; here both sides are bytes. What JSON cannot say, and what is
//! packed in another way than mite packs it, is written as an escape: `{"$bin": "GET"}`, `{"$f64": "NaN"}`, `{"$raw": "cc05"}`.

mod from_json;
mod to_json;
mod token;

pub use from_json::Mistake;

/// The line for one whole value, without its end; `prettify` writes the times of messages as dates, which do not come back.
///
/// ```
/// let packed = mite_core::pack::to_vec(&("a", 300, f64::NAN)).unwrap();
/// let line = mite_core::json_lines::line(&packed, false);
/// assert_eq!(line, r#"["a", 300, {"$f64": "NaN"}]"#);
/// assert_eq!(mite_core::json_lines::packed(line.as_bytes()).unwrap(), packed);
/// ```
pub fn line(value: &[u8], prettify: bool) -> String {
    to_json::line(value, prettify)
}

/// The value of one line, packed.
///
/// # Errors
/// The line is no JSON, or has an escape that means nothing.
pub fn packed(line: &[u8]) -> Result<Vec<u8>, Mistake> {
    from_json::packed(line)
}

#[cfg(test)]
mod tests;
