use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::clients::Clients;
use crate::http_publisher::HttpPublisher;
use crate::open_files;
use crate::request::Requests;
use crate::run_result::RunResult;
use crate::server::Server;
use crate::source::Source;
use crate::support::Result;
use crate::transport::Transport;

/// Loads a server over one transport after the other, and prints a table.
pub(crate) async fn run(arguments: &Arguments) -> Result<Value> {
    let mut results = Vec::new();
    for transport in &arguments.transport {
        results.push(load(arguments, *transport).await?);
    }
    RunResult::print_head();
    results.iter().for_each(RunResult::print);
    results.iter().for_each(RunResult::print_memory);
    Ok(results.iter().map(RunResult::to_json).collect())
}

async fn load(arguments: &Arguments, transport: Transport) -> Result<RunResult> {
    let connections = open_files::limited(arguments.connections());
    let (mut source, requests) = start(arguments, transport).await?;
    let requests = requests.with_filter(&arguments.filter);
    eprintln!("{}: opening {connections} connections", transport.name());
    let before = source.usage();
    let mut clients = Clients::open(&requests, connections).await?;
    clients.expect_timed(0).await?;
    let open = source.usage();
    let mut result = RunResult::new(transport, connections, before, open);
    let began = Instant::now();
    for _ in 0..arguments.seconds() {
        clients.replace(arguments.churn).await?;
        append_for_a_second(&mut source, arguments).await?;
        result.add(clients.report().await?, source.usage(), began.elapsed());
        result.print_progress();
    }
    Ok(result)
}

/// The server, and what its clients request.
async fn start(arguments: &Arguments, transport: Transport) -> Result<(Source, Requests)> {
    if let Some(url) = &arguments.url {
        let (authority, prefix) = parse(url)?;
        let publisher = HttpPublisher::connect(authority, prefix).await?;
        let requests = Requests::new(transport, authority).with_prefix(prefix);
        return Ok((Source::Running(Box::new(publisher), arguments.pid), requests));
    }
    let server = match transport {
        Transport::Raw => Server::in_memory(transport).await?,
        _ => Server::start(&arguments.store).await?,
    };
    let requests = Requests::new(transport, &server.authority);
    Ok((Source::Own(server), requests))
}

/// The authority, and the path before the routes of the feed.
fn parse(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or("--url begins with `http://`")?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, prefix) = rest.split_at(slash);
    Ok((authority, prefix.trim_end_matches('/')))
}

async fn append_for_a_second(source: &mut Source, arguments: &Arguments) -> Result<()> {
    if arguments.rate == 0 {
        sleep(Duration::from_secs(1)).await;
        return Ok(());
    }
    source.at_rate(arguments.rate, arguments.rate, arguments.streams).await
}
