//! The README's example is compiled and run as a user would have it: it stands word for word in `tests/outside`.

#[test]
fn the_example_is_the_one_that_is_run() {
    let readme = include_str!("../README.md");
    let suite = include_str!("outside/tests/readme.rs");
    let example = suite.split("// README\n").nth(1).expect("the example stands between two marks");
    assert!(
        readme.contains(&format!("```rust\n{example}```\n")),
        "the README and tests/outside/tests/readme.rs differ"
    );
}
