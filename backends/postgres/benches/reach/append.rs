use crate::aim::Aim;
use crate::appender_process::{self, AppenderProcess, connect};
use crate::arguments::Arguments;
use crate::by_hand::{ByHand, pool};
use crate::load::{Plain, Raw, Together, rate};
use crate::median::{median, median_ratio};
use crate::server::{Server, fresh_schema};
use crate::table;

const APPENDERS: usize = 64;

/// The connections of an ordinary pool.
const POOL: u32 = 32;

#[derive(Default)]
struct Rates {
    plain: Vec<f64>,
    raw: Vec<f64>,
    store: Vec<f64>,
    processes: Vec<f64>,
    together: Vec<f64>,
}

/// The throughput of appends.
pub(crate) async fn measure(server: &Server, arguments: &Arguments) {
    let (url, time) = (server.url(), arguments.round);
    let plain = Plain(ByHand::create(server, "plain", POOL).await);
    let raw = Raw(ByHand::create(server, "raw", 1).await);
    let store = connect(&fresh_schema(), &url).await;
    let together =
        Together { pool: pool(server, POOL).await, store: connect(&fresh_schema(), &url).await };
    sqlx::raw_sql("CREATE TABLE gates (gate text)").execute(&together.pool).await.expect("a table");
    let shared = fresh_schema();
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(AppenderProcess::start(&shared, &url).await);
    }
    let mut rates = Rates::default();
    for _ in 0..arguments.rounds {
        rates.plain.push(rate(&plain, APPENDERS, time).await);
        rates.raw.push(rate(&raw, 1, time).await);
        rates.store.push(rate(&store, APPENDERS, time).await);
        rates.processes.push(appender_process::rate(&mut processes, APPENDERS, time).await);
        rates.together.push(rate(&together, APPENDERS, time).await);
    }
    rates.print();
}

impl Rates {
    fn print(&self) {
        let Self { plain, raw, store, processes, together } = self;
        let rate = |rates: &[f64]| table::rate(median(rates.iter().copied()));
        table::print("plain: an INSERT in each transaction, a pool of 32", &rate(plain));
        table::print("raw: transactions of 64 rows, one connection", &rate(raw));
        let to_plain = |rates: &[f64], aim| (median_ratio(rates, plain), Aim::AtLeast(aim));
        let print = |measure: &str, rates: &[f64], (ratio, aim): (f64, Aim)| {
            table::print_ratio(measure, &rate(rates), ratio, aim);
        };
        print("64 appenders, beside plain", store, to_plain(store, 3.0));
        print("64 appenders, beside raw", store, (median_ratio(store, raw), Aim::AtLeast(0.6)));
        let one = (median_ratio(processes, store), Aim::AtLeast(0.9));
        print("three processes with 64 appenders each, beside one", processes, one);
        print(
            "commit_with, 64 tasks, a pool of 32, beside plain",
            together,
            to_plain(together, 0.8),
        );
    }
}
