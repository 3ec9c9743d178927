use std::collections::HashSet;
use std::sync::Arc;

use downlink::transport::Frame;
use downlink::{Append, Cursor, Event, Expected, Filter, NewEvent, Subscribe};

use super::TransportSetup;
use super::setup::{TestServer, connect, events, expect_same};
use crate::faults::CuttingProxy;
use crate::sample::{append, stream};
use crate::tasks;

/// How many connections are made at a time.
const AT_ONCE: usize = 8;

/// **Law.** A client whose connection is cut after any byte of a session, and
/// that resumes from its last complete frame, sees no gap and no repeat.
pub async fn resumes_after_a_cut_at_every_byte(setup: &TransportSetup) {
    let history: Vec<_> =
        (0..12).map(|n| append(&format!("f-{}", n % 3), Expected::Any, 1)).collect();
    cut_at_every_byte(setup, &history).await;
}

/// Tests the same with payloads that are hard to frame: line breaks of every
/// kind, NUL, text that looks like fields, and one payload of 70,000 bytes.
/// Returns the numbers of bytes and frames of the session that was cut after
/// each byte. Takes minutes.
pub async fn resumes_after_a_cut_in_hard_payloads(setup: &TransportSetup) -> (usize, usize) {
    let payloads = [
        "{\r\n  \"gate\": \"C71\",\r  \"note\": null\n}".to_owned(),
        r#"{"note":"data: x\r\nid: 7\u0000\n\n"}"#.to_owned(),
        format!(r#"{{"note":"{}"}}"#, "fog, ".repeat(14_000)),
        "[ ]".to_owned(),
    ];
    let history = payloads.map(|payload| {
        let event = NewEvent::json("FlightDelayed", payload).expect("JSON");
        Append::to(stream("f-1"), Expected::Any, [event]).expect("an append")
    });
    cut_at_every_byte(setup, &history).await
}

async fn cut_at_every_byte(setup: &TransportSetup, history: &[Append]) -> (usize, usize) {
    let served = Arc::new(setup.open(history).await);
    let (whole, bytes) = whole_session(&served).await;
    assert!(
        whole.len() >= history.len() + 2,
        "a session has to have its events, `ready` and `live`"
    );
    let whole = Arc::new(whole);
    let workers = (0..AT_ONCE).map(|worker| {
        let (served, whole) = (Arc::clone(&served), Arc::clone(&whole));
        tokio::spawn(async move {
            let proxy = CuttingProxy::start(served.address).await.expect("a proxy");
            let mut places = CutOutcomes::default();
            for cut in (worker..=bytes).step_by(AT_ONCE) {
                proxy.cut_after(cut);
                cut_and_resume(&served, &proxy, &whole, cut, &mut places).await;
            }
            places
        })
    });
    let places = tasks::join(workers.collect::<Vec<_>>()).await;
    let cursors: HashSet<_> = places.iter().flat_map(|places| &places.cursors).collect();
    let amounts: HashSet<_> = places.iter().flat_map(|places| &places.amounts).collect();
    assert!(
        cursors.len() * 2 >= amounts.len(),
        "{bytes} cuts led to only {} cursors after {} different numbers of frames: most frames \
         have no cursor",
        cursors.len(),
        amounts.len()
    );
    (bytes, whole.len())
}

/// What the cuts led to.
#[derive(Default)]
struct CutOutcomes {
    /// The cursors from which clients would resume.
    cursors: HashSet<Cursor>,
    /// How many frames clients had received: fewer values if a transport puts
    /// several events into one message.
    amounts: HashSet<usize>,
}

/// Runs one session through a proxy that does not cut. Returns its frames, and
/// how many bytes they took.
async fn whole_session(served: &TestServer) -> (Vec<Frame>, usize) {
    let proxy = CuttingProxy::start(served.address).await.expect("a proxy");
    let client = connect(&served.transport, proxy.address(), Subscribe::new()).await;
    let mut client = client.expect("a connection through a proxy");
    client.until_live().await;
    (client.seen, proxy.passed())
}

async fn cut_and_resume(
    served: &TestServer,
    proxy: &CuttingProxy,
    whole: &[Frame],
    cut: usize,
    places: &mut CutOutcomes,
) {
    let mut frames = Vec::new();
    // After a cut inside the response head there is no connection.
    if let Ok(mut client) = connect(&served.transport, proxy.address(), Subscribe::new()).await {
        client.until_cut(whole.len()).await;
        frames = client.seen;
    }
    let same = frames.iter().zip(whole).take_while(|(cut, whole)| is_same(cut, whole)).count();
    assert!(
        same == frames.len(),
        "after a cut at byte {cut} a client accepted half a frame as a whole one: {:?} instead of \
         {:?}",
        frames[same],
        whole.get(same)
    );
    let cursor = frames.iter().filter_map(Frame::cursor).next_back().unwrap_or(Cursor::START);
    let delivered: Vec<Event> = events(&frames).cloned().collect();
    let handled = delivered.last().map_or(Cursor::START, Event::cursor);
    assert!(
        handled.position() <= cursor.position(),
        "after a cut at byte {cut} a client would resume at {cursor}, before the last event that \
         it has"
    );
    let missed = events(whole).find(|event| {
        event.position() <= cursor.position() && event.position() > handled.position()
    });
    assert!(
        missed.is_none(),
        "after a cut at byte {cut} a client would resume at {cursor} without having had {missed:?}"
    );
    places.amounts.insert(frames.len());
    // Clients that were cut at different bytes of one frame resume from the same cursor.
    if places.cursors.insert(cursor) {
        let mut client = served.follow(cursor, Filter::everything()).await;
        client.until_live().await;
        let log = served.log().await;
        let both: Vec<_> = delivered.iter().chain(client.events()).collect();
        expect_same(&both, &log, &format!("cut at byte {cut} and resumed at {cursor}"));
    }
}

/// Whether these are the same frame on two connections. Heartbeats may differ.
fn is_same(one: &Frame, other: &Frame) -> bool {
    match (one, other) {
        (Frame::Event { envelope, .. }, Frame::Event { envelope: other, .. }) => envelope == other,
        (Frame::Heartbeat { .. }, _) => true,
        _ => one == other,
    }
}
