//! How far the backend reaches, beside what PostgreSQL and NATS do by hand. All that is compared
//! runs in turns within one run, on servers of its own, and only the ratios are comparable between
//! machines.
//!
//! ```console
//! $ cargo bench -p downlink-postgres --bench reach
//! $ cargo bench -p downlink-postgres --bench reach -- --rounds 9 --seconds 5
//! $ cargo bench -p downlink-postgres --bench reach -- --only snapshot --snapshot-minutes 10
//! ```

#[path = "../../../../examples/server/benches/load/rows/aim.rs"]
#[allow(dead_code, reason = "another benchmark needs the rest")]
mod aim;
mod append;
mod appender_process;
mod arguments;
mod by_hand;
mod deliver;
mod load;
#[path = "../../../../examples/server/benches/load/median.rs"]
mod median;
#[path = "../../../nats/tests/nats/server.rs"]
#[allow(dead_code, reason = "tests need the rest")]
mod nats_server;
mod replay;
#[path = "../../tests/postgres/server.rs"]
#[allow(dead_code, reason = "tests need the rest")]
mod server;
mod snapshot;
mod table;

use arguments::Arguments;
use server::Server;

/// The allocator of the example server, for everything that is compared.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What durable commits need, which the tests of this package switch off.
const SETTINGS: &str = "-c fsync=on -c full_page_writes=on -c autovacuum=on";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    if let Some(log) = appender_process::log_of_this_process() {
        return runtime.block_on(appender_process::run(&log));
    }
    let arguments = Arguments::read();
    let postgres = Server::start_with(SETTINGS);
    runtime.block_on(measure(&postgres, &arguments));
}

async fn measure(postgres: &Server, arguments: &Arguments) {
    table::print_head();
    if arguments.measures("append") {
        append::measure(postgres, arguments).await;
    }
    if arguments.measures("deliver") {
        deliver::measure(postgres, arguments).await;
    }
    if arguments.measures("replay") {
        replay::measure(postgres, arguments).await;
    }
    if arguments.measures("snapshot") {
        snapshot::measure(postgres, arguments).await;
    }
}
