//! `cat FILE` and `uncat`: MessagePack as lines of JSON, and back.
//!
//! `cat FILE | uncat` gives the file's bytes again, whatever they are: what JSON cannot say, and what is packed in another way
//! than mite packs it, is written as an escape (see the `--help` of both).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use mite_core::json_lines::{line, packed};
use mite_core::pack::{ScanError, read_value};

use crate::fault::Fault;
use crate::{PASSED, stdout};

/// Prints a file of MessagePack as lines of JSON.
pub(crate) fn cat(arguments: &ArgMatches) -> Result<u8, Fault> {
    let (name, mut reader) = open(arguments)?;
    let prettify = arguments.get_flag("prettify-timestamps");
    let mut outcome = Ok(());
    stdout::write(|out| {
        let (mut value, mut at) = (Vec::new(), 0);
        for number in 1_u64.. {
            match read_value(&mut reader, &mut value) {
                Ok(true) => writeln!(out, "{}", line(&value, prettify))?,
                Ok(false) => break,
                Err(error) => {
                    outcome = Err(broken(&name, &error, number, at));
                    break;
                }
            }
            at += value.len() as u64;
        }
        Ok(())
    })?;
    outcome.map(|()| PASSED).map_err(Fault::Failed)
}

/// Makes MessagePack of lines of JSON.
pub(crate) fn uncat(arguments: &ArgMatches) -> Result<u8, Fault> {
    let (name, mut reader) = open(arguments)?;
    let mut outcome = Ok(());
    stdout::write(|out| {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(_) => {}
                Err(error) => {
                    outcome = Err(format!("failed to read {name}: {error}"));
                    break;
                }
            }
            match packed(&line) {
                Ok(packed) => out.write_all(&packed)?,
                Err(mistake) => {
                    outcome = Err(format!("{name}: line {number}, {mistake}"));
                    break;
                }
            }
        }
        Ok(())
    })?;
    outcome.map(|()| PASSED).map_err(Fault::Failed)
}

fn open(arguments: &ArgMatches) -> Result<(String, Box<dyn BufRead>), Fault> {
    // clap asks for one, or has a default.
    let path = arguments.get_one::<PathBuf>("file").map_or(Path::new("-"), PathBuf::as_path);
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(io::stdin().lock())));
    }
    let name = path.display().to_string();
    let failed = |error: io::Error| Fault::Usage(format!("failed to read {name}: {error}"));
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Fault::Usage(format!("{name} is a folder: name a file in it")));
    }
    Ok((name, Box::new(BufReader::with_capacity(64 * 1024, file))))
}

/// Where a file breaks: its value of this number begins at byte `at`.
fn broken(name: &str, error: &ScanError, number: u64, at: u64) -> String {
    match error {
        ScanError::Invalid { offset } => {
            format!("{name}: byte {}, in value {number}, is no MessagePack", at + offset)
        }
        ScanError::Torn => {
            format!("{name}: value {number}, which begins at byte {at}, is cut off by the end of the file")
        }
        other => format!("failed to read {name} at byte {at}: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_told_or_refused_with_their_place(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut reader, mut value, mut at) = (&*bytes, Vec::new(), 0);
            loop {
                match read_value(&mut reader, &mut value) {
                    Ok(true) => prop_assert_eq!(packed(line(&value, false).as_bytes()), Ok(value.clone())),
                    Ok(false) => break,
                    Err(error) => {
                        let told = broken("f", &error, 1, at);
                        prop_assert!(told.contains("byte "), "{}", told);
                        break;
                    }
                }
                at += value.len() as u64;
            }
        }
    }
}
