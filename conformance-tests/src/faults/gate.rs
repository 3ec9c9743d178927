use tokio::sync::watch;

/// A gate at which callers wait while it is closed, and which reports when one
/// waits. Clones share the gate.
#[derive(Clone, Debug)]
pub struct Gate {
    closed: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn open() -> Self {
        Self { closed: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }

    /// Closes the gate: later callers of [`pass`](Self::pass) wait.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Opens the gate and lets all callers pass.
    pub fn release(&self) {
        self.closed.send_replace(false);
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        let mut closed = self.closed.subscribe();
        if !*closed.borrow_and_update() {
            return;
        }
        let waiting = Waiting::new(&self.waiting);
        // The gate itself holds the sender.
        let _ = closed.wait_for(|closed| !closed).await;
        drop(waiting);
    }

    /// Waits until a caller waits at the closed gate.
    pub async fn until_waiting(&self) {
        let mut waiting = self.waiting.subscribe();
        // The gate itself holds the sender.
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }
}

/// Counts as a waiting caller until it is dropped, also if the call is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
