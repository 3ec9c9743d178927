//! All transports, compared with each other, over the reference store.

use std::time::Duration;

use downlink_conformance_tests::TransportFixture;
use downlink_conformance_tests::transport::{TransportSetup, resumes_after_a_cut_in_hard_payloads};

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/long_poll.rs"]
mod long_poll_fixture;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/sse.rs"]
mod sse_fixture;
#[path = "fixtures/websocket.rs"]
mod websocket_fixture;

use local::Local;
use long_poll_fixture::Polls;
use memory::Memory;
use sse_fixture::ServerSentEvents;
use websocket_fixture::WebSocketFixture;

downlink_conformance_tests::transports!(Memory, [ServerSentEvents, WebSocketFixture, Polls]);

/// Cuts one session after each of its bytes, with one connection for each cut.
async fn cut_in_hard_payloads(transport: impl TransportFixture) {
    let line = TransportSetup::new(Memory, Local, transport);
    let cuts = resumes_after_a_cut_in_hard_payloads(&line);
    let cut = tokio::time::timeout(Duration::from_mins(15), cuts).await;
    let (bytes, frames) = cut.expect("the cuts to end within 15 minutes");
    println!("cut after each of {bytes} bytes of {frames} frames");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 70,000 connections"]
async fn sse_resumes_after_a_cut_in_hard_payloads() {
    cut_in_hard_payloads(ServerSentEvents).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 70,000 connections"]
async fn websocket_resumes_after_a_cut_in_hard_payloads() {
    cut_in_hard_payloads(WebSocketFixture).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 70,000 connections"]
async fn long_poll_resumes_after_a_cut_in_hard_payloads() {
    cut_in_hard_payloads(Polls).await;
}
