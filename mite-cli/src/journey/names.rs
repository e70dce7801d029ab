//! How a journey is named on the command line, and which ones that may be.
//!
//! It is apart from the search, and pure: a table tests it.

/// What was typed: `[SCENARIO:]NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spec<'a> {
    pub(super) scenario: Option<&'a str>,
    pub(super) journey: &'a str,
}

impl<'a> Spec<'a> {
    /// What is before the first colon is a scenario's name if there is one of this name: a journey's module has colons too.
    pub(super) fn new(text: &'a str, mut scenarios: impl Iterator<Item = &'a str>) -> Self {
        match text.split_once(':') {
            Some((scenario, journey)) if !journey.starts_with(':') && scenarios.any(|name| name == scenario) => {
                Self { scenario: Some(scenario), journey }
            }
            _ => Self { scenario: None, journey: text },
        }
    }
}

/// The places of the journeys that may be meant: of this name, or else with it as their name's last parts.
pub(super) fn matching(journeys: &[String], wanted: &str) -> Vec<usize> {
    let places = |is_meant: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..journeys.len()).filter(|place| is_meant(&journeys[*place])).collect()
    };
    let exact = places(&|journey| journey == wanted && !journey.is_empty());
    if !exact.is_empty() || wanted.is_empty() {
        return exact;
    }
    places(&|journey| journey.strip_suffix(wanted).is_some_and(|rest| rest.ends_with(':')))
}

/// A journey's name without its module, where a shell takes it as one word.
pub(super) fn short(journey: &str) -> Option<&str> {
    let name = journey.rsplit(':').next().unwrap_or(journey);
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journeys() -> Vec<String> {
        ["shop:signin", "shop::admin:signin", "shop:buy", "", "load:open"].map(str::to_owned).into()
    }

    #[test]
    fn a_scenario_may_stand_before_a_journey() {
        let spec = |text| {
            let Spec { scenario, journey } = Spec::new(text, ["peak", "shop"].into_iter());
            (scenario, journey)
        };
        assert_eq!(spec("signin"), (None, "signin"));
        assert_eq!(spec("peak:signin"), (Some("peak"), "signin"));
        assert_eq!(spec("peak:shop:signin"), (Some("peak"), "shop:signin"));
        assert_eq!(spec("shop::admin:signin"), (None, "shop::admin:signin"));
        assert_eq!(spec("load:open"), (None, "load:open"));
    }

    #[test]
    fn a_journey_is_found_by_its_last_parts() {
        let found = |wanted| matching(&journeys(), wanted);
        assert_eq!(found("shop:signin"), [0]);
        assert_eq!(found("signin"), [0, 1]);
        assert_eq!(found("admin:signin"), [1]);
        assert_eq!(found("open"), [4]);
        assert_eq!(found("in"), [] as [usize; 0]);
        assert_eq!(found(""), [] as [usize; 0]);
    }

    #[test]
    fn a_name_is_completed_where_it_is_one_word() {
        assert_eq!((short("shop:buy"), short("a closure"), short("")), (Some("buy"), None, None));
    }
}
