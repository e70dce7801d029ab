//! Functions that make scenarios, of each form that a user may write.
//!
//! They are called when their scenario is run, not before: what they read, a file of recorded users for instance, need not
//! be there until then.

use crate::scenario::{IntoScenario, Scenario};
use crate::{Config, Result};

/// A function that makes a scenario: `fn() -> Scenario`, and the same with `&mut Config` as its argument, `async`, or
/// returning a `Result`.
///
/// You need not implement this. `Kind` tells the forms apart and is always inferred.
///
/// ```
/// # use mite_core::{Config, Result, Scenario, ScenarioFunction};
/// fn plain() -> Scenario {
///     Scenario::new()
/// }
///
/// fn with_config(config: &mut Config) -> Result<Scenario> {
///     let _rate: f64 = config.get("rate")?;
///     Ok(Scenario::new())
/// }
///
/// async fn that_asks_first() -> Result<Scenario> {
///     Ok(Scenario::new())
/// }
///
/// fn is_one<Kind>(_: impl ScenarioFunction<Kind>) {}
/// is_one(plain);
/// is_one(with_config);
/// is_one(that_asks_first);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no scenario",
    label = "not a function that returns a `Scenario` or a `Result<Scenario>`",
    note = "write `fn my_scenario() -> Scenario`; it may take `&mut Config`, be `async`, and return `Result<Scenario>`"
)]
pub trait ScenarioFunction<Kind>: 'static {
    /// Makes the scenario.
    ///
    /// # Errors
    /// What the function returns.
    fn make(&self, config: &mut Config) -> impl Future<Output = Result<Scenario>>;
}

/// `fn() -> Scenario`.
#[derive(Debug)]
pub struct Plain<R>(R);
/// `fn(&mut Config) -> Scenario`.
#[derive(Debug)]
pub struct WithConfig<R>(R);
/// `async fn() -> Scenario`.
#[derive(Debug)]
pub struct Async<R>(R);
/// `async fn(&mut Config) -> Scenario`.
#[derive(Debug)]
pub struct AsyncWithConfig<R>(R);

#[diagnostic::do_not_recommend]
impl<F, R> ScenarioFunction<Plain<R>> for F
where
    F: Fn() -> R + 'static,
    R: IntoScenario,
{
    async fn make(&self, _config: &mut Config) -> Result<Scenario> {
        self().into_scenario()
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> ScenarioFunction<WithConfig<R>> for F
where
    F: Fn(&mut Config) -> R + 'static,
    R: IntoScenario,
{
    async fn make(&self, config: &mut Config) -> Result<Scenario> {
        self(config).into_scenario()
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> ScenarioFunction<Async<R>> for F
where
    F: AsyncFn() -> R + 'static,
    R: IntoScenario,
{
    async fn make(&self, _config: &mut Config) -> Result<Scenario> {
        self().await.into_scenario()
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> ScenarioFunction<AsyncWithConfig<R>> for F
where
    F: AsyncFn(&mut Config) -> R + 'static,
    R: IntoScenario,
{
    async fn make(&self, config: &mut Config) -> Result<Scenario> {
        self(config).await.into_scenario()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Scenario {
        Scenario::new().named("plain")
    }

    #[expect(clippy::unnecessary_wraps, reason = "a form that users write")]
    fn fallible() -> Result<Scenario> {
        Ok(Scenario::new().named("fallible"))
    }

    fn with_config(config: &mut Config) -> Result<Scenario> {
        config.set("rate", 5);
        Ok(Scenario::new().named(config.get::<String>("name")?))
    }

    async fn asynchronous() -> Result<Scenario> {
        Ok(Scenario::new().named("asynchronous"))
    }

    async fn async_with_config(config: &mut Config) -> Scenario {
        config.set("rate", 6);
        Scenario::new().named("async_with_config")
    }

    async fn name<K>(function: impl ScenarioFunction<K>, config: &mut Config) -> String {
        function.make(config).await.unwrap().name.unwrap()
    }

    #[tokio::test]
    async fn each_form_is_one() {
        let mut config = Config::new();
        config.set("name", "named");
        assert_eq!(name(plain, &mut config).await, "plain");
        assert_eq!(name(fallible, &mut config).await, "fallible");
        assert_eq!(name(with_config, &mut config).await, "named");
        assert_eq!(name(asynchronous, &mut config).await, "asynchronous");
        assert_eq!(name(async_with_config, &mut config).await, "async_with_config");
        assert_eq!(config.get::<u8>("rate").unwrap(), 6);
    }
}
