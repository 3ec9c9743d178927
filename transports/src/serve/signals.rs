use tokio_util::sync::CancellationToken;

use downlink::{Error, ErrorKind, Result};

/// Shutdown requests by signal: Ctrl-C, and SIGTERM on Unix.
///
/// Clones share the tokens.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Cancelled by the first signal, to drain.
    pub drain: CancellationToken,
    /// Cancelled by the second signal, to end the drain at once. For
    /// [`Server::with_force`](super::Server::with_force).
    pub force: CancellationToken,
}

impl Signals {
    /// Starts a task that listens until the second signal. From then on these
    /// signals have no other effect on the process. Also calls [`ignore_sigxfsz`],
    /// so that a file size limit does not end the server.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the system refuses.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn listen() -> Result<Self> {
        ignore_sigxfsz()?;
        let mut source = Source::new().map_err(unavailable)?;
        let signals = Self { drain: CancellationToken::new(), force: CancellationToken::new() };
        let tokens = signals.clone();
        tokio::spawn(async move {
            source.next().await;
            tracing::info!("draining; a second signal ends the drain at once");
            tokens.drain.cancel();
            source.next().await;
            tokens.force.cancel();
        });
        Ok(signals)
    }
}

/// Returns a token that the first Ctrl-C or SIGTERM cancels. To end the drain with
/// a second signal, use [`Signals::listen`].
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

/// Makes a write beyond the file size limit (`ulimit -f`) fail like a write to a
/// full disk, for the lifetime of the process. By default the signal SIGXFSZ ends
/// the process. Programs that store something need this, unless they call
/// [`Signals::listen`], which includes it.
///
/// Does nothing on systems without this signal.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) if the system refuses.
///
/// # Panics
///
/// Panics outside a Tokio runtime.
pub fn ignore_sigxfsz() -> Result<()> {
    #[cfg(unix)]
    if let Some(number) = SIGXFSZ {
        let kind = tokio::signal::unix::SignalKind::from_raw(number);
        // A signal with a handler does not end the process, and the handler stays.
        drop(tokio::signal::unix::signal(kind).map_err(unavailable)?);
    }
    Ok(())
}

/// The number of the signal on systems where it is known.
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

fn unavailable(error: std::io::Error) -> Error {
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
