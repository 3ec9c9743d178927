use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The same batch size as in the feed.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 16 << 10;

/// All rendered events.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    events: Arc<RwLock<Vec<Bytes>>>,
    count: watch::Sender<usize>,
}

impl Default for Log {
    fn default() -> Self {
        Self { events: Arc::default(), count: watch::Sender::new(0) }
    }
}

impl Log {
    pub(crate) fn publish(&self, blocks: Vec<Bytes>) {
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        events.extend(blocks);
        let count = events.len();
        drop(events);
        self.count.send_replace(count);
    }

    fn run(&self, from: usize) -> VecDeque<Bytes> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let run = events[from..].iter().take(BATCH_FRAMES).take_while(|event| {
            let fits = bytes < BATCH_BYTES;
            bytes += event.len();
            fits
        });
        run.cloned().collect()
    }
}

/// One task per connection, which writes all available events in one call.
pub(crate) async fn serve(listener: TcpListener, log: Log) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        SockRef::from(&stream).set_send_buffer_size(64 << 10).expect("a socket");
        tokio::spawn(follow(stream, log.clone()));
    }
}

/// Ends when its client disconnects.
async fn follow(mut stream: TcpStream, log: Log) -> std::io::Result<()> {
    stream.read_u8().await?;
    let mut count = log.count.subscribe();
    let mut next = *count.borrow_and_update();
    stream.write_all(b"live\n").await?;
    loop {
        let mut run = log.run(next);
        if run.is_empty() {
            if count.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        next += run.len();
        while !run.is_empty() {
            let written = {
                let slices: Vec<_> = run.iter().map(|event| IoSlice::new(event)).collect();
                stream.write_vectored(&slices).await?
            };
            advance(&mut run, written);
        }
    }
}

fn advance(run: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = run.front_mut() {
        if first.len() > written {
            return first.advance(written);
        }
        written -= first.len();
        run.pop_front();
    }
}
