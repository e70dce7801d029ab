//! A worker: one thread with a runtime of its own, which starts its part of each row's journeys on time and lets them end.
//!
//! This is the only place that sleeps and cancels; what there is to start is kept by its [`state`](super::state).

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::protocol::{Command, Event, WorkerResult};
use super::state::{WorkerPlan, WorkerState};
use super::timer::Timer;
use crate::clock::Moment;
use crate::context::{Transaction, VisitIds};
use crate::hooks::Hook;
use crate::names::Names;
use crate::part::Part;
use crate::sink::outbox::Outbox;
use crate::{Context, clock, panics};

/// How often messages are handed over and seconds are told.
const TICK: Duration = Duration::from_millis(100);
/// The same on a virtual clock, where nobody waits for either: an hour has fewer of them.
const VIRTUAL_TICK: Duration = Duration::from_secs(1);
/// What is due within this after a start is made together with it: waking up takes several times as long as a start does. No
/// start waits for others for longer.
const TOGETHER: Duration = Duration::from_micros(100);

/// Runs a worker on this thread until it is told to exit; `None` when it could not be made.
pub(crate) fn run(plan: WorkerPlan) -> Option<WorkerResult> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        // The timer is looked at after so many polls of journeys, however busy they are. One that records in a loop takes 32 records
        // to a poll, so that starts beside it are held up for a quarter of a millisecond; at 4, a GET of sixteen connections had
        // 0.44 calls of the system for events, and has 0.26.
        .event_interval(31)
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // The controller is gone only when the run is over.
            let _ = plan.events.send(Event::Ready(Err(error)));
            return None;
        }
    };
    runtime.block_on(work(plan))
}

/// Works in the runtime that this is called in until it is told to exit; `None` when no worker could be made.
pub(crate) async fn work(plan: WorkerPlan) -> Option<WorkerResult> {
    panics::install();
    let (timer, ready) = match Timer::new() {
        Ok(timer) => (Some(timer), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // The controller is gone only when the run is over.
    let _ = plan.events.send(Event::Ready(ready));
    let timer = timer?;
    let outbox = Outbox::new(&plan.queues, plan.facts.meter());
    let (state, mut commands) = WorkerState::new(plan, outbox);
    serve(&state, &mut commands, &timer).await;
    // A sink that has failed has ended the run; its error is told there.
    let _ = state.env().outbox.finish().await;
    let miscounted = state.settle();
    let figures = state.env().take_figures();
    Some(WorkerResult { figures, sent_messages: state.env().outbox.sent(), miscounted })
}

/// Carries out commands until the exit.
async fn serve(state: &Rc<WorkerState>, commands: &mut mpsc::UnboundedReceiver<Command>, timer: &Timer) {
    // All senders are dropped only when the controller is gone: that is an exit too.
    while !state.exiting.get()
        && let Some(command) = commands.recv().await
    {
        match command {
            Command::Hook(hook) => {
                let started = clock::now();
                let done = tokio::select! {
                    done = run_hook(state, hook) => done,
                    () = aborted(state, commands) => Err("it was cut off, since the run was stopped".to_owned()),
                };
                let took = clock::now() - started;
                let _ = state.env().outbox.flush().await;
                let _ = state.events.send(Event::HookDone(state.number, took, done));
            }
            Command::Go(origin) => {
                state.env().set_origin(origin);
                state.begin();
                drive(state, commands, timer).await;
                // What journeys have sent comes before what teardown sends, on whichever worker.
                let _ = state.env().outbox.flush().await;
                let _ = state.events.send(Event::Finished(state.number));
            }
            Command::Exit => return,
            Command::Tell => tell_figures(state),
            // Before the start there is nothing to stop, and after the end nothing more.
            Command::Stop
            | Command::Abort
            | Command::Exhausted(_)
            | Command::Slew(_)
            | Command::Prepare
            | Command::Account
            | Command::Asked(_) => {}
            Command::Share(epoch, time, stripe) => state.share(epoch, time, &stripe),
            Command::Extend(row, unit, segment) => state.extend(row, unit, segment),
            Command::Complete(row) => state.complete(row),
        }
    }
}

async fn aborted(state: &WorkerState, commands: &mut mpsc::UnboundedReceiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Abort) => return,
            Some(Command::Exit) | None => return state.exiting.set(true),
            Some(_) => {}
        }
    }
}

async fn run_hook(state: &Rc<WorkerState>, hook: Hook) -> Result<(), String> {
    let context_id = state.env().next_context_id();
    let ids = VisitIds { row: 0, context_id, data_id: None, start_index: 0, part: Part::Measured };
    let mut ctx = Context::new(Rc::clone(state.env()), ids, Names::root(0));
    let visit = Rc::clone(ctx.visit());
    let mut root = Transaction::root(&mut ctx, Moment::now());
    let result = match state.env().watched(0, async || hook(root.context()).await).await {
        Ok(result) => root.end(result).map_err(|error| format!("{error:?}")),
        Err(payload) => {
            let (panic, text) = (panics::take_last(), panics::text(&*payload));
            root.context().scope().report_panic(&text, panic.as_ref());
            root.end_panicked();
            let place = panic.map_or_else(String::new, |panic| format!(" (at {})", panic.place));
            Err(format!("panic: {text}{place}"))
        }
    };
    visit.close();
    result
}

