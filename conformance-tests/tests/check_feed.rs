//! The runner that knows a server by its URL only, against the feed.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use axum::Router;
use downlink_conformance_tests::black_box::{self, Report};
use downlink_transports::feed::Feed;
use downlink_transports::health;
use downlink_transports::serve::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves as the example server does, and checks that.
async fn check(router: Router, path: &str) -> Result<Report, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Server::new(router).serve(listener, CancellationToken::new()));
    let report = black_box::check(&format!("http://{address}{path}"), |_| {}).await;
    serving.abort();
    report
}

fn wrong(report: &Report) -> Vec<String> {
    report.findings.iter().filter(|found| found.wrong.is_some()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_feed_is_as_the_contract_says() {
    let hub = downlink::memory::hub().await.unwrap();
    let router = Feed::new(&hub).with_append().router().merge(health::router(&hub));
    let report = check(router, "").await.unwrap();
    assert_eq!(wrong(&report), [""; 0]);
    assert!(report.is_good());
    assert!(report.findings.iter().all(|found| found.left_out.is_none()), "{report:?}");
}

#[tokio::test]
async fn a_feed_without_appends_is_checked_as_far_as_it_goes() {
    let hub = downlink::memory::hub().await.unwrap();
    for _ in 0..20 {
        let event = downlink::NewEvent::with_json("FlightDelayed", "{}").unwrap();
        hub.append("flight-UA1545", downlink::Expected::Any, [event]).await.unwrap();
    }
    let router = Router::new().nest("/api", Feed::new(&hub).router());
    let report = check(router, "/api/").await.unwrap();
    assert_eq!(wrong(&report), [""; 0]);
    let left_out = report.findings.iter().filter(|found| found.left_out.is_some()).count();
    assert_eq!(left_out, 6, "{report:?}");
}

#[tokio::test]
async fn what_is_no_feed_is_told() {
    let router = Router::new().route("/feed", axum::routing::get(async || "hello"));
    let error = check(router, "").await.unwrap_err();
    assert!(error.starts_with("no feed at http://127.0.0.1:"), "{error}");
    assert!(black_box::check("127.0.0.1", |_| {}).await.is_err());
}

#[tokio::test]
async fn a_server_that_breaks_the_contract_is_found_out() {
    let hub = downlink::memory::hub().await.unwrap();
    let feed = Feed::new(&hub).with_append().router();
    // Something between takes headers off, as a careless proxy does.
    let feed = feed.layer(axum::middleware::map_response(
        async |mut response: axum::response::Response| {
            response.headers_mut().remove("cache-control");
            response
        },
    ));
    let report = check(feed, "").await.unwrap();
    let wrong = wrong(&report);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("cache-control"), "{wrong:?}");
    assert!(!report.is_good());
}

/// A script that reads only its exit code may close its output.
#[cfg(unix)]
#[test]
fn the_program_ends_with_its_code_whether_anybody_reads_what_it_says_or_not() {
    for (arguments, code) in [(&["--help"][..], 0), (&[], 2), (&["http://127.0.0.1:1"], 2)] {
        let output = || std::io::pipe().unwrap().1;
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_check-feed"));
        let ended = program.args(arguments).stdout(output()).stderr(output()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}
