//! Copies of logs from, to and within databases.

use downlink_any::{BusUrl, Log, Options, StoreUrl};
use downlink_conformance_tests::Guard;
use futures::FutureExt;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::copier::{copy_and_kill, fill};
use crate::copying::{Open, Opened, any_log, between_every_two, beyond_the_limits, run};
use crate::merging;
use crate::server::{self, Server, fresh_schema};

const STORES: [Open; 4] = [
    || async { Opened::in_memory() }.boxed(),
    || Opened::in_a_file("rusqlite").boxed(),
    || Opened::in_a_file("sqlx").boxed(),
    || async { Opened::of(in_a_database(&fresh_schema()).await, Guard::none()) }.boxed(),
];

async fn in_a_database(schema: &str) -> Log {
    let options = Options::new(StoreUrl::Postgres(Server::get().url()));
    let options = options.with_postgres(server::options(schema)).with_bus(BusUrl::Local);
    options.open().await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]
    #[test]
    #[ignore = "needs PostgreSQL: ./check postgres"]
    fn a_log_is_the_same_after_every_copy(events in any_log()) {
        run(between_every_two(events, &STORES));
    }
}

#[test]
#[ignore = "needs PostgreSQL: ./check postgres"]
fn events_beyond_the_limits_of_appends_are_copied() {
    run(between_every_two(beyond_the_limits(), &STORES[2..]));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_copy_that_is_killed_is_continued() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| format!("rusqlite:{}", folder.path().join(name).display());
    let (from, back) = (file("from.db"), file("back.db"));
    let (database, schema) = (Server::get().url(), fresh_schema());
    let original = Log::open(&from).await.unwrap();
    fill(&*original.import_store(), 60_000).await;
    let copy = in_a_database(&schema).await;
    copy_and_kill(&original, &copy, &["--to-schema", &schema, &from, &database]).await;
    original.close().await;
    let last = Log::open(&back).await.unwrap();
    copy_and_kill(&copy, &last, &["--from-schema", &schema, &database, &back]).await;
    copy.close().await;
    last.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_log_is_added_to_another_one() {
    merging::a_log_is_added_to_another_one(STORES[3]().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn an_old_cursor_is_translated_once() {
    merging::an_old_cursor_is_translated_once(STORES[3]().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn the_search_for_skipped_events_is_bounded() {
    for runs in [64, 65] {
        merging::the_search_for_skipped_events_is_bounded(runs, STORES[3]().await).await;
    }
}
