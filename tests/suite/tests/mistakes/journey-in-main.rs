use mite::prelude::*;

async fn visit(_ctx: &mut Context) -> Result {
    Ok(())
}

mite::main!(visit);
