use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use downlink::commit::Transacted;
use downlink::{BoxError, EventStore, MemoryStore, Result};
use downlink_conformance_tests::{Application, TransactionStep, TransactionalFixture};

/// The bugs of the broken transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactBug {
    StoresRowsOutsideTheTransaction,
    AppendsOutsideTheTransaction,
    IgnoresAFailedAppend,
    KeepsRowsOfARepetition,
    ChecksBeforeItBegins,
    NotifiesBeforeTheRows,
}

pub(crate) struct BrokenApplications(pub(crate) Option<TransactBug>);

#[async_trait]
impl TransactionalFixture for BrokenApplications {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)> {
        let store = MemoryStore::new();
        let application = Broken { store: store.clone(), rows: Mutex::default(), bug: self.0 };
        Ok((Arc::new(store), Arc::new(application)))
    }
}

struct Broken {
    store: MemoryStore,
    rows: Mutex<Vec<String>>,
    bug: Option<TransactBug>,
}

impl Broken {
    fn is(&self, bug: TransactBug) -> bool {
        self.bug == Some(bug)
    }

    fn stored(&self) -> MutexGuard<'_, Vec<String>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows that these steps insert.
    fn rows_of(steps: &[TransactionStep]) -> Vec<String> {
        let rows = steps.iter().filter_map(|step| match step {
            TransactionStep::InsertRow(name) => Some(name.clone()),
            _ => None,
        });
        rows.collect()
    }

    async fn in_parts(&self, steps: Vec<TransactionStep>) -> Result<bool, BoxError> {
        let rows = Self::rows_of(&steps);
        for step in steps {
            match step {
                TransactionStep::InsertRow(_) => {}
                TransactionStep::Append(append) => drop(self.store.append(append).await?),
                TransactionStep::AppendIgnoringErrors(append) => {
                    drop(self.store.append(append).await);
                }
                TransactionStep::Fail => return Err("this step fails on purpose".into()),
                TransactionStep::Panic => return Err("this step panics on purpose".into()),
            }
        }
        self.stored().extend(rows);
        Ok(false)
    }
}

#[async_trait]
impl Application for Broken {
    async fn transact(&self, mut steps: Vec<TransactionStep>) -> Result<bool, BoxError> {
        if self.is(TransactBug::AppendsOutsideTheTransaction) {
            return self.in_parts(steps).await;
        }
        if self.is(TransactBug::StoresRowsOutsideTheTransaction) {
            self.stored().extend(Self::rows_of(&steps));
            steps.retain(|steps| !matches!(steps, TransactionStep::InsertRow(_)));
        }
        if self.is(TransactBug::IgnoresAFailedAppend) {
            steps.retain(|steps| !matches!(steps, TransactionStep::AppendIgnoringErrors(_)));
        }
        let (before, late) = (self.stored().clone(), Self::rows_of(&steps));
        if self.is(TransactBug::ChecksBeforeItBegins) {
            tokio::task::yield_now().await;
        }
        let is_late = self.is(TransactBug::NotifiesBeforeTheRows);
        let transacted = self.store.transact_on(&self.rows, |tx, rows| {
            if self.is(TransactBug::ChecksBeforeItBegins) {
                rows.clone_from(&before);
            }
            for step in steps {
                match step {
                    TransactionStep::InsertRow(_) if is_late => {}
                    TransactionStep::InsertRow(name) => rows.push(name),
                    TransactionStep::Append(append) => drop(tx.append(append)?),
                    TransactionStep::AppendIgnoringErrors(append) => drop(tx.append(append)),
                    TransactionStep::Fail => {
                        return Err(BoxError::from("this step fails on purpose"));
                    }
                    TransactionStep::Panic => panic!("this step panics on purpose"),
                }
            }
            Ok(())
        });
        let is_repetition = matches!(transacted.await?, Transacted::Duplicate(_));
        if is_late {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            self.stored().extend(late);
        } else if is_repetition && self.is(TransactBug::KeepsRowsOfARepetition) {
            self.stored().extend(late);
        }
        Ok(is_repetition)
    }

    async fn rows(&self) -> Result<Vec<String>> {
        let mut rows = self.stored().clone();
        rows.sort_unstable();
        Ok(rows)
    }
}
