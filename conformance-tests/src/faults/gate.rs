use tokio::sync::watch;

/// A door that calls wait at while it is closed, and that tells when somebody
/// does. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Gate {
    closed: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// An open door.
    #[must_use]
    pub fn open() -> Self {
        Self { closed: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }

    /// Closes it: whoever comes from now on waits.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Opens it, and lets everybody through.
    pub fn release(&self) {
        self.closed.send_replace(false);
    }

    /// Goes through, as soon as it is open.
    pub async fn pass(&self) {
        let mut closed = self.closed.subscribe();
        if !*closed.borrow_and_update() {
            return;
        }
        let waiting = Waiting::new(&self.waiting);
        // This very gate holds the sender.
        let _ = closed.wait_for(|closed| !closed).await;
        drop(waiting);
    }

    /// Returns when at least one waits at the closed door.
    pub async fn until_waiting(&self) {
        let mut waiting = self.waiting.subscribe();
        // This very gate holds the sender.
        let _ = waiting.wait_for(|waiting| *waiting > 0).await;
    }
}

/// Counts as waiting until dropped, also when the call is given up.
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
