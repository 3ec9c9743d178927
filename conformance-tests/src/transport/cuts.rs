use std::collections::HashSet;
use std::sync::Arc;

use downlink::{Cursor, Event, Expected, Filter, Frame, Subscribe};

use super::Line;
use super::line::{Served, connect, expect_same};
use crate::faults::CuttingProxy;
use crate::sample::append;
use crate::tasks;

/// Connections that are made at a time.
const AT_ONCE: usize = 8;

/// **Law T2.** A client that is cut off after any byte of a session, and resumes
/// from its last complete frame, has no gap and no repeat.
pub async fn resumes_after_a_cut_at_every_byte(line: &Line) {
    let history: Vec<_> =
        (0..24).map(|n| append(&format!("f-{}", n % 3), Expected::Any, 1)).collect();
    let served = Arc::new(line.open(&history).await);
    let (whole, bytes) = whole_session(&served).await;
    assert!(whole.len() >= 24, "a session has its events, `ready` and `live`");
    let whole = Arc::new(whole);
    let workers = (0..AT_ONCE).map(|worker| {
        let (served, whole) = (Arc::clone(&served), Arc::clone(&whole));
        tokio::spawn(async move {
            let proxy = CuttingProxy::start(served.address).await.expect("a proxy");
            let mut resumed = HashSet::new();
            for cut in (worker..=bytes).step_by(AT_ONCE) {
                proxy.cut_after(cut);
                cut_and_resume(&served, &proxy, &whole, cut, &mut resumed).await;
            }
            resumed
        })
    });
    let resumed = tasks::join(workers.collect::<Vec<_>>()).await;
    let places: HashSet<Cursor> = resumed.into_iter().flatten().collect();
    assert!(
        places.len() >= 24,
        "cutting at {bytes} places led to {} cursors only: most frames carry none",
        places.len()
    );
}

/// One session through a proxy that does not cut: its frames, and how many bytes
/// they took.
async fn whole_session(served: &Served) -> (Vec<Frame>, usize) {
    let proxy = CuttingProxy::start(served.address).await.expect("a proxy");
    let client = connect(&served.carrier, proxy.address(), Subscribe::new()).await;
    let mut client = client.expect("a connection through a proxy");
    client.until_live().await;
    (client.seen, proxy.passed())
}

async fn cut_and_resume(
    served: &Served,
    proxy: &CuttingProxy,
    whole: &[Frame],
    cut: usize,
    resumed: &mut HashSet<Cursor>,
) {
    let mut frames = Vec::new();
    // A cut within the head of the answer is no connection at all.
    if let Ok(mut client) = connect(&served.carrier, proxy.address(), Subscribe::new()).await {
        client.until_the_end().await;
        frames = client.seen;
    }
    let same = frames.iter().zip(whole).take_while(|(cut, whole)| is_same(cut, whole)).count();
    assert!(
        same == frames.len(),
        "after a cut at byte {cut} a client took half a frame for a whole one: {:?} instead of {:?}",
        frames[same],
        whole.get(same)
    );
    let cursor = frames.iter().filter_map(Frame::cursor).next_back().unwrap_or(Cursor::START);
    let delivered: Vec<Event> = events(&frames).cloned().collect();
    let handled = delivered.last().map_or(Cursor::START, Event::cursor);
    assert!(
        handled.position() <= cursor.position(),
        "after a cut at byte {cut} a client would resume at {cursor}, before the last event that it \
         has"
    );
    let missed = events(whole).find(|event| {
        event.position() <= cursor.position() && event.position() > handled.position()
    });
    assert!(
        missed.is_none(),
        "after a cut at byte {cut} a client would resume at {cursor} without having had {missed:?}"
    );
    // Clients that were cut at different bytes of one frame resume alike.
    if resumed.insert(cursor) {
        let mut client = served.follow(cursor, Filter::everything()).await;
        client.until_live().await;
        let log = served.log().await;
        let both: Vec<_> = delivered.iter().chain(client.events()).collect();
        expect_same(&both, &log, &format!("cut at byte {cut} and resumed at {cursor}"));
    }
}

fn events(frames: &[Frame]) -> impl Iterator<Item = &Event> {
    frames.iter().filter_map(|frame| match frame {
        Frame::Event { event, .. } => Some(event),
        _ => None,
    })
}

/// The same frame of another connection; what a server says of itself may
/// differ.
fn is_same(one: &Frame, other: &Frame) -> bool {
    match (one, other) {
        (Frame::Event { envelope, .. }, Frame::Event { envelope: other, .. }) => envelope == other,
        (Frame::Heartbeat { .. }, _) => true,
        _ => one == other,
    }
}
