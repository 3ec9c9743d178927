use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Result;
use crate::arguments::Arguments;
use crate::server::TransportKind;

/// A clock in nanoseconds that two processes of one machine share.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// The clients' process: prints `live`, then `round` after each burst that all
/// clients have, and finally the latencies under light load.
pub(crate) fn run(transport: TransportKind, arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(read(transport, arguments)))
}

struct Readers {
    transport: TransportKind,
    buffer: RefCell<Vec<u8>>,
    seen: Cell<usize>,
    round: Cell<usize>,
    burst: usize,
    rounds: usize,
    light: usize,
    latencies: RefCell<Vec<u64>>,
}

async fn read(transport: TransportKind, arguments: &Arguments) -> Result<()> {
    let readers = Rc::new(Readers {
        transport,
        buffer: RefCell::new(vec![0; 256 << 10]),
        seen: Cell::new(0),
        round: Cell::new(0),
        burst: arguments.connections * arguments.events,
        rounds: arguments.rounds,
        light: arguments.connections * arguments.light,
        latencies: RefCell::default(),
    });
    let mut streams = Vec::new();
    for _ in 0..arguments.connections {
        streams.push(open(transport, &arguments.address).await?);
    }
    println!("live");
    for stream in streams {
        let readers = Rc::clone(&readers);
        tokio::task::spawn_local(async move { readers.drain(stream).await });
    }
    std::future::pending().await
}

async fn open(transport: TransportKind, address: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(transport.request().as_bytes()).await?;
    let mut text = Vec::new();
    while !transport.is_live(&text) {
        if stream.read_buf(&mut text).await? == 0 {
            return Err(String::from_utf8_lossy(&text).into());
        }
    }
    Ok(stream)
}

impl Readers {
    async fn drain(&self, stream: TcpStream) {
        loop {
            stream.readable().await.expect("a socket");
            let mut buffer = self.buffer.borrow_mut();
            match stream.try_read(&mut buffer) {
                Ok(0) => panic!("{} was closed", self.transport.name()),
                Ok(read) => self.look_at(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{}: {error}", self.transport.name()),
            }
        }
    }

    #[expect(clippy::naive_bytecount, reason = "the compiler makes it fast enough")]
    fn look_at(&self, text: &[u8]) {
        let count = text.iter().filter(|byte| **byte == b'#').count();
        self.seen.set(self.seen.get() + count);
        let is_light = self.round.get() == self.rounds;
        if is_light {
            self.time(text);
        }
        let wanted = if is_light { self.light } else { self.burst };
        if self.seen.get() < wanted || wanted == 0 {
            return;
        }
        self.seen.set(0);
        self.round.set(self.round.get() + 1);
        if is_light { self.tell_latencies() } else { println!("round") }
    }

    fn time(&self, text: &[u8]) {
        let now = now();
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'#') {
            let digits = text.get(at + 1..at + 20).and_then(|text| std::str::from_utf8(text).ok());
            if let Some(sent) = digits.and_then(|digits| digits.parse::<u64>().ok()) {
                self.latencies.borrow_mut().push(now.saturating_sub(sent));
            }
        }
    }

    fn tell_latencies(&self) {
        let mut latencies = self.latencies.borrow_mut();
        latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            Duration::from_nanos(latencies.get(index).copied().unwrap_or_default()).as_nanos()
        };
        println!("{} {} {}", at(50), at(99), at(100));
    }
}
