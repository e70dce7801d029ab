use mite_core::volume::*;
use mite_core::*;
#[tokio::test]
async fn first() {
    let d = tempfile::tempdir().unwrap();
    let s = Scenario::new()
        .setup(async |ctx| ctx.send("purge_data", serde_json::json!({"name": "users"})).await)
        .row(Row::new(async |ctx: &mut Context, n: u64| {
            ctx.transaction("a", async |ctx| {
                if n % 100 == 7 { "x".parse::<i32>()?; }
                if n % 100 == 8 { panic!("oh {n}"); }
                ctx.record("users", n).await
            }).await
        }, IterableDataPool::new((0..).map(|n| (n,))), constant(1000, SECOND)).named("a"))
        .row(Row::new(async |_: &mut Context| { tokio::time::sleep(std::time::Duration::from_millis(20)).await; Ok(()) }, NoData, constant(10, SECOND).running()).named("b"));
    let r = Run::new(s).recorder(d.path()).run().await.unwrap();
    println!("{r}");
    println!("{:?}", r.per_second);
    assert_eq!(recorded::<u64>(d.path().join("users.msgpack")).unwrap().len(), 980);
}