/// Runs all rows to their ends.
async fn drive(state: &Rc<WorkerState>, commands: &mut mpsc::UnboundedReceiver<Command>, timer: &Timer) {
    let env = state.env();
    let tick = if clock::is_virtual() { VIRTUAL_TICK } else { TICK }.as_nanos() as u64;
    let together = if clock::is_virtual() { Duration::ZERO } else { TOGETHER }.as_nanos() as u64;
    let mut next_tick = tick;
    let mut cancel_at: Option<Moment> = None;
    let mut cancelled = false;
    // Not to start before the others do; the run may be stopped before it starts.
    let origin = env.moment(0);
    env.seconds.borrow_mut().begin_at(env.now());
    while Moment::now() < origin && !state.all_ended() {
        tokio::select! {
            biased;
            command = commands.recv() => obey(state, command.unwrap_or(Command::Exit), &mut cancel_at),
            () = wait(timer, origin) => {}
        }
    }
    loop {
        #[cfg(feature = "testing")]
        if clock::is_virtual() {
            // A slot that becomes free at the very time from which on it is not wanted is not wanted; what ends now has ended
            // before what is due now begins.
            state.look_at_numbers(env.now());
            clock::virtual_clock::settled().await;
        }
        let now = env.now();
        let look = state.look(now);
        if now >= next_tick {
            next_tick = now - now % tick + tick;
            env.outbox.tick();
            tell_seconds(state, now);
        }
        if state.all_ended() {
            state.waiting_for_end.set(true);
            if state.is_idle() {
                break;
            }
            if cancel_at.is_none() {
                // A graceful stop of centuries never runs out.
                cancel_at =
                    Some(env.moment(now).after(env.shared.graceful_stop.as_nanos().try_into().unwrap_or(u64::MAX)));
            }
            if !cancelled && cancel_at.is_some_and(|deadline| Moment::now() >= deadline) {
                cancelled = true;
                state.cancel_all();
            }
        }
        if look.more {
            // Journeys get a turn; commands are looked at all the same.
            tokio::task::yield_now().await;
            while let Ok(command) = commands.try_recv() {
                obey(state, command, &mut cancel_at);
            }
            continue;
        }
        let mut wake_at = env.moment(look.again(now, together).map_or(next_tick, |again| again.min(next_tick)));
        if let Some(deadline) = cancel_at.filter(|_| !cancelled) {
            wake_at = wake_at.min(deadline);
        }
        tokio::select! {
            biased;
            command = commands.recv() => obey(state, command.unwrap_or(Command::Exit), &mut cancel_at),
            () = state.wake.notified() => {}
            () = wait(timer, wake_at) => {}
        }
    }
    // Those that wait for another start.
    state.cancel_all();
    // Nothing is under way any more: the last second is told whole.
    let seconds = env.seconds.borrow_mut().take_all(env.now());
    let _ = state.events.send(Event::Seconds(state.number, seconds, Box::new(env.tell_figures())));
}

async fn wait(timer: &Timer, at: Moment) {
    if let Err(error) = timer.sleep_until(at).await {
        // Not known to happen once the timer could be made; starts are late then, and counted as that.
        tracing::warn!(%error, "the worker's timer failed");
        tokio::time::sleep(Duration::from_nanos(at.since(Moment::now()))).await;
    }
}

fn tell_seconds(state: &WorkerState, now: u64) {
    let mut seconds = state.env().seconds.borrow_mut();
    seconds.roll(now);
    let closed = seconds.take_closed();
    if !closed.is_empty() {
        let _ = state.events.send(Event::Seconds(state.number, closed, Box::new(state.env().tell_figures())));
    }
}

fn tell_figures(state: &WorkerState) {
    let _ = state.events.send(Event::Told(state.number, Box::new(state.env().tell_figures())));
}

fn obey(state: &Rc<WorkerState>, command: Command, cancel_at: &mut Option<Moment>) {
    match command {
        Command::Share(epoch, time, stripe) => state.share(epoch, time, &stripe),
        Command::Extend(row, unit, segment) => state.extend(row, unit, segment),
        Command::Complete(row) => state.complete(row),
        Command::Exhausted(row) => {
            state.end_by_data(row);
        }
        Command::Tell => tell_figures(state),
        Command::Slew(ahead) => state.env().slew(ahead),
        Command::Stop => state.stop(),
        Command::Abort | Command::Exit => {
            state.exiting.set(state.exiting.get() || matches!(command, Command::Exit));
            state.stop();
            *cancel_at = Some(Moment::now());
        }
        // These come before the start and after the end.
        Command::Go(_) | Command::Hook(_) | Command::Prepare | Command::Account | Command::Asked(_) => {}
    }
}
