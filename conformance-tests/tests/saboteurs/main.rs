//! Tests of the suite itself: each broken implementation here has one bug, and
//! the named law has to fail with the message for that bug. Without the bug the
//! law has to hold for the same implementation.

mod bus;
mod group;
mod hub;
mod hub_bug;
mod hub_subscription;
mod hub_tail;
mod imports;
mod list;
mod live;
mod live_bug;
mod mangle;
mod model_bug;
mod model_leases;
mod models;
mod runner;
mod runner_bug;
mod shared_bug;
mod shared_file;
mod shared_fixture;
mod snapshots;
#[path = "../fixtures/sqlite.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the stores have their own tests")]
mod sqlite_fixture;
mod store;
mod store_bug;
mod store_check;
mod store_fixture;
mod store_late;
mod store_notices;
mod store_read;
mod transact;
mod transport;
mod transport_bug;
mod transport_client;
mod transport_run;
mod transport_text;

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use downlink_conformance_tests::lists;
use list::Saboteur;

/// How many laws run at a time. They spend most of their time waiting.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if shared_fixture::is_other_process(&arguments) {
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> = list::all().filter(|saboteur| is_chosen(&arguments, saboteur)).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for saboteur in &chosen {
            println!("{}: test", name(saboteur));
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    downlink_conformance_tests::set_timeout(Duration::from_secs(5));
    // The message of a failed law is compared and printed on one line below.
    panic::set_hook(Box::new(|_| {}));
    let failures = run(&chosen);
    let caught = chosen.len() - failures;
    println!("\nsaboteurs caught {caught}/{}", chosen.len());
    let unproven = if arguments.is_empty() { laws_without_saboteur() } else { Vec::new() };
    for law in &unproven {
        println!("law `{law}` has no saboteur: nothing shows that it can fail");
    }
    if failures == 0 && unproven.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn name(saboteur: &Saboteur) -> String {
    format!("saboteurs::{}::{}", saboteur.law, saboteur.name)
}

/// Selects tests like the standard harness does: those whose names contain one of
/// the arguments.
fn is_chosen(arguments: &[String], saboteur: &Saboteur) -> bool {
    let ignored = arguments.iter().any(|argument| argument == "--ignored");
    let mut parts = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let any = parts.peek().is_none();
    !ignored && (any || parts.any(|part| name(saboteur).contains(part.as_str())))
}

/// Runs each saboteur with its bug and without it, a few at a time. Prints the
/// results in order, and returns how many bugs were missed.
fn run(chosen: &[&'static Saboteur]) -> usize {
    let left = Mutex::new(chosen.iter().enumerate());
    let (controls, verdicts) = (Mutex::new(HashMap::new()), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, saboteur)) = next else { return };
            let verdict = control(&controls, saboteur).and_then(|()| sabotage(saboteur));
            verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(place, verdict);
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (saboteur, verdict) in chosen.iter().zip(verdicts.values()) {
        match verdict {
            Ok(message) => println!("caught {} ... {message}", name(saboteur)),
            Err(why) => println!("MISSED {} ... {why}", name(saboteur)),
        }
    }
    verdicts.values().filter(|verdict| verdict.is_err()).count()
}

/// The result of each law without a bug, by its name. It is the same for all
/// saboteurs of a law, so it is run once.
type Controls = Mutex<HashMap<&'static str, Arc<OnceLock<Result<(), String>>>>>;

fn control(controls: &Controls, saboteur: &Saboteur) -> Result<(), String> {
    let once = {
        let mut controls = controls.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(controls.entry(saboteur.law).or_default())
    };
    let outcome = once.get_or_init(|| {
        panic::catch_unwind(|| (saboteur.run)(false))
            .map_err(|message| format!("the law fails without the bug: {}", text(&*message)))
    });
    outcome.clone()
}

fn sabotage(saboteur: &Saboteur) -> Result<String, String> {
    let Err(message) = panic::catch_unwind(|| (saboteur.run)(true)) else {
        return Err("the law does not find the bug".to_owned());
    };
    let message = text(&*message);
    if message.contains(saboteur.message) {
        let line = message.lines().next().unwrap_or_default();
        let line = line.trim_start_matches("assertion `left == right` failed: ");
        Ok(line.chars().take(120).collect())
    } else {
        Err(format!(
            "the law fails with a message that does not contain \"{}\": {message}",
            saboteur.message
        ))
    }
}

fn text(message: &(dyn Any + Send)) -> String {
    let text = message.downcast_ref::<String>().cloned();
    text.or_else(|| message.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

fn laws_without_saboteur() -> Vec<&'static str> {
    let proven: HashSet<_> = list::all().map(|saboteur| saboteur.law).collect();
    lists::ALL.iter().copied().flatten().copied().filter(|law| !proven.contains(law)).collect()
}
