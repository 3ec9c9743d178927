use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Result;
use crate::appenders::{STREAMS, WARM_UP_ROWS};
use crate::raw::{Linked, Random};
use crate::support::connection::is_complete;

const RESPONSE: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";

/// The least that a server does for an append: the thread of a connection runs one plain
/// transaction with the same tables and a small event, and answers. It looks at nothing but the end of
/// a request.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bare {
    #[arg(long)]
    file: PathBuf,
    /// Grow the write-ahead log to its full size first
    #[arg(long)]
    warm_up: bool,
}

/// A plain connection, and the random stream of the next event.
type Log = Mutex<(Linked, Random)>;

impl Bare {
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let store = runtime.block_on(downlink_rusqlite::open(&self.file))?;
        runtime.block_on(store.close());
        let (mut log, mut random) = (Linked::open(&self.file), Random::new(7));
        if self.warm_up {
            log.append(WARM_UP_ROWS, STREAMS, &mut random);
        }
        let log = Arc::new(Mutex::new((log, random)));
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("http://{}", listener.local_addr()?);
        for connection in listener.incoming() {
            let (connection, log) = (connection?, Arc::clone(&log));
            thread::spawn(move || serve(connection, &log));
        }
        Ok(())
    }
}

/// Answers requests until the client closes the connection.
fn serve(mut connection: TcpStream, log: &Log) -> Result<()> {
    connection.set_nodelay(true)?;
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
        if is_complete(&request)? {
            let (log, random) = &mut *log.lock().unwrap_or_else(PoisonError::into_inner);
            log.append(1, STREAMS, random);
            connection.write_all(RESPONSE)?;
            request.clear();
        }
    }
}
