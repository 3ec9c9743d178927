//! Transactions of an application, with this driver.

use downlink::BoxError;
use downlink::commit::Transacted;
use downlink_rusqlite::Transaction;
use futures::FutureExt;

use crate::support::driver::Store;
use crate::transacting::Do;

/// Runs these actions in one transaction. Returns how many gates are taken.
pub(crate) async fn transact(store: &Store, doing: Vec<Do>) -> Result<Transacted<i64>, BoxError> {
    let transacted = store.transact(move |tx| {
        doing.into_iter().try_for_each(|doing| one(tx, doing))?;
        Ok::<i64, BoxError>(
            tx.rows()?.query_row("SELECT count(*) FROM gates", (), |row| row.get(0))?,
        )
    });
    transacted.await
}

fn one(tx: &mut Transaction<'_>, doing: Do) -> Result<(), BoxError> {
    match doing {
        Do::Sql(sql) => tx.rows()?.execute_batch(sql)?,
        Do::TrySql(sql) => drop(tx.rows().map(|rows| rows.execute_batch(sql))),
        Do::TryEach(each) => {
            if let Ok(rows) = tx.rows() {
                for sql in each {
                    drop(rows.execute_batch(sql));
                }
            }
        }
        Do::Append(append) => drop(tx.append(append)?),
        Do::TryAppend(append) => drop(tx.append(append)),
        Do::Run(run) => run()?,
        Do::Call(call) => call().now_or_never().expect("refused at once")?,
    }
    Ok(())
}
