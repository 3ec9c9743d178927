//! Checks of resuming.

use std::time::Instant;

use super::ensure::ensure;
use super::http::Request;
use super::streaming::{events, same, until_live};
use super::target::{Target, join, member};
use super::{Failure, Outcome};

/// How many cursors are resumed from.
const CURSORS: usize = 12;

/// The newest events of this run, or of the log.
async fn some(target: &Target) -> Result<Vec<String>, Failure> {
    let filter = target.filter();
    let newest = format!("after=last:{CURSORS}&limit={CURSORS}");
    let events = target.page(&join(&[&filter, &newest])).await?.events;
    if events.is_empty() {
        Err(Failure::Skipped("the log is empty".to_owned()))
    } else {
        Ok(events)
    }
}

pub(super) async fn every_cursor_is_resumed_exactly(target: &Target) -> Outcome {
    let (filter, log) = (target.filter(), some(target).await?);
    for (place, event) in log.iter().enumerate() {
        let cursor = member(event, "cursor");
        let rest = &log[place + 1..];
        let what = format!("a page after {cursor}");
        same(rest, &target.all(&filter, &cursor, 1_000).await?, "the log", &what)?;
        let after = format!("after={cursor}");
        let polyfill = format!("lastEventId={cursor}");
        for (parameter, header) in [(&*after, None), (&*polyfill, None), ("", Some(&*cursor))] {
            let headers: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
            let mut stream = target.stream(&[&filter, parameter], &headers).await?;
            let streamed = events(&until_live(&mut stream).await?);
            same(rest, &streamed, "the log", &format!("a stream that resumed after {cursor}"))?;
        }
    }
    Ok(())
}

pub(super) async fn the_header_wins_over_the_url(target: &Target) -> Outcome {
    let (filter, log) = (target.filter(), some(target).await?);
    let place = log.len() / 2;
    let cursor = member(&log[place], "cursor");
    let path = target.path("/feed", &[&filter, "after=start&limit=1"]);
    let answer = target.ask(Request::new("GET", &path).header("last-event-id", &cursor)).await?;
    let found = answer.json()?["events"][0]["cursor"].as_str().unwrap_or_default().to_owned();
    let wanted = log.get(place + 1).map_or(String::new(), |event| member(event, "cursor"));
    ensure!(
        wanted.is_empty() || found == wanted,
        "with Last-Event-ID {cursor} and after=start the first event is {found} instead of {wanted}"
    );
    Ok(())
}

pub(super) async fn pages_of_any_size_concatenate(target: &Target) -> Outcome {
    let (filter, log) = (target.filter(), some(target).await?);
    let first = member(&log[0], "cursor");
    let whole = target.all(&filter, &first, 1_000).await?;
    for limit in [1, 2, 5] {
        let pages = target.all(&filter, &first, limit).await?;
        same(&whole, &pages, "one page", &format!("pages of {limit}"))?;
    }
    Ok(())
}

pub(super) async fn a_poll_at_the_end_waits(target: &Target) -> Outcome {
    let began = Instant::now();
    // A stream that nothing is written to, so that other writers do not end the wait.
    let unused = "stream=check-no-such-stream";
    let page = target.page(&format!("{unused}&after=now&wait=1")).await?;
    ensure!(page.events.is_empty() && !page.more, "a poll of nothing found {page:?}");
    ensure!(page.cursor <= page.head, "the cursor is past the head");
    ensure!(
        began.elapsed().as_millis() >= 900,
        "a poll that was asked to wait a second was answered after {:?}: clients would poll \
         without a pause",
        began.elapsed()
    );
    Ok(())
}
