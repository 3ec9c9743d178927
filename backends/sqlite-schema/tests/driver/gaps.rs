//! Logs in which many positions are missing.

use downlink::store::{Direction, ReadLog};
use downlink::{EventStore, Filter, FilterItem, Position, Read};

use crate::support::driver::{Options, Store};
use crate::support::{TempLog, stored};

/// More positions than one page looks at.
const GAP: u64 = 30_000;

/// A log with events at 1, at 2, and after the gap.
async fn with_gap(temp: &TempLog, lag: usize) -> Store {
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 2).await;
    store.close().await;
    let jump = format!("UPDATE downlink_head SET position = {GAP}");
    temp.sql().execute_batch(&jump).unwrap();
    let store = Options::new().with_index_lag(lag).open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 2).await;
    store
}

/// The positions of all pages, starting with this read.
async fn positions(store: &Store, mut read: ReadLog) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..10 {
        let page = store.read_log(read.clone()).await.unwrap();
        found.extend(page.events.iter().map(|event| event.position().get()));
        if !page.more {
            return found;
        }
        read = read.with_after(page.scanned);
    }
    panic!("no end after ten pages: {read:?}, {found:?}");
}

#[tokio::test]
async fn reads_skip_a_gap_and_return_everything_after_it() {
    for is_indexed in [false, true] {
        let temp = TempLog::new();
        let store = with_gap(&temp, if is_indexed { 1 } else { usize::MAX }).await;
        while is_indexed && store.index_lag().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        let filters = [
            Filter::everything(),
            FilterItem::new().with_type("FlightDeparted").unwrap().into(),
            FilterItem::new().with_type_prefix("Flight").unwrap().into(),
            FilterItem::new().without_type("Other").unwrap().into(),
            FilterItem::new().with_stream_prefix("flight").unwrap().into(),
        ];
        let all = [1, 2, GAP + 1, GAP + 2];
        for (mark, limit) in [(None, 100), (None, 1), (Some(1), 100), (Some(9), 1)]
            .into_iter()
            .chain([(Some(15_000), 100), (Some(GAP), 1), (Some(GAP + 1), 100)])
        {
            for filter in &filters {
                let read = Read::log().with_filter(filter.clone()).with_limit(limit);
                let at = mark.and_then(Position::new);
                let read = at.map_or(read.clone(), |at| read.with_after(at));
                for read in [read.clone(), read.backward()] {
                    let is_forward = read.direction() == Direction::Forward;
                    let mut expected = all.to_vec();
                    expected.retain(|position| {
                        mark.is_none_or(|mark| {
                            if is_forward { *position > mark } else { *position < mark }
                        })
                    });
                    if !is_forward {
                        expected.reverse();
                    }
                    assert_eq!(positions(&store, read.clone()).await, expected, "{read:?}");
                }
            }
            let other = FilterItem::new().with_type("Other").unwrap();
            let none = Read::log().with_filter(other.into());
            assert_eq!(positions(&store, none.clone()).await, [0; 0]);
            assert_eq!(positions(&store, none.backward()).await, [0; 0]);
        }
        store.close().await;
    }
}
