//! The races of transactions that make readers miss events or let two writers win: each strategy
//! that has one is caught by a law, and the same store with the lock of the log passes these laws.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use downlink_conformance_tests::{LawRun, StoreFixture, check, store};

use crate::racing_store::{Racing, Strategy};
use crate::server::Server;

/// A law that has to catch a strategy.
#[derive(Clone, Copy, Debug)]
enum Law {
    NothingAppearsBelowTheHead,
    OneWriterWins,
}

impl Law {
    fn check(self, fixture: Racing) {
        let fixture: Arc<dyn StoreFixture> = Arc::new(fixture);
        match self {
            Self::NothingAppearsBelowTheHead => {
                check(LawRun::new("nothing_appears_below_the_head"), fixture, async |fixture| {
                    store::nothing_appears_below_the_head(fixture).await;
                });
            }
            Self::OneWriterWins => {
                check(LawRun::new("one_writer_wins"), fixture, async |fixture| {
                    store::one_writer_wins(fixture).await;
                });
            }
        }
    }
}

const SABOTEURS: [(Strategy, Law, &str); 3] = [
    (
        Strategy::SequenceAlone,
        Law::NothingAppearsBelowTheHead,
        "became visible below positions that had been read",
    ),
    (
        Strategy::SequenceAndXmin,
        Law::NothingAppearsBelowTheHead,
        "became visible below positions that had been read",
    ),
    (Strategy::LockAfterTheFacts, Law::OneWriterWins, "the version check is not atomic"),
];

/// On a server of its own: what readers see by `xmin` depends on the transactions of all others.
#[test]
#[ignore = "needs PostgreSQL: ./check postgres"]
fn every_race_is_caught() {
    let server: &Server = Box::leak(Box::new(Server::start()));
    for law in [Law::NothingAppearsBelowTheHead, Law::OneWriterWins] {
        law.check(Racing(Strategy::Lock, server));
    }
    for (strategy, law, message) in SABOTEURS {
        let caught = catch_unwind(AssertUnwindSafe(|| law.check(Racing(strategy, server))));
        let Err(panic) = caught else { panic!("{law:?} does not catch {strategy:?}") };
        let said = text(&*panic);
        assert!(
            said.contains(message),
            "{law:?} fails over {strategy:?} for another reason: {said}"
        );
        println!("caught {strategy:?} ... {said}");
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
