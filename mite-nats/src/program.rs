//! What tells one build of a program from any other: the hash of its file.
//!
//! It is apart from the connection, which anything may use.

use std::fs::File;
use std::io::{self, Read};

use ring::digest::{Context, SHA256};

/// The SHA-256 of the file of the running program, in hex: runners whose program is another one than their controller's are refused.
///
/// ```
/// let hash = mite_nats::program_hash().unwrap();
/// assert_eq!(hash.len(), 64);
/// ```
///
/// # Errors
/// The file cannot be read, since it was deleted or replaced for instance.
pub fn program_hash() -> io::Result<String> {
    // On Linux this leads to the file that runs, also where its name has another one by now.
    let own = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut file = File::open(own)?;
    // ring's is fast in a build without optimizations too, whose file has a hundred megabytes.
    let (mut hash, mut buffer) = (Context::new(&SHA256), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}
