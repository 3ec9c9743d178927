use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::unix::OwnedReadHalf as ServerReadHalf;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

/// What happens to a connection when it sends COMMIT. In all but the first case
/// its client is cut off at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Nothing,
    /// The server commits, and its answer is dropped.
    Answer,
    /// The server never receives it, and its side of the connection is closed.
    Commit,
    /// The server never receives it, and waits for a client that has vanished.
    CommitSilently,
    /// The server receives it only when another transaction begins.
    CommitUntilTheNextBegins,
}

/// When a connection falls silent, counted in messages since its BEGIN: what both sides send is
/// swallowed from then on, and nothing is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// After this message.
    After(usize),
    /// In the middle of this message.
    Within(usize),
}

/// A proxy in front of the server that cuts connections at COMMIT.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    server: PathBuf,
    /// What happens at the next COMMITs.
    cuts: Mutex<VecDeque<Cut>>,
    begun: watch::Sender<usize>,
    /// When the next connection falls silent.
    silence: Mutex<Option<Silence>>,
    silent: watch::Sender<bool>,
    round_trips: AtomicUsize,
    hang_up: watch::Sender<()>,
}

impl Proxy {
    /// Starts a proxy in front of the server with this socket.
    pub(crate) async fn start(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            server,
            cuts: Mutex::default(),
            begun: watch::Sender::new(0),
            silence: Mutex::default(),
            silent: watch::Sender::new(false),
            round_trips: AtomicUsize::new(0),
            hang_up: watch::Sender::new(()),
        });
        let proxied = Arc::clone(&shared);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&proxied);
                // A connection that fails is cut as well.
                connections.spawn(async move {
                    let mut hang_up = shared.hang_up.subscribe();
                    tokio::select! {
                        passed = shared.pass(client) => passed.ok(),
                        changed = hang_up.changed() => changed.ok(),
                    }
                });
            }
        });
        Self { port, shared, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://downlink@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Sets what happens at the next COMMITs, one after the other. Nothing happens
    /// at later ones.
    pub(crate) fn cut(&self, cuts: &[Cut]) {
        self.shared.cuts().extend(cuts);
    }

    /// Lets the next connection that gets there fall silent. The future waits until that has
    /// happened.
    pub(crate) fn fall_silent(&self, when: Silence) -> impl Future<Output = ()> + use<> {
        *self.shared.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(when);
        let mut silent = self.shared.silent.subscribe();
        async move {
            // This cannot fail: the proxy holds the sender.
            let _ = silent.wait_for(|silent| *silent).await;
        }
    }

    /// Whether all cuts have happened.
    pub(crate) fn has_cut_all(&self) -> bool {
        self.shared.cuts().is_empty()
    }

    /// Cuts all open connections.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up.send_replace(());
    }

    /// How often a client has waited for the server.
    pub(crate) fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn cuts(&self) -> MutexGuard<'_, VecDeque<Cut>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = connect(&self.server).await?.into_split();
        let (cut_off, is_cut_off) = oneshot::channel();
        let silence = Notify::new();
        let asking = async {
            let asked = self.ask(&mut from_client, &mut to_server, &silence).await?;
            let Some((cut, commit)) = asked else {
                return to_server.shutdown().await;
            };
            let mut begun = self.begun.subscribe();
            begun.mark_unchanged();
            // Before the server can answer.
            drop(cut_off);
            match cut {
                Cut::Commit => return to_server.shutdown().await,
                Cut::Answer => to_server.write_all(&commit).await?,
                Cut::CommitUntilTheNextBegins => {
                    // This cannot fail: the proxy holds the sender.
                    let _ = begun.changed().await;
                    to_server.write_all(&commit).await?;
                }
                Cut::Nothing | Cut::CommitSilently => {}
            }
            // The server keeps waiting.
            std::future::pending().await
        };
        let answering = answer(from_server, to_client, is_cut_off, &silence);
        let (asked, answered) = tokio::join!(asking, answering);
        asked.and(answered)
    }

    /// How much of this message, the last one, a connection forwards before it falls silent, if it
    /// does. The argument counts the messages since BEGIN.
    fn last_words<'m>(&self, since_begin: Option<usize>, message: &'m [u8]) -> Option<&'m [u8]> {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let words = match (*silence)? {
            Silence::After(count) if since_begin == Some(count) => message,
            Silence::Within(count) if since_begin == Some(count) => &message[..message.len() / 2],
            _ => return None,
        };
        *silence = None;
        Some(words)
    }

    /// Forwards messages until one is a COMMIT that is to be cut, the client
    /// disconnects, or the connection falls silent.
    async fn ask(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut (impl AsyncWriteExt + Unpin),
        silence: &Notify,
    ) -> io::Result<Option<(Cut, Vec<u8>)>> {
        // The first message has no kind.
        let mut message = read_message(from, 0).await;
        let mut since_begin = None;
        while let Ok(bytes) = &message {
            let begins = bytes.starts_with(b"Q") && bytes[5..].starts_with(b"BEGIN");
            since_begin = if begins { Some(0) } else { since_begin.map(|count| count + 1) };
            if let Some(words) = self.last_words(since_begin, bytes) {
                // Before the server can answer.
                silence.notify_one();
                to.write_all(words).await?;
                self.silent.send_replace(true);
                std::future::pending::<()>().await;
            }
            if bytes.ends_with(b"COMMIT\0") {
                match self.cuts().pop_front().unwrap_or(Cut::Nothing) {
                    Cut::Nothing => {}
                    cut => return Ok(Some((cut, bytes.clone()))),
                }
            }
            to.write_all(bytes).await?;
            // A simple query, or the end of a prepared one.
            if bytes.starts_with(b"Q") || bytes.starts_with(b"S") {
                self.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            if begins {
                self.begun.send_modify(|begun| *begun += 1);
            }
            message = read_message(from, 1).await;
        }
        Ok(None)
    }
}

async fn connect(server: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(server).await
}

/// Forwards what the server sends, and discards it once the client is cut off or the connection
/// has fallen silent.
async fn answer(
    mut from: ServerReadHalf,
    mut to: OwnedWriteHalf,
    is_cut_off: oneshot::Receiver<()>,
    silence: &Notify,
) -> io::Result<()> {
    tokio::select! {
        passed = copy(&mut from, &mut to) => return passed.map(drop),
        _ = is_cut_off => {}
        () = silence.notified() => {
            // The client's side stays open.
            copy(&mut from, &mut sink()).await?;
            return std::future::pending().await;
        }
    }
    drop(to);
    copy(&mut from, &mut sink()).await.map(drop)
}

/// Reads one message of the protocol: its kind (`kind` bytes), a length that
/// includes itself, and the body.
async fn read_message(from: &mut OwnedReadHalf, kind: usize) -> io::Result<Vec<u8>> {
    let mut message = vec![0; kind + 4];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[kind..].try_into().expect("four bytes"));
    let length = usize::try_from(length).expect("a length") + kind;
    message.resize(length, 0);
    from.read_exact(&mut message[kind + 4..]).await?;
    Ok(message)
}
