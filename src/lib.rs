#![doc = include_str!("../README.md")]

#[expect(unused_extern_crates, reason = "what `#[mite_http]` expands to says `::mite`, and so can be used within it")]
extern crate self as mite;

pub use mite_core::*;
pub use mite_http as http;
pub use mite_http::{HttpContext, mite_http};

#[cfg(feature = "cli")]
pub use mite_cli as cli;

#[cfg(feature = "nats")]
pub use mite_nats as nats;

#[cfg(feature = "prometheus")]
pub use mite_prometheus as prometheus;

/// What tests of journeys, scenarios and plans are made with: see [`mite_core::testing`], and [`testing::StubServer`].
#[cfg(feature = "testing")]
pub mod testing {
    pub use mite_core::testing::*;
    pub use mite_http::testing::*;
}

/// What nearly every journey and scenario needs.
pub mod prelude {
    pub use mite_core::volume::{HOUR, MINUTE, SECOND, constant, nothing, ramp};
    pub use mite_core::{
        Config, Context, DataPool, Error, FileDataPool, IterableDataPool, NoData, RecyclableIterableDataPool, Report,
        Result, Row, Run, Scenario, SingleRunDataPool, Volume, bail, ensure, recorded, recorded_rows,
    };
    pub use mite_http::{HttpContext, mite_http};
}

/// For what `#[mite_http]` expands to.
#[doc(hidden)]
pub mod __private {
    pub use mite_http::__private::*;
}

/// Makes `main` of scenario functions: the program then runs them by name, as in
/// `cargo run --release -- scenario test my_scenario --set app_url=http://localhost:8080`.
///
/// Besides, it tries out single journeys (`journey run signin` shows each request), draws what would be started
/// (`scenario preview`), and turns recorded data into JSON (`cat`): `--help` tells all.
///
/// A scenario function may take `&mut Config`, be `async`, and return `Scenario` or `Result<Scenario>`. It is called when its
/// scenario is run, and its name is the scenario's. [`cli::run`] is the same as a function, for a program that has a `main`
/// of its own.
///
/// ```no_run
/// use mite::prelude::*;
///
/// async fn browse(ctx: &mut Context) -> Result {
///     ctx.http().get("http://localhost:8080/").await?.error_for_status()?;
///     Ok(())
/// }
///
/// fn browsing() -> Scenario {
///     Scenario::new().journey(browse, NoData, constant(50, MINUTE))
/// }
///
/// mite::main!(browsing);
/// ```
#[cfg(feature = "cli")]
#[macro_export]
macro_rules! main {
    ($($scenario:path),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::cli::run($crate::scenarios!($($scenario),+))
        }
    };
}

/// The scenario functions of a program, each by its name, for [`cli::run`].
#[cfg(feature = "cli")]
#[macro_export]
macro_rules! scenarios {
    ($($scenario:path),+ $(,)?) => {
        $crate::cli::Scenarios::new()$(.add(::std::stringify!($scenario), $scenario))+
    };
}

/// The guide's code is compiled and run with the documentation tests.
#[cfg(doctest)]
mod guide {
    #[cfg(feature = "cli")]
    #[doc = include_str!("../docs/src/first-journey.md")]
    mod first_journey {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/src/transactions.md")]
    mod transactions {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/src/data.md")]
    mod data {}

    #[doc = include_str!("../docs/src/volume.md")]
    mod volume {}

    #[doc = include_str!("../docs/src/report.md")]
    mod report {}

    #[cfg(feature = "cli")]
    #[doc = include_str!("../docs/src/command-line.md")]
    mod command_line {}

    #[doc = include_str!("../docs/src/troubleshooting.md")]
    mod troubleshooting {}

    #[doc = include_str!("../docs/src/http.md")]
    mod http {}

    #[doc = include_str!("../docs/src/http-bodies.md")]
    mod http_bodies {}

    #[doc = include_str!("../docs/src/http-connections.md")]
    mod http_connections {}

    #[cfg(feature = "tls")]
    #[doc = include_str!("../docs/src/http-network.md")]
    mod http_network {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/src/testing-journeys.md")]
    mod testing_journeys {}

    #[doc = include_str!("../docs/src/tests.md")]
    mod tests {}

    #[doc = include_str!("../docs/src/ci.md")]
    mod ci {}

    #[doc = include_str!("../docs/src/stats.md")]
    mod stats {}

    #[doc = include_str!("../docs/src/messages.md")]
    mod messages {}

    #[cfg(feature = "prometheus")]
    #[doc = include_str!("../docs/src/prometheus.md")]
    mod prometheus {}

    #[doc = include_str!("../docs/src/extending.md")]
    mod extending {}

    #[cfg(feature = "cli")]
    #[doc = include_str!("../docs/src/cluster.md")]
    mod cluster {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/src/from-python.md")]
    mod from_python {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/src/from-others.md")]
    mod from_others {}
}
