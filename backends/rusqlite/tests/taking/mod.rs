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
        tx.rows()?.execute("INSERT INTO gates VALUES ('C71', 'UA1545')", ())?;
        tx.append(events)?;
        let rows = tx.rows()?.query_row("SELECT count(*) FROM gates", (), |row| row.get(0))?;
        match end {
            End::Commit => {}
            End::Fail => return Err("the gate is closed".into()),
            End::Panic => panic!("the gate fell off"),
            End::Nested(store) => {
                store.append(append("s", 1)).now_or_never().expect("refused at once")?;
            }
            End::Meddles => drop(tx.rows()?.execute("DELETE FROM events", ())?),
            End::Commits => tx.rows()?.execute_batch("COMMIT")?,
            End::Hangs => {
                let forever = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                     SELECT max(i) FROM n";
                tx.rows()?.query_row(forever, (), |_| Ok(()))?;
            }
        }
        Ok::<i64, BoxError>(rows)
    });
    taken.await
}
