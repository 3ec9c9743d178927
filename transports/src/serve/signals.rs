use downlink::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

/// The operator's wish to end, as signals bring it: Ctrl-C, and SIGTERM where
/// there is one.
///
/// Clones share.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Cancelled by the first signal: drain.
    pub drain: CancellationToken,
    /// Cancelled by the second: do not wait any longer. For
    /// [`Server::with_force`](super::Server::with_force).
    pub force: CancellationToken,
}

impl Signals {
    /// Begins to listen, in a task that ends with the second signal. From then
    /// on signals have no other effect on the process. It also calls
    /// [`survive_file_size_limit`], so that a limit of the system ends no server.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the system does not let it
    /// listen.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn listen() -> Result<Self> {
        survive_file_size_limit()?;
        let mut source = Source::new().map_err(refused)?;
        let signals = Self { drain: CancellationToken::new(), force: CancellationToken::new() };
        let told = signals.clone();
        tokio::spawn(async move {
            source.next().await;
            tracing::info!("draining; a second signal ends it at once");
            told.drain.cancel();
            source.next().await;
            told.force.cancel();
        });
        Ok(signals)
    }
}

/// A token that the first Ctrl-C or SIGTERM cancels. To force a drain by a
/// second signal, take [`Signals::listen`].
///
/// # Errors
///
/// As [`Signals::listen`].
///
/// # Panics
///
/// Panics outside a Tokio runtime.
pub fn shutdown_signal() -> Result<CancellationToken> {
    Signals::listen().map(|signals| signals.drain)
}

/// Has a write past the limit of file sizes (`ulimit -f`) fail, as one to a full
/// disk does, for as long as the process lives. By default the system ends the
/// process by a signal, SIGXFSZ. For programs that store something and do not
/// [listen for signals](Signals::listen), which includes this.
///
/// Does nothing where there is no such signal.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) if the system refuses.
///
/// # Panics
///
/// Panics outside a Tokio runtime.
pub fn survive_file_size_limit() -> Result<()> {
    #[cfg(unix)]
    if let Some(number) = SIGXFSZ {
        let kind = tokio::signal::unix::SignalKind::from_raw(number);
        // A signal with a handler does not end the process, and the handler stays.
        drop(tokio::signal::unix::signal(kind).map_err(refused)?);
    }
    Ok(())
}

/// Its number, where it is known.
#[cfg(unix)]
const SIGXFSZ: Option<i32> = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_os = "illumos",
    target_os = "solaris"
)) {
    Some(31)
} else if cfg!(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)) {
    Some(25)
} else {
    None
};

fn refused(error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, "cannot listen for signals", error)
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
