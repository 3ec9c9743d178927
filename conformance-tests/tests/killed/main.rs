//! Repeated `kill -9`, in the middle of appends and of a projection: nothing
//! that was acknowledged is lost, no append is stored in part, and the read
//! model is the fold of the log.
//!
//! The worker that is killed is this program, started again by [`Respawn`]. The
//! seed of a run is printed; `DOWNLINK_SEED` repeats a run, as far as two
//! processes can be repeated.

mod batch;
mod board;
mod heard;
#[path = "../fixtures/rusqlite_projections.rs"]
mod rusqlite_fixture;
#[path = "../fixtures/sqlx_projections.rs"]
mod sqlx_fixture;
mod transacted;
mod trial;
mod worker;

use async_trait::async_trait;
use downlink::Result;
use rusqlite_fixture::RusqliteModels;
use sqlx_fixture::SqlxModels;
use trial::Killable;

#[async_trait]
impl Killable for RusqliteModels {
    async fn problems(&self, address: &str) -> Result<Vec<String>> {
        let report = downlink_rusqlite::verify(address).await?;
        Ok(report.problems.iter().map(ToString::to_string).collect())
    }
}

#[async_trait]
impl Killable for SqlxModels {
    async fn problems(&self, address: &str) -> Result<Vec<String>> {
        let report = downlink_sqlx::verify(address).await?;
        Ok(report.problems.iter().map(ToString::to_string).collect())
    }
}

macro_rules! trials {
    ($driver:ident: $fixture:expr) => {
        mod $driver {
            use downlink_conformance_tests::cross_process::Respawn;

            use crate::trial::Trial;
            use crate::worker;

            fn trial() -> Trial<impl crate::trial::Killable> {
                let worker = concat!(module_path!(), "::three_kills_lose_nothing");
                Trial::new($fixture, Respawn::of_test(worker))
            }

            #[test]
            fn three_kills_lose_nothing() {
                match Respawn::address() {
                    Some(address) => worker::run($fixture, &address),
                    None => trial().run(3),
                }
            }

            #[test]
            #[ignore = "slow: fifty kills"]
            fn fifty_kills_lose_nothing() {
                trial().run(50);
            }
        }
    };
}

trials!(rusqlite: crate::RusqliteModels);
trials!(sqlx: crate::SqlxModels);
