//! The scenario functions of a program by name, whatever form they have.
//!
//! They are apart from the verbs, which only name them.

use std::fmt;
use std::pin::Pin;

use clap::ArgMatches;
use mite_core::{Config, Result, Scenario, ScenarioFunction};

type Make = Box<dyn for<'a> Fn(&'a mut Config) -> Pin<Box<dyn Future<Output = Result<Scenario>> + 'a>>>;

/// The scenario functions of a program; `mite::scenarios!(create_users, my_scenario)` makes one.
///
/// ```
/// # use mite_core::volume::{SECOND, constant};
/// # use mite_core::{Context, NoData, Result, Scenario};
/// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
/// fn visitors() -> Scenario {
///     Scenario::new().journey(visit, NoData, constant(10, SECOND))
/// }
///
/// let scenarios = mite_cli::Scenarios::new().add("visitors", visitors);
/// assert_eq!(scenarios.names().collect::<Vec<_>>(), ["visitors"]);
/// ```
#[derive(Default)]
pub struct Scenarios(Vec<(String, Make)>);

impl Scenarios {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function; the last part of `path` is the scenario's name.
    ///
    /// ```
    /// # use mite_core::volume::{SECOND, constant};
    /// # use mite_core::{Context, NoData, Result, Scenario};
    /// # async fn visit(_ctx: &mut Context) -> Result { Ok(()) }
    /// fn visitors() -> Scenario {
    ///     Scenario::new().journey(visit, NoData, constant(10, SECOND))
    /// }
    ///
    /// // The last part of the path is the name.
    /// let scenarios = mite_cli::Scenarios::new().add("shop::visitors", visitors);
    /// assert_eq!(scenarios.names().collect::<Vec<_>>(), ["visitors"]);
    /// ```
    #[must_use]
    pub fn add<Kind: 'static>(mut self, path: &str, function: impl ScenarioFunction<Kind>) -> Self {
        let name = path.rsplit("::").next().unwrap_or(path).trim().to_owned();
        let function = std::rc::Rc::new(function);
        let make: Make = Box::new(move |config| {
            let function = std::rc::Rc::clone(&function);
            Box::pin(async move { function.make(config).await })
        });
        self.0.push((name, make));
        self
    }

    /// The names, in the order in which the functions were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Calls the function with this name; its scenario is named after it unless it has a name.
    pub(crate) async fn make(&self, name: &str, config: &mut Config) -> Option<Result<Scenario>> {
        let (_, make) = self.0.iter().find(|(known, _)| known == name)?;
        Some(make(config).await.map(|scenario| scenario.named_if_unnamed(name)))
    }

    /// Makes the scenario that the argument `name` says.
    pub(crate) async fn named_in(
        &self,
        arguments: &ArgMatches,
        config: &mut Config,
    ) -> std::result::Result<Scenario, String> {
        // clap asks for it, and takes no other names.
        let name = arguments.get_one::<String>("name").map_or("", String::as_str);
        let made = self.make(name, config).await.ok_or_else(|| format!("there is no scenario {name:?}"))?;
        made.map_err(|error| format!("scenario {name}: {error:?}"))
    }
}

impl fmt::Debug for Scenarios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
