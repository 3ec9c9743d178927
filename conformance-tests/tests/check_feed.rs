//! Runs the black-box checks against the feed.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use axum::Router;
use downlink_conformance_tests::black_box::{self, Report};
use downlink_transports::feed::Feed;
use downlink_transports::health;
use downlink_transports::serve::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves this router as the example server does, and checks it.
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
    assert!(report.passed());
    assert!(report.findings.iter().all(|found| found.skipped.is_none()), "{report:?}");
}

#[tokio::test]
async fn checks_that_need_appends_are_skipped_without_them() {
    let hub = downlink::memory::hub().await.unwrap();
    for _ in 0..20 {
        let event = downlink::NewEvent::json("FlightDelayed", "{}").unwrap();
        hub.append_to("flight-UA1545", downlink::Expected::Any, [event]).await.unwrap();
    }
    let router = Router::new().nest("/api", Feed::new(&hub).router());
    let report = check(router, "/api/").await.unwrap();
    assert_eq!(wrong(&report), [""; 0]);
    let skipped = report.findings.iter().filter(|found| found.skipped.is_some()).count();
    assert_eq!(skipped, 6, "{report:?}");
}

#[tokio::test]
async fn a_server_without_a_feed_is_an_error() {
    let router = Router::new().route("/feed", axum::routing::get(async || "hello"));
    let error = check(router, "").await.unwrap_err();
    assert!(error.starts_with("no feed at http://127.0.0.1:"), "{error}");
    assert!(black_box::check("127.0.0.1", |_| {}).await.is_err());
}

#[tokio::test]
async fn a_violation_of_the_contract_is_reported() {
    let hub = downlink::memory::hub().await.unwrap();
    let feed = Feed::new(&hub).with_append().router();
    // An intermediary removes headers, as a careless proxy does.
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
    assert!(!report.passed());
}

/// A script that reads only its exit code may close its output.
#[cfg(unix)]
#[test]
fn the_exit_code_does_not_depend_on_a_reader_of_the_output() {
    for (arguments, code) in [(&["--help"][..], 0), (&[], 2), (&["http://127.0.0.1:1"], 2)] {
        let output = || std::io::pipe().unwrap().1;
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_check-feed"));
        let ended = program.args(arguments).stdout(output()).stderr(output()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}
