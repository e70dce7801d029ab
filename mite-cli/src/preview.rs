//! `scenario preview NAME`: the plan, drawn.
//!
//! It is apart from the preview itself, which is a value that any program may ask for.

use std::time::Duration;

use clap::ArgMatches;
use mite_core::{Preview, Run};

use crate::fault::Fault;
use crate::{PASSED, Scenarios, config, stdout};

/// Draws what the scenario that the arguments name would start.
pub(crate) async fn run(scenarios: &Scenarios, arguments: &ArgMatches) -> Result<u8, Fault> {
    let mut config = config::of(arguments)?;
    let scenario = scenarios.named_in(arguments, &mut config).await?;
    let mut run = Run::new(scenario);
    if let Some(duration) = arguments.get_one::<Duration>("duration") {
        run = run.stop_after(*duration);
    }
    if let Some(rate) = arguments.get_one::<f64>("spawn-rate") {
        run = run.spawn_rate(*rate);
    }
    let preview = run.preview().map_err(|error| error.to_string())?;
    stdout::print(&format!("{}{preview}", title(&preview)))?;
    Ok(PASSED)
}

/// What stands above several rows: how much they are together.
fn title(preview: &Preview) -> String {
    if preview.rows.len() < 2 {
        return String::new();
    }
    let starts: u64 = preview.rows.iter().filter_map(|row| row.planned).sum();
    let running = preview.rows.iter().filter(|row| row.planned.is_none()).count();
    let also = match running {
        0 => String::new(),
        1 => ", and 1 row of so many at once".to_owned(),
        rows => format!(", and {rows} rows of so many at once"),
    };
    format!("{}: {starts} starts in {} rows{also}\n\n", preview.scenario, preview.rows.len() - running)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mite_core::volume::{SECOND, constant, ramp};
    use mite_core::{Context, NoData, Row, Scenario};

    use super::*;

    #[test]
    fn several_rows_are_added_up() {
        let visit = async |_ctx: &mut Context| Ok(());
        let rising = ramp(30 * SECOND).from(0) + constant(50, 60 * SECOND);
        let scenario = Scenario::new()
            .row(Row::new(visit, NoData, rising).named("shop:browse"))
            .row(
                Row::new(visit, NoData, constant(5, 60 * SECOND))
                    .named("a_shop_with_a_long_name::journeys::of_customers:buy_and_pay_by_card"),
            )
            .row(Row::new(visit, NoData, constant(40, 60 * SECOND).running()).named("shop:wait"))
            .named("peak");
        let preview = Run::new(scenario).spawn_rate(1.0).preview().unwrap();
        let told = format!("{}{preview}", title(&preview));
        for line in told.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert_snapshot!(told);
    }
}
