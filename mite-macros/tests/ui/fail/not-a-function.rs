use mite_macros::mite_http;

#[mite_http]
pub struct Visit {
    pub name: String,
}

fn main() {
    // The item is still there: no second error.
    let _ = Visit { name: String::new() };
}
