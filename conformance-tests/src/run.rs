use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FailurePersistence, FileFailurePersistence, TestError, TestRng, TestRunner,
};
use tokio::runtime::{Builder, Runtime};

/// How long a law, or one case of a property, may take in real time before it
/// fails.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How one law is run: its name, clock and seeds.
#[derive(Clone, Debug)]
pub struct LawRun {
    law: &'static str,
    seeds: Option<&'static str>,
    paused: bool,
    repeatable: bool,
    /// Receives a message for every case, so that the watchdog sees progress.
    alive: Option<mpsc::Sender<()>>,
}

impl LawRun {
    /// A run of the law with this name, in real time, without a file of seeds.
    #[must_use]
    pub const fn new(law: &'static str) -> Self {
        Self { law, seeds: None, paused: false, repeatable: false, alive: None }
    }

    /// Keeps the seeds of failing cases in this folder, one file for each law,
    /// and tries the stored seeds first.
    #[must_use]
    pub const fn with_seeds(mut self, folder: &'static str) -> Self {
        self.seeds = Some(folder);
        self
    }

    /// Runs on one thread, with a clock that jumps to the next timer when
    /// nothing else can run. Only for stores and buses that live in the runtime
    /// of the test: threads and sockets do not follow that clock.
    #[must_use]
    pub const fn with_paused_clock(mut self) -> Self {
        self.paused = true;
        self
    }

    /// Runs in real time and on several threads.
    #[must_use]
    pub const fn with_real_clock(mut self) -> Self {
        self.paused = false;
        self
    }

    /// Runs the same way each time, as far as one thread, a paused clock and
    /// fixed seeds allow, and does not shrink failing cases.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        (self.paused, self.repeatable) = (true, true);
        self
    }

    /// Runs `case` on this many generated inputs, or on as many as the
    /// environment variable `PROPTEST_CASES` says.
    ///
    /// # Panics
    ///
    /// Panics with the smallest failing input, if there is one.
    pub fn cases<S: Strategy>(&self, cases: u32, inputs: S, case: impl AsyncFn(S::Value)) {
        let runtime = self.runtime();
        let mut runner = self.runner(cases);
        let outcome = runner.run(&inputs, |input| {
            if let Some(alive) = &self.alive {
                // The receiver is gone only if the deadline has passed.
                let _ = alive.send(());
            }
            runtime.block_on(case(input));
            Ok(())
        });
        runtime.shutdown_background();
        match outcome {
            Ok(()) => {}
            Err(TestError::Abort(reason)) => panic!("no case of `{}` ran: {reason}", self.law),
            Err(TestError::Fail(reason, input)) => panic!("{reason}\nwith the input {input:#?}"),
        }
    }

    fn runner(&self, cases: u32) -> TestRunner {
        let config = self.config(cases);
        if self.repeatable {
            let seeds = TestRng::deterministic_rng(config.rng_algorithm);
            return TestRunner::new_with_rng(config, seeds);
        }
        TestRunner::new(config)
    }

    fn config(&self, cases: u32) -> Config {
        let chosen = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
        let in_folder = |folder: &&'static str| -> Box<dyn FailurePersistence> {
            let file = format!("{folder}/{}.txt", self.law);
            // The type needs a `'static` path: this leaks one short string for each property of the process.
            Box::new(FileFailurePersistence::Direct(Box::leak(file.into_boxed_str())))
        };
        Config {
            cases: chosen.unwrap_or(cases),
            failure_persistence: self.seeds.as_ref().map(in_folder),
            max_shrink_iters: if self.repeatable { 0 } else { 512 },
            ..Config::default()
        }
    }

    fn runtime(&self) -> Runtime {
        let mut builder = if self.paused {
            let mut builder = Builder::new_current_thread();
            builder.start_paused(true);
            builder
        } else {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(4);
            builder
        };
        builder.enable_all().build().expect("a runtime")
    }
}

/// Runs a law.
///
/// # Panics
///
/// Panics if the law fails, and, with the law's name, if it does not end.
pub fn check<F, L>(run: LawRun, fixture: Arc<F>, law: L)
where
    F: ?Sized + Send + Sync + 'static,
    L: AsyncFnOnce(&F) + Send + 'static,
{
    under_watchdog(run, move |run| {
        let runtime = run.runtime();
        let outcome =
            panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(law(fixture.as_ref()))));
        runtime.shutdown_background();
        if let Err(panic) = outcome {
            panic::resume_unwind(panic);
        }
    });
}

/// Runs a law that is a property.
///
/// # Panics
///
/// Panics with the smallest failing input, and, with the law's name, if a case
/// does not end.
pub fn check_property<F, L>(run: LawRun, fixture: Arc<F>, law: L)
where
    F: ?Sized + Send + Sync + 'static,
    L: FnOnce(&LawRun, &F) + Send + 'static,
{
    under_watchdog(run, move |run| law(run, fixture.as_ref()));
}

#[expect(clippy::needless_pass_by_value, reason = "all but its name moves into the law's thread")]
fn under_watchdog(run: LawRun, body: impl FnOnce(&LawRun) + Send + 'static) {
    let law = run.law;
    let (alive, watch) = mpsc::channel();
    let thread = thread::Builder::new()
        .name(law.to_owned())
        .spawn(move || body(&LawRun { alive: Some(alive), ..run }))
        .expect("a thread for the law");
    loop {
        match watch.recv_timeout(DEADLINE) {
            Ok(()) => {}
            // The sender is gone, so the thread has ended or is about to.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!(
                "law `{law}` hangs: it made no progress for {} seconds of real time",
                DEADLINE.as_secs()
            ),
        }
    }
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}
