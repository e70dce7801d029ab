//! What files of a report say of a real run is what its figures say.

use mite_core::threshold::{count, error_rate, percent};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, Error, NoData, Result, Row, Run, Scenario};
use roxmltree::Document;

/// Each tenth journey fails.
async fn visit(ctx: &mut Context) -> Result {
    if ctx.start_index() % 10 == 9 { Err(Error::msg("no luck")) } else { Ok(()) }
}

fn run() -> Run {
    let row = |name: &str| Row::new(visit, NoData, constant(100, SECOND)).named(name);
    Run::new(Scenario::new().row(row("one, or more")).row(row("two")))
}

#[test]
fn the_seconds_add_up() {
    let report = run().run_blocking().unwrap();
    let csv = report.csv();
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    // A head, and of each second a line of all rows and one of each.
    assert_eq!(lines.len(), 1 + 3 * report.per_second.len());
    let head: Vec<&str> = lines[0].split(',').collect();
    let sum = |row: &str, column: &str| -> u64 {
        // The comma in the name is the only one that is quoted.
        let fields = lines[1..].iter().map(|line| line.replace("\"one, or more\"", "one"));
        let fields = fields.map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let at = head.iter().position(|name| *name == column).unwrap();
        fields.filter(|fields| fields[1] == row).map(|fields| fields[at].parse::<u64>().unwrap()).sum()
    };
    assert_eq!([sum("", "planned"), sum("", "started"), sum("", "completed"), sum("", "failed")], [200, 200, 180, 20]);
    assert_eq!(sum("", "errors"), 20);
    for (row, journey) in ["1", "2"].iter().zip(&report.journeys) {
        assert_eq!([sum(row, "started"), sum(row, "failed")], [journey.started, journey.failed]);
    }
}

#[test]
fn thresholds_decide_what_fails() {
    let held = run().threshold(error_rate().under(percent(50.0))).threshold(count("two").at_least(91));
    let report = held.run_blocking().unwrap();
    let xml = report.junit();
    let document = Document::parse(&xml).unwrap();
    let failed: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .map(|node| node.parent_element().unwrap().attribute("name").unwrap())
        // On a machine that is busy otherwise, the run's verdict may be that the generator was limited.
        .filter(|name| *name != "verdict")
        .collect();
    assert_eq!(failed, ["the count of \"two\" at least 91"]);
    let page = report.html();
    assert!(page.contains("the count of &quot;two&quot; is 90, and should be at least 91"));
    assert!(page.contains("200<small>of 200 planned"));
}
