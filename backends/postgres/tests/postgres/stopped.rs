//! A client that holds the lock of the log and does not go on: a process that is stopped, and a
//! network that swallows everything. PostgreSQL ends its transaction after 2 s, and others go on.
//!
//! Not tested: a network that swallows the end of a statement whose messages have all arrived but
//! for the last one. PostgreSQL waits for that until TCP keepalive ends the connection.

use std::process::Stdio;
use std::time::{Duration, Instant};

use downlink::{Append, Cursor, Event, EventStore, Expected, NewEvent, Read};
use downlink_conformance_tests::cross_process::Respawn;
use downlink_postgres::PostgresStore;
use futures::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::Child;
use tokio::time::timeout;

use crate::commit_cut::check_log;
use crate::proxy::{Proxy, Silence};
use crate::server::{Server, fresh_schema, options};

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// How long others may be delayed. They measure about 2 s; this leaves time to a busy machine.
const DELAY: Duration = Duration::from_secs(6);

/// How often a process is stopped, unless it has held the lock three times before.
const STOPS: usize = 50;

/// In the answer to each round trip of an append, and within the request of each: the messages are
/// BEGIN, four for the facts, four for the events, and COMMIT.
const SILENCES: [Silence; 6] = [
    Silence::After(0),
    Silence::Within(1),
    Silence::After(4),
    Silence::Within(5),
    Silence::After(8),
    Silence::Within(9),
];

fn append(stream: &str) -> Append {
    let event = NewEvent::json("FlightDeparted", "{}").expect("an event");
    Append::to(stream, Expected::Any, [event]).expect("a valid name")
}

async fn connect(schema: &str, url: &str) -> PostgresStore {
    // An append whose BEGIN is not answered ends after both together.
    let options = options(schema).with_busy_deadline(Duration::from_secs(20));
    let options = options.with_step_deadline(Duration::from_secs(10));
    options.connect(url).await.expect("a store")
}

async fn log(store: &PostgresStore) -> Vec<Event> {
    let (mut events, mut after) = (Vec::new(), Cursor::START);
    loop {
        let read = Read::log().with_after(after).with_limit(1_000);
        let page = store.read_log(read).await.expect("the log");
        (events, after) = ([events, page.events].concat(), page.scanned);
        if !page.more {
            return events;
        }
    }
}

/// How long an append takes.
async fn delay(store: &PostgresStore) -> Duration {
    let began = Instant::now();
    store.append(append("gate-C71")).await.expect("an append of another client");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_silent_connection_delays_others_for_two_seconds() {
    timeout(DEADLINE, join_all(SILENCES.map(fall_silent))).await.expect("an append hangs");
}

/// Lets the connection of an append fall silent.
async fn fall_silent(when: Silence) {
    let schema = fresh_schema();
    let proxy = Proxy::start(Server::get().socket()).await;
    let store = connect(&schema, &proxy.url()).await;
    let other = connect(&schema, &Server::get().url()).await;
    let lost = append("flight-UA1545");
    // Before the append, which may be faster than what is polled beside it.
    let silent = proxy.fall_silent(when);
    let began = Instant::now();
    let (appended, ()) = tokio::join!(store.append(lost.clone()), async {
        silent.await;
        let delay = delay(&other).await;
        println!("silent {when:?}: another append takes {delay:.2?}");
        assert!(delay < DELAY, "silent {when:?}: another append waits {delay:?}");
        assert!(delay > Duration::from_secs(1), "silent {when:?}: the lock was not held");
    });
    println!("silent {when:?}: the append itself ends after {:.2?}", began.elapsed());
    let log = log(&other).await;
    check_log(&log);
    let id = lost.events().next().expect("an event").id();
    let is_stored = log.iter().any(|event| event.id() == id);
    assert_eq!(appended.is_ok(), is_stored, "silent {when:?}: {appended:?}");
    store.append(append("flight-UA1545")).await.expect("an append on a new connection");
}

/// A process that is stopped in the middle of its appends, of which some hold the lock.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_stopped_process_delays_others_for_two_seconds() {
    if let Some(address) = Respawn::address() {
        let (schema, url) = address.split_once(' ').expect("what the parent passes");
        append_forever(&connect(schema, url).await).await;
    }
    let (schema, url) = (fresh_schema(), Server::get().url());
    let other = connect(&schema, &url).await;
    let path = concat!(module_path!(), "::a_stopped_process_delays_others_for_two_seconds");
    let mut command = Respawn::of_test(path).command(&format!("{schema} {url}"));
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("this program can be started again");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut held = 0;
    for _ in 0..STOPS {
        // It goes on after each stop.
        for _ in 0..20 {
            next_stored(&mut lines).await;
        }
        signal(&child, Signal::STOP);
        let delay = timeout(DEADLINE, delay(&other)).await.expect("another append hangs");
        signal(&child, Signal::CONT);
        println!("stopped: another append takes {delay:.2?}");
        assert!(delay < DELAY, "an append waits {delay:?} for a process that is stopped");
        held += usize::from(delay > Duration::from_secs(1));
        if held == 3 {
            break;
        }
    }
    assert!(held > 0, "the process never held the lock when it was stopped");
    child.kill().await.expect("it runs");
    check_log(&log(&other).await);
}

/// Appends from several tasks, and prints a line for each acknowledgment.
async fn append_forever(store: &PostgresStore) {
    let appending = (0..8).map(|task| async move {
        loop {
            // What a stop has interrupted fails.
            if store.append(append(&format!("flight-{task}"))).await.is_ok() {
                println!("\nstored");
            }
        }
    });
    join_all(appending).await;
}

async fn next_stored(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) {
    let next = async {
        while lines.next_line().await.expect("a line").expect("it appends") != "stored" {}
    };
    timeout(DEADLINE, next).await.expect("a process does not go on after it was stopped");
}

fn signal(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
    kill_process(id, signal).expect("it runs");
}
