//! A transaction of an application, as this driver has it.

use downlink::commit::Transacted;
use downlink::{Append, BoxError, EventStore};
use futures::FutureExt;

use crate::support::append;
use crate::support::driver::Store;
use crate::transacting::End;

/// Writes a row, appends, and ends so. Answers how many rows there are.
pub(crate) async fn take_gate(
    store: &Store,
    events: Append,
    end: End,
) -> Result<Transacted<i64>, BoxError> {
    let taken = store.transact(move |tx| {
        async move {
            let insert = "INSERT INTO gates VALUES ('C71', 'UA1545')";
            sqlx::query(insert).execute(tx.rows().await?).await?;
            tx.append(events).await?;
            let count = sqlx::query_scalar("SELECT count(*) FROM gates");
            let rows = count.fetch_one(tx.rows().await?).await?;
            match end {
                End::Commit => {}
                End::Fail => return Err("the gate is closed".into()),
                End::Panic => panic!("the gate fell off"),
                End::Nested(store) => drop(store.append(append("s", 1)).await?),
                End::Meddles => {
                    sqlx::query("DELETE FROM events").execute(tx.rows().await?).await?;
                }
                End::Commits => {
                    sqlx::query("COMMIT").execute(tx.rows().await?).await?;
                }
                End::Hangs => std::future::pending().await,
            }
            Ok::<i64, BoxError>(rows)
        }
        .boxed()
    });
    taken.await
}
