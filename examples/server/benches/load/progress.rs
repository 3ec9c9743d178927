use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Prints what is under way to standard error, once a second until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    what: Arc<Mutex<String>>,
    printing: JoinHandle<()>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let what = Arc::<Mutex<String>>::default();
        let printing = tokio::spawn(print(Arc::clone(&what)));
        Self { what, printing }
    }

    pub(crate) fn set(&self, what: impl Into<String>) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.printing.abort();
    }
}

async fn print(what: Arc<Mutex<String>>) {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let what = what.lock().unwrap_or_else(PoisonError::into_inner).clone();
        eprintln!("{:>5.0} s  {what}", began.elapsed().as_secs_f64());
    }
}
