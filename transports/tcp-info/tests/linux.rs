//! `TCP_INFO` over real sockets on loopback.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use downlink_tcp_info::{State, TcpInfo, tcp_info};
use socket2::{SockFilter, SockRef};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}

/// Waits until the kernel reports what is expected.
fn until(socket: &TcpStream, what: &str, is_so: impl Fn(TcpInfo) -> bool) -> TcpInfo {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let info = tcp_info(socket).unwrap();
        if is_so(info) {
            return info;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}: {info:?}");
        std::thread::yield_now();
    }
}

/// Makes the socket lose every packet that arrives, as if its machine were gone.
fn vanish(socket: &TcpStream) {
    let return_0 = SockFilter::new(0x06, 0, 0, 0);
    SockRef::from(socket).attach_filter(&[return_0]).unwrap();
}

/// Writes until the peer's window is closed and its system has answered a probe.
fn fill(socket: &mut TcpStream) -> TcpInfo {
    socket.set_nonblocking(true).unwrap();
    let error = std::iter::repeat_with(|| socket.write(&[0; 4 << 10])).find_map(Result::err);
    assert_eq!(error.unwrap().kind(), ErrorKind::WouldBlock);
    loop {
        let quiet = until(socket, "a closed window", |info| {
            info.last_ack_received > Duration::from_millis(150) && info.segments_in_flight == 0
        });
        let answered = until(socket, "an answered probe", |info| {
            info.last_ack_received < quiet.last_ack_received
        });
        // The first probe may still find a little room.
        if answered.bytes_acked == quiet.bytes_acked {
            return answered;
        }
    }
}

#[test]
fn acknowledged_bytes_are_counted() {
    let (mut server, mut client) = pair();
    let before = tcp_info(&server).unwrap();
    assert_eq!(before.state, State::Established);
    assert!(!before.is_waiting(), "{before:?}");
    server.write_all(&[0; 1_000]).unwrap();
    client.read_exact(&mut [0; 1_000]).unwrap();
    let after = until(&server, "the acknowledgement", |info| !info.is_waiting());
    assert_eq!(after.bytes_acked - before.bytes_acked, 1_000);
    assert_eq!((after.retransmits, after.unanswered_probes), (0, 0));
}

#[test]
fn a_peer_that_does_not_read_answers_probes() {
    let (mut server, _client) = pair();
    let full = fill(&mut server);
    assert!(full.is_waiting() && full.bytes_not_sent > 0, "{full:?}");
    assert_eq!((full.retransmits, full.unanswered_probes), (0, 0));
}

#[test]
fn a_peer_that_vanished_leaves_retransmissions_unanswered() {
    let (mut server, client) = pair();
    vanish(&client);
    server.write_all(b"hello").unwrap();
    let info = until(&server, "retransmissions", |info| info.retransmits >= 3);
    assert!(info.is_waiting() && info.last_ack_received > Duration::from_millis(200), "{info:?}");
}

#[test]
fn a_peer_that_vanished_leaves_probes_unanswered() {
    let (mut server, client) = pair();
    fill(&mut server);
    vanish(&client);
    let info = until(&server, "unanswered probes", |info| info.unanswered_probes >= 2);
    assert_eq!(info.retransmits, 0);
}

#[test]
fn the_state_tells_what_the_peer_has_closed() {
    let (mut server, client) = pair();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    until(&server, "the end of the other half", |info| info.state == State::CloseWait);
    drop(client);
    server.write_all(b"hello").unwrap();
    until(&server, "the reset", |info| info.state == State::Closed);
}

#[test]
fn other_sockets_are_an_error() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(tcp_info(&socket).is_err());
}
