use std::process::ExitCode;
use std::time::Duration;

use downlink_transports::serve::Signals;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::args::Options;
use crate::client::{Counts, Load, Phase};
use crate::cluster::{Cluster, SERVERS};
use crate::killed::Killed;
use crate::programs::Programs;
use crate::report::Report;
use crate::screen::Screen;
use crate::victims::Victims;

/// The exit code of a program that was stopped with Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Starts everything, loads it, kills parts of it, prints what clients have seen, and stops it.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let programs = Programs::find(options)?;
    let Signals { drain, force } = Signals::listen()?;
    let screen = Screen::new();
    // What was started until a signal comes ends with this program.
    let mut cluster = tokio::select! {
        cluster = Cluster::start(&programs, options, &screen) => cluster?,
        () = drain.cancelled() => return Ok(INTERRUPTED.into()),
    };
    let outcome = tokio::select! {
        outcome = run_on(&mut cluster, options, &screen, &drain) => outcome,
        () = force.cancelled() => return Ok(INTERRUPTED.into()),
    };
    screen.line("Stopping everything, and removing the files.");
    cluster.stop().await?;
    Ok(if outcome? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether nothing was lost or repeated.
async fn run_on(
    cluster: &mut Cluster,
    options: &Options,
    screen: &Screen,
    stop: &CancellationToken,
) -> Result<bool> {
    let page = format!("http://{}/", cluster.authority());
    screen.line(&format!(
        "page        {page}  (open it in a browser to see the events; Ctrl-C ends the load)\n"
    ));
    let report = load(cluster, options, screen, stop).await?;
    screen.line(&report.to_string());
    if options.keep && !stop.is_cancelled() {
        screen.line(&format!(
            "Everything is still running. Append on the page {page}, or follow the log:\n\
             curl -N -H 'Accept: text/event-stream' '{page}feed'\n\
             Press Ctrl-C to stop."
        ));
        stop.cancelled().await;
    }
    Ok(report.is_clean())
}

async fn load(
    cluster: &mut Cluster,
    options: &Options,
    screen: &Screen,
    stop: &CancellationToken,
) -> Result<Report> {
    let began = Instant::now();
    let load = Load::start(cluster.authority(), options.clients, options.rate);
    screen.line(&format!(
        "{} clients append {} events per second, and each follows the whole log through the proxy.",
        options.clients, options.rate
    ));
    let killed = tokio::select! {
        killed = kill_in_turn(cluster, options, &load, screen, stop) => killed?,
        never = show_progress(&load, screen, began) => never,
    };
    let time = began.elapsed();
    screen.line("The load has ended; waiting until everything is acknowledged and delivered.");
    let (counts, times, problems) = load.finish().await;
    Ok(Report { counts, times, problems, followers: options.clients, killed, load: time })
}

/// Kills one after the other, and returns at the end of the load, or when it is stopped.
async fn kill_in_turn(
    cluster: &mut Cluster,
    options: &Options,
    load: &Load,
    screen: &Screen,
    stop: &CancellationToken,
) -> Result<Killed> {
    let (began, every) = (Instant::now(), options.kill_every());
    let end = began + options.time();
    let mut killed = Killed::default();
    let (mut next, mut settled) = (began + every, None);
    for victim in Victims::new(options.bus, SERVERS) {
        if next + every > end || !waited_until(next, stop).await {
            break;
        }
        load.begin(Phase::During);
        let (now, at) = (Instant::now(), began.elapsed().as_secs());
        // Not between a kill and its end, which would leave it half done.
        cluster.kill(victim).await?;
        killed.add(victim);
        screen.line(&format!(
            "{at:>5} s  {victim}: it serves again after {:.1} s",
            now.elapsed().as_secs_f64()
        ));
        next = (next + every).max(Instant::now());
        // Connections to what was killed come back until then.
        settled = Some(Instant::now() + every / 2);
    }
    let Some(settled) = settled else {
        waited_until(end, stop).await;
        return Ok(killed);
    };
    if waited_until(settled, stop).await {
        load.begin(Phase::After);
        // A kill that took long does not shorten what follows the last one.
        waited_until(end.max(settled + every / 2), stop).await;
    }
    Ok(killed)
}

/// Whether it was not stopped before.
async fn waited_until(time: Instant, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = sleep_until(time) => true,
        () = stop.cancelled() => false,
    }
}

/// Shows a line, and replaces it once a second.
async fn show_progress(load: &Load, screen: &Screen, began: Instant) -> ! {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let Counts { acknowledged, delivered, repeated, failed_attempts, resumed, .. } =
            load.counts();
        screen.progress(&format!(
            "{:>5} s  {acknowledged} acknowledged ({failed_attempts} attempts repeated), \
             {delivered} delivered ({resumed} streams resumed), {repeated} came twice",
            began.elapsed().as_secs()
        ));
    }
}
