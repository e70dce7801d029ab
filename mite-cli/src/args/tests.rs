//! What help and errors look like at 80 columns.

use clap::error::ErrorKind;
use insta::assert_snapshot;

use super::*;

const SCENARIOS: [&str; 3] = ["create_users", "my_scenario", "create_exactly"];

fn answered(line: &str, journeys: &[String]) -> clap::Error {
    let command = command(&SCENARIOS, journeys).term_width(80);
    command.try_get_matches_from(line.split_whitespace()).expect_err("it is no whole command line")
}

fn help(line: &str) -> String {
    let answer = answered(&format!("{line} --help"), &[]);
    assert_eq!(answer.kind(), ErrorKind::DisplayHelp);
    let help = answer.to_string();
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    help
}

#[test]
fn the_command_line_is_well_formed() {
    command(&[], &[]).debug_assert();
    command(&SCENARIOS, &["signin".to_owned()]).debug_assert();
}

#[test]
fn help_of_all() {
    assert_snapshot!(help("shop"));
}

#[test]
fn help_of_scenario() {
    assert_snapshot!(help("shop scenario"));
}

#[test]
fn help_of_scenario_test() {
    assert_snapshot!(help("shop scenario test"));
}

#[test]
fn help_of_scenario_list() {
    assert_snapshot!(help("shop scenario list"));
}

#[test]
fn help_of_scenario_preview() {
    assert_snapshot!(help("shop scenario preview"));
}

#[test]
fn help_of_journey() {
    assert_snapshot!(help("shop journey"));
}

#[test]
fn help_of_journey_test() {
    assert_snapshot!(help("shop journey test"));
}

#[test]
fn help_of_journey_run() {
    assert_snapshot!(help("shop journey run"));
}

#[test]
fn help_of_report_show() {
    assert_snapshot!(help("shop report show"));
}

#[test]
fn help_of_report_compare() {
    assert_snapshot!(help("shop report compare"));
}

#[test]
fn help_of_cat() {
    assert_snapshot!(help("shop cat"));
}

#[test]
fn help_of_uncat() {
    assert_snapshot!(help("shop uncat"));
}

#[test]
fn help_of_completions() {
    assert_snapshot!(help("shop completions"));
}

#[test]
fn wrong_use_is_told_with_its_mend() {
    let lines = [
        "shop scenaro",
        "shop scenario tst",
        "shop scenario test",
        "shop scenario test my_scenaro",
        "shop scenario test my_scenario --duration 5d",
        "shop scenario test my_scenario --duration 0s",
        "shop scenario test my_scenario --set url",
        "shop scenario test my_scenario --add-to-config url=1",
        "shop scenario test my_scenario --workers 0",
        "shop scenario test my_scenario --spawn-rate 0",
        "shop scenario test my_scenario --min-achieved 95%",
        "shop scenario test my_scenario --log-level wran",
        "shop scenario test my_scenario --threshold p99<300ms",
        "shop scenario test my_scenario --abort-when error_rate>50",
        "shop scenario test my_scenario --benchmark-percentiles 99",
        "shop scenario test my_scenario --jsn report.json",
        "shop scenario test my_scenario --fail-on-regression 5%",
        "shop scenario test my_scenario --baseline a.json --fail-on-regression -1",
        "shop report compare",
        "shop journey test signn",
        "shop journey test signin --volume -1",
        "shop journey test signin --volume=-1",
        "shop cat",
        "shop completions basch",
    ];
    // As completions know them.
    let journeys = ["create_user", "signin"].map(str::to_owned);
    let told: Vec<String> = lines.iter().map(|line| format!("$ {line}\n{}", answered(line, &journeys))).collect();
    assert_snapshot!(told.join("\n"));
}
