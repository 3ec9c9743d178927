use std::sync::Arc;

use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{Hub, Result, Subscribe, Transport};
use downlink_conformance_tests::TransportFixture;
use downlink_transports::Sse;
use futures::stream::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What a faulty intermediary between client and server does to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mangle {
    IgnoresMalformedIds,
    AnswersAnotherStatus,
    LeavesIdsOut,
    RenamesReady,
    EndsLinesInCr,
    EndsWithoutBye,
    BeginsAtNow,
    AnswersTimeoutsWith204,
    RenamesReadyOnSockets,
    MixesSubscriptionsUp,
    ClosesForNoReason,
    ClosesWithoutBye,
}

/// Real servers behind an intermediary with this fault or none.
pub(crate) struct Mangled(pub(crate) Option<Mangle>);

impl TransportFixture for Mangled {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Intermediary(self.0))
    }
}

#[derive(Clone, Copy, Debug)]
struct Intermediary(Option<Mangle>);

impl Intermediary {
    /// Replaces a text with another of the same length, so that chunk lengths
    /// remain correct.
    fn answer(self, bytes: &mut [u8]) {
        let (from, to): (&[u8], &[u8]) = match self.0 {
            Some(Mangle::AnswersAnotherStatus) => (b"HTTP/1.1 400", b"HTTP/1.1 404"),
            Some(Mangle::LeavesIdsOut) => (b"\nid: 0", b"\n:d: 0"),
            Some(Mangle::RenamesReady) => (b"feed.ready", b"feed.begin"),
            Some(Mangle::EndsLinesInCr) => (b"\ndata: ", b"\rdata: "),
            Some(Mangle::EndsWithoutBye) => (b"feed.bye", b"feed.end"),
            Some(Mangle::RenamesReadyOnSockets) => {
                (b"{\"frame\":\"ready\"", b"{\"frame\":\"begin\"")
            }
            Some(Mangle::MixesSubscriptionsUp) => (b"\"sub\":\"two\"", b"\"sub\":\"one\""),
            // The close codes 4400, which no text contains, and 1000.
            Some(Mangle::ClosesForNoReason) => (b"\x11\x30", b"\x03\xe8"),
            Some(Mangle::ClosesWithoutBye) => (b"{\"frame\":\"bye\"", b"{\"frame\":\"end\""),
            Some(Mangle::AnswersTimeoutsWith204) if contains(bytes, b"\"events\":[],") => {
                (b"HTTP/1.1 200", b"HTTP/1.1 204")
            }
            _ => return,
        };
        replace(bytes, from, to);
    }

    fn request(self, bytes: &mut Vec<u8>) {
        match self.0 {
            Some(Mangle::IgnoresMalformedIds) => {
                replace(bytes, b"Last-Event-ID: ", b"Most-Event-ID: ");
            }
            Some(Mangle::BeginsAtNow) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                if let Some((before, after)) = text.split_once("after=0") {
                    let rest = after.split_once('&').map_or("", |(_, rest)| rest);
                    *bytes = format!("{before}after=now&{rest}").into_bytes();
                }
            }
            _ => {}
        }
    }

    async fn forward(self, mut client: TcpStream, mut server: TcpStream) -> std::io::Result<()> {
        let (mut asked, mut answered) = (vec![0; 2 << 20], vec![0; 64 << 10]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let read = read?;
                    if read == 0 { return Ok(()) }
                    let mut request = asked[..read].to_vec();
                    self.request(&mut request);
                    server.write_all(&request).await?;
                }
                read = server.read(&mut answered) => {
                    let read = read?;
                    if read == 0 { return Ok(()) }
                    self.answer(&mut answered[..read]);
                    client.write_all(&answered[..read]).await?;
                }
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<_> =
        (0..bytes.len()).filter(|place| bytes[*place..].starts_with(from)).collect();
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
}

#[async_trait]
impl Transport for Intermediary {
    fn name(&self) -> &'static str {
        "mangled-sse"
    }

    async fn serve(
        &self,
        hub: Hub,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let behind = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = behind.local_addr().expect("an address");
        let accepting = async {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(address).await.expect("the real server");
                tokio::spawn(self.forward(client, server));
            }
            Ok(())
        };
        tokio::select! {
            ended = Sse.serve(hub, behind, shutdown) => ended,
            ended = accepting => ended,
        }
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        Sse.connect(endpoint, subscribe).await
    }
}
