//! Where the expansion finds mite: under which name the crate that uses the macro depends on it. Only the manifest
//! knows, because a dependency may be renamed, and an attribute macro has no `$crate`.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::Span;
use syn::{Error, Ident, Path, Result, parse_quote};

/// The packages that have what the expansion calls, with the names of their libraries, in the order of preference.
const LIBRARIES: [(&str, &str); 2] = [("mite-load", "mite"), ("mite-http", "mite_http")];

pub(crate) fn path() -> Result<Path> {
    LIBRARIES
        .into_iter()
        .find_map(|(package, library)| Some(extern_name(package, library, crate_name(package).ok()?)))
        .map(|name| {
            let name = Ident::new(&name, Span::call_site());
            parse_quote!(::#name)
        })
        .ok_or_else(|| {
            Error::new(
                Span::call_site(),
                "`#[mite_http]` does not find mite: add `mite-load` or `mite-http` to [dependencies], \
                 or say where it is by `#[mite_http(crate = path)]`",
            )
        })
}

/// The name that the crate is known by where the macro is used.
fn extern_name(package: &str, library: &str, found: FoundCrate) -> String {
    match found {
        // The libraries name themselves by `extern crate self`, and their examples, tests and doctests see them as anyone does.
        FoundCrate::Itself => library.to_owned(),
        // Not renamed: the package's name is found, but the library's name is what counts.
        FoundCrate::Name(name) if name == package.replace('-', "_") => library.to_owned(),
        FoundCrate::Name(renamed) => renamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_goes_by_its_own_name_unless_it_is_renamed() {
        let name = |name: &str| FoundCrate::Name(name.to_owned());
        assert_eq!(extern_name("mite-load", "mite", name("mite_load")), "mite");
        assert_eq!(extern_name("mite-load", "mite", name("load")), "load");
        assert_eq!(extern_name("mite-load", "mite", FoundCrate::Itself), "mite");
        assert_eq!(extern_name("mite-http", "mite_http", name("mite_http")), "mite_http");
        assert_eq!(extern_name("mite-http", "mite_http", name("http")), "http");
        assert_eq!(extern_name("mite-http", "mite_http", FoundCrate::Itself), "mite_http");
    }
}
