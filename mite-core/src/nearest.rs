//! A name that is not there: told with those that are, and with the one that was probably meant.
//!
//! It is apart from those who look for names, so that all of them suggest the same.

/// The names, of very many the first.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let mut told: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{:?}", name.as_ref())).collect();
    if names.len() > SHOWN {
        told.push(format!("and {} more", names.len() - SHOWN));
    }
    told.join(", ")
}

/// ` (did you mean "Log in"?)`, or nothing where no name is like this one.
pub fn did_you_mean<S: AsRef<str>>(name: &str, names: &[S]) -> String {
    nearest(name, names).map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

/// The name that is most like this one, unless none is.
fn nearest<'a, S: AsRef<str>>(name: &str, names: &'a [S]) -> Option<&'a str> {
    /// Below it words have little more in common than some letters.
    const ALIKE: f64 = 0.75;
    let name = name.to_lowercase();
    let alike = |other: &str| {
        let other = other.to_lowercase();
        // An inner transaction or a function by its last name alone is what is written most often.
        let last = other.rsplit([':', '·']).next().unwrap_or(&other).trim();
        // Of two that are as good, the one whose whole name is like it.
        strsim::jaro_winkler(&name, &other).max(strsim::jaro_winkler(&name, last) - 1e-9)
    };
    let likeness = names.iter().map(|other| (alike(other.as_ref()), other.as_ref()));
    let best = likeness.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let names = ["shop:signin", "Log in", "Log in :: Check password", "POST · Log in", "Search"];
        let cases = [
            ("sign_in", Some("shop:signin")),
            ("log on", Some("Log in")),
            ("Check pasword", Some("Log in :: Check password")),
            ("GET · Log in", Some("POST · Log in")),
            ("serach", Some("Search")),
            ("browse", None),
            ("", None),
        ];
        for (name, meant) in cases {
            assert_eq!(nearest(name, &names), meant, "{name}");
        }
    }

    #[test]
    fn of_very_many_names_the_first_are_told() {
        let names: Vec<String> = (0..23).map(|n| n.to_string()).collect();
        assert!(list(&names).ends_with("\"19\", and 3 more"));
        assert_eq!(list(&names[..2]), "\"0\", \"1\"");
    }
}
