//! Every store accepts what the limits allow, and gives the same results.

use downlink::{
    Append, Check, ErrorKind, Event, EventStore, Expected, Filter, FilterItem, MemoryStore,
    NewEvent, Read, Result, limits,
};

use crate::support::TempLog;
use crate::support::driver::Store;

/// Adds the `n`th value of a group to an item.
type Add = fn(FilterItem, usize) -> Result<FilterItem>;

/// Every group of an item.
const GROUPS: [Add; 6] = [
    |item, n| item.with_stream(format!("flight-{n}")),
    |item, n| item.with_stream_prefix(&format!("flight-{n}")),
    |item, n| item.with_type(format!("Type{n}")),
    |item, n| item.with_type_prefix(&format!("Type{n}")),
    |item, n| item.without_type(format!("Type{n}")),
    |item, n| item.with_tag(format!("tag:{n}")),
];

fn values(add: Add, numbers: impl IntoIterator<Item = usize>) -> FilterItem {
    numbers.into_iter().try_fold(FilterItem::new(), add).unwrap()
}

/// The largest filters: for each group, all values in one item and one value in
/// each of many items, alone and combined.
fn largest() -> Vec<Filter> {
    let (most, queries) = (limits::MAX_FILTER_VALUES, limits::MAX_FILTER_QUERIES);
    let mut all = Vec::new();
    for add in GROUPS {
        let item = |shift: usize| Filter::from(values(add, shift..shift + most));
        let alternatives =
            |shift: usize| Filter::any_of((shift..shift + most).map(|n| values(add, [n]))).unwrap();
        for query in [&item as &dyn Fn(usize) -> Filter, &alternatives] {
            let joined = (0..queries).try_fold(Filter::everything(), |all, n| all.and(&query(n)));
            all.extend([query(0), joined.unwrap()]);
        }
    }
    all
}

/// Appends the same events to both, more than are scanned without an index.
async fn fill(stores: [&dyn EventStore; 2]) {
    for group in 0..12 {
        let events: Vec<_> = (0..100)
            .map(|n| {
                let event = NewEvent::json(format!("Type{}", (group * 100 + n) % 90), "{}");
                let event = event.unwrap().with_tag(format!("tag:{}", n % 80)).unwrap();
                // The first event has all the tags that a filter can name.
                (1..if n == 0 { 64 } else { 1 })
                    .try_fold(event, |event, tag| event.with_tag(format!("tag:{tag}")))
                    .unwrap()
            })
            .collect();
        for store in stores {
            let stream = format!("flight-{}", group * 7);
            let append = Append::to(stream, Expected::Any, events.clone()).unwrap();
            store.append(append).await.unwrap();
        }
    }
}

async fn found(store: &dyn EventStore, filter: &Filter) -> Vec<(u64, String)> {
    let mut read = Read::log().with_filter(filter.clone());
    let mut all = Vec::new();
    loop {
        let page = store.read_log(read.clone()).await.unwrap_or_else(|error| panic!("{error:?}"));
        let name = |event: &Event| (event.position().get(), event.event_type().to_string());
        all.extend(page.events.iter().map(name));
        if !page.more {
            return all;
        }
        read = read.with_after(page.scanned);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_filters_and_empty_ones_match_the_same_as_in_memory() {
    let temp = TempLog::new();
    let (store, memory): (Store, _) = (temp.open().await, MemoryStore::new());
    fill([&store, &memory]).await;
    let mut has_matched = 0;
    for filter in largest() {
        let wanted = found(&memory, &filter).await;
        assert_eq!(found(&store, &filter).await, wanted, "{filter:?}");
        has_matched += usize::from(!wanted.is_empty());
    }
    assert!(has_matched > 12, "only {has_matched} of the filters match anything");
    let no_streams: [&str; 0] = [];
    for nothing in [
        Filter::nothing(),
        FilterItem::new().with_streams(no_streams).unwrap().into(),
        Filter::from(FilterItem::new().with_tag("tag:1").unwrap()).and(&Filter::nothing()).unwrap(),
    ] {
        assert_eq!(found(&store, &nothing).await, [], "{nothing:?}");
        assert_eq!(found(&memory, &nothing).await, [], "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_maximum_number_of_checks_with_the_largest_filters_is_decided() {
    let temp = TempLog::new();
    let store = temp.open().await;
    fill([&store, &MemoryStore::new()]).await;
    let seen = store.head().await.unwrap();
    let event = || [NewEvent::json("FlightDelayed", "{}").unwrap()];
    let checked = |count: usize, last: Filter| {
        let filters = largest().into_iter().cycle().take(count - 1).chain([last]);
        let append = Append::to("checked", Expected::Any, event()).unwrap();
        filters.fold(append, |append, filter| append.with_check(Check::NothingAfter(filter, seen)))
    };
    let most = limits::MAX_CHECKS_PER_APPEND;
    store.append(checked(most, Filter::nothing())).await.unwrap();
    // The event just appended violates this boundary.
    let delays = FilterItem::new().with_type("FlightDelayed").unwrap().into();
    let error = store.append(checked(most, delays)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let error = store.append(checked(most + 1, Filter::nothing())).await.unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(most)));
}
