//! What the macros say to mistakes, and what they accept. One file per message, beside it what the compiler prints.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
