//! Transactions of an application, with this driver.

use downlink::BoxError;
use downlink::commit::Transacted;
use downlink_sqlx::Transaction;
use futures::FutureExt;

use crate::support::driver::Store;
use crate::transacting::Do;

/// Runs these actions in one transaction. Returns how many gates are taken.
pub(crate) async fn transact(store: &Store, doing: Vec<Do>) -> Result<Transacted<i64>, BoxError> {
    let transacted = store.transact(move |tx| {
        async move {
            for doing in doing {
                one(tx, doing).await?;
            }
            let count = sqlx::query_scalar("SELECT count(*) FROM gates");
            Ok::<i64, BoxError>(count.fetch_one(tx.rows().await?).await?)
        }
        .boxed()
    });
    transacted.await
}

async fn one(tx: &mut Transaction<'_>, doing: Do) -> Result<(), BoxError> {
    match doing {
        Do::Sql(sql) => {
            sqlx::raw_sql(sql).execute(tx.rows().await?).await?;
        }
        Do::TrySql(sql) => {
            if let Ok(rows) = tx.rows().await {
                drop(sqlx::raw_sql(sql).execute(rows).await);
            }
        }
        Do::TryEach(each) => {
            if let Ok(rows) = tx.rows().await {
                for sql in each {
                    drop(sqlx::raw_sql(sql).execute(&mut *rows).await);
                }
            }
        }
        Do::Append(append) => drop(tx.append(append).await?),
        Do::TryAppend(append) => drop(tx.append(append).await),
        Do::Run(run) => run()?,
        Do::Call(call) => call().await?,
    }
    Ok(())
}
