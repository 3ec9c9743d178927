use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

use super::*;

/// Longer than any test may take.
const FAR: Duration = Duration::from_mins(1);

fn far() -> Instant {
    Instant::now() + FAR
}

/// An address that refuses every connection: its listener is gone.
async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// An address that does not answer, like one that is filtered on the way: the
/// queue of its listener is full, so that Linux drops further requests. Holds what
/// keeps it full.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(connected) =
            timeout(Duration::from_millis(500), TcpStream::connect(address)).await
        {
            queue.push(connected.unwrap());
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

#[test]
fn families_alternate_and_keep_their_order() {
    let four = |n| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 80);
    let six = |n| SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)), 80);
    let mixed = interleave([six(1), six(2), six(3), four(1), four(2)]);
    assert_eq!(mixed, [six(1), four(1), six(2), four(2), six(3)]);
    assert_eq!(interleave([four(1), four(2), six(1)]), [four(1), six(1), four(2)]);
    assert_eq!(interleave([four(2), four(1)]), [four(2), four(1)]);
    assert_eq!(interleave([]), []);
}

#[tokio::test]
async fn an_address_that_does_not_answer_costs_less_than_a_second() {
    let holes = [BlackHole::new().await, BlackHole::new().await];
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = good.local_addr().unwrap();
    let began = Instant::now();
    let stream = race(vec![holes[0].address, holes[1].address, address], far()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    // One after the other, the first alone would have taken two minutes.
    let elapsed = began.elapsed();
    assert!(elapsed >= ATTEMPT_DELAY * 2, "{elapsed:?}");
    assert!(elapsed < FAR / 4, "{elapsed:?}");
}

#[tokio::test]
async fn the_next_address_is_tried_at_once_after_a_refusal() {
    let mut addresses = Vec::new();
    for _ in 0..200 {
        addresses.push(refusing().await);
    }
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    addresses.push(good.local_addr().unwrap());
    let began = Instant::now();
    let stream = race(addresses, far()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
    assert!(began.elapsed() < ATTEMPT_DELAY * 100, "it waited after refusals");
}

#[tokio::test]
async fn an_attempt_that_was_overtaken_may_still_win() {
    let hole = BlackHole::new().await;
    let address = hole.address;
    // The other address fails; the first answers when its queue has room again.
    let race = tokio::spawn(race(vec![address, refusing().await], far()));
    tokio::time::sleep(ATTEMPT_DELAY * 2).await;
    let BlackHole { _listener: listener, _queue: queue, .. } = hole;
    let accept = async {
        loop {
            drop(listener.accept().await);
        }
    };
    let stream = tokio::select! {
        stream = race => stream.unwrap().unwrap(),
        () = accept => unreachable!(),
    };
    assert_eq!(stream.peer_addr().unwrap(), address);
    drop(queue);
}

#[tokio::test]
async fn the_error_names_each_address_and_its_reason() {
    let (hole, refusing) = (BlackHole::new().await, refusing().await);
    let by = Instant::now() + Duration::from_secs(1);
    let error = race(vec![refusing, hole.address], by).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{refusing}: Connection refused")), "{text}");
    assert!(text.contains(&format!("{}: no answer in time", hole.address)), "{text}");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

    let error = race(vec![refusing; 20], far()).await.unwrap_err();
    assert!(error.to_string().ends_with("and 12 more"), "{error}");
    let error = race(Vec::new(), far()).await.unwrap_err();
    assert_eq!(error.to_string(), "the host has no address");
}

#[tokio::test]
async fn a_host_is_looked_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // The name may have an IPv6 address, too, at which nothing listens.
    for host in ["localhost", "127.0.0.1"] {
        let stream = connect(host, port, FAR).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
    let error = connect("no such host", port, FAR).await.unwrap_err();
    assert!(error.to_string().contains("cannot look up 'no such host'"), "{error}");
}
