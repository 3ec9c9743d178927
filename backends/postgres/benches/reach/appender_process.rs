use std::process::Stdio;
use std::time::{Duration, Instant};

use downlink_postgres::{Options, PostgresStore};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::load::{per_second, stored};

/// With this argument the program appends in rounds, for the process that measures.
const APPEND: &str = "--append-to";

/// Another process that appends to a log.
pub(crate) struct AppenderProcess {
    _process: Child,
    orders: ChildStdin,
    counts: Lines<BufReader<ChildStdout>>,
}

/// Schema and URL of the log, if this is such a process.
pub(crate) fn log_of_this_process() -> Option<[String; 2]> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == APPEND)?;
    Some([arguments[at + 1].clone(), arguments[at + 2].clone()])
}

/// Appends for as many milliseconds and from as many tasks as each line of the input says, and
/// prints how many events were stored.
pub(crate) async fn run([schema, url]: &[String; 2]) {
    let store = connect(schema, url).await;
    println!("ready");
    let mut orders = BufReader::new(stdin()).lines();
    while let Some(order) = orders.next_line().await.expect("a line") {
        let (millis, tasks) = order.split_once(' ').expect("two numbers");
        let time = Duration::from_millis(millis.parse().expect("a number"));
        println!("{}", stored(&store, tasks.parse().expect("a number"), time).await);
    }
}

pub(crate) async fn connect(schema: &str, url: &str) -> PostgresStore {
    Options::new().with_schema(schema).connect(url).await.expect("a log")
}

impl AppenderProcess {
    pub(crate) async fn start(schema: &str, url: &str) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.args([APPEND, schema, url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().expect("a process");
        let orders = process.stdin.take().expect("its input");
        let mut counts = BufReader::new(process.stdout.take().expect("its output")).lines();
        counts.next_line().await.expect("a line").expect("a process that is ready");
        Self { _process: process, orders, counts }
    }

    async fn append(&mut self, tasks: usize, time: Duration) -> usize {
        let order = format!("{} {tasks}\n", time.as_millis());
        self.orders.write_all(order.as_bytes()).await.expect("a process that reads");
        let count = self.counts.next_line().await.expect("a line").expect("a count");
        count.parse().expect("a number")
    }
}

/// How many events all these processes store in a second, each from this many tasks.
pub(crate) async fn rate(processes: &mut [AppenderProcess], tasks: usize, time: Duration) -> f64 {
    let began = Instant::now();
    let appending = processes.iter_mut().map(|process| process.append(tasks, time));
    let counts = futures::future::join_all(appending).await;
    per_second(counts.into_iter().sum(), began.elapsed())
}
