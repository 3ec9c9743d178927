use std::sync::Arc;

use downlink::{Cursor, EventId, Hint, Listener, Read};
use futures::{FutureExt, StreamExt};
use tokio::time::sleep;

use crate::hub::Shared;
use crate::hub_bug::HubBug;

/// Reads the log once for all subscribers.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut listener = None;
    let mut last = *shared.tip.borrow();
    loop {
        if listener.is_none() {
            listener = shared.bus.listen().await.ok();
        }
        if !shared.is(HubBug::ClearsTheFlagAfterTheRead) {
            clear(&shared, &mut listener);
        }
        read(&shared, &mut last).await;
        if shared.is(HubBug::ClearsTheFlagAfterTheRead) {
            clear(&shared, &mut listener);
        }
        let hint = wait(&shared, &mut listener).await;
        let claimed = hint.and_then(Hint::claimed_position);
        if let (true, Some(claimed)) = (shared.is(HubBug::TakesTheHintForACursor), claimed)
            && claimed > last.position()
        {
            last = Cursor::of(claimed, EventId::from_bytes([0; 16]));
        }
    }
}

/// Takes every hint that waits.
fn clear(shared: &Shared, listener: &mut Option<Listener>) {
    while shared.nudge.notified().now_or_never().is_some() {}
    if let Some(hints) = listener {
        while hints.next().now_or_never().flatten().is_some() {}
    }
}

async fn read(shared: &Shared, last: &mut Cursor) {
    loop {
        let read = Read::log().after(last.position()).limit(shared.tuning.page);
        let page = match shared.store.read(read).await {
            Ok(page) => page,
            Err(error) if error.is_other_history() => return,
            Err(_) => {
                sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        *last = page.scanned;
        shared.extend(page.events, page.scanned).await;
        if !page.more || shared.is(HubBug::ReadsOnePageAHint) {
            return;
        }
    }
}

async fn wait(shared: &Shared, listener: &mut Option<Listener>) -> Option<Hint> {
    let next = async {
        match listener {
            Some(hints) => hints.next().await,
            None => std::future::pending().await,
        }
    };
    let fallback = async {
        if shared.is(HubBug::HasNoFallback) {
            std::future::pending::<()>().await;
        } else {
            sleep(shared.tuning.fallback).await;
        }
    };
    tokio::select! {
        () = shared.nudge.notified() => None,
        () = fallback => None,
        hint = next => {
            if hint.is_none() {
                *listener = None;
                // A bus that ends what it lets one hear is asked again later.
                sleep(std::time::Duration::from_millis(10)).await;
            }
            hint
        }
    }
}
