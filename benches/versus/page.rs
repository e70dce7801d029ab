//! The page with the figures, which is renewed in place between its marks.
//! It is separate because a section that was not run keeps the figures that it has there.

use std::{fs, path::Path};

use mite::prelude::*;

use crate::{machine::Machine, section::Outcome};

/// Puts what a section found between `<!-- versus: NAME -->` and `<!-- /versus: NAME -->`.
///
/// # Errors
///
/// If there is no such page, or the section has no marks there.
pub(crate) fn renew(page: &Path, machine: &Machine, name: &str, outcome: &Outcome) -> Result {
    let failed = |error| Error::msg(format!("the page {}: {error}", page.display()));
    let text = fs::read_to_string(page).map_err(failed)?;
    let (begin, end) = (format!("<!-- versus: {name} -->\n"), format!("<!-- /versus: {name} -->"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let Some((before, after)) = parts else { bail!("{} has no marks for {name}", page.display()) };
    fs::write(page, format!("{before}{begin}{outcome}Measured on {machine}\n{end}{after}")).map_err(failed)
}
