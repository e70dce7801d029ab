//! What runners record is in the files of their controller's recorder, each once.

use std::collections::BTreeSet;
use std::sync::Arc;

use mite_core::bus::Local;
use mite_core::cluster::{Join, Lead, join};
use mite_core::volume::{SECOND, constant};
use mite_core::{Context, NoData, Result, Row, Run, Scenario};

fn scenario() -> Scenario {
    let visit = async |ctx: &mut Context| {
        let index = ctx.start_index();
        ctx.record("visits", &(index,)).await
    };
    Scenario::new().named("visits").row(Row::new(visit, NoData, constant(500, SECOND)).named("visit"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runners_record_is_in_files_once() -> Result {
    let (fabric, folder) = (Arc::new(Local::new()), tempfile::tempdir()?);
    let lead = Lead::new(fabric.clone(), "this build").expect(2);
    let run = Run::new(scenario()).max_start_lag(10 * SECOND).recorder(folder.path());
    let controller = run.lead(lead)?;
    let mut runners = Vec::new();
    for name in ["one", "two"] {
        let me = Join { name: name.to_owned(), binary: "this build".to_owned(), workers: 2 };
        runners.push(join(fabric.clone(), me).await?.start(Run::new(scenario()))?);
    }
    let report = controller.await?;
    for runner in runners {
        runner.await?;
    }
    let recorded: Vec<(u64,)> = report.recorded("visits")?;
    assert_eq!(report.journeys[0].completed, 500, "{report}");
    assert_eq!(recorded.len(), 500);
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>().len(), 500);
    let names: Vec<_> = std::fs::read_dir(folder.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    assert_eq!(names, ["visits.msgpack"], "nothing else is left");
    Ok(())
}
