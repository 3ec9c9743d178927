use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::{BoxError, Event, Filter, Projection};
use downlink_conformance_tests::projection::ProjectionFixture;

pub(crate) const NAME: &str = "board";

/// A read model with one line for each event, written as a fixture does.
pub(crate) struct Board<F>(pub(crate) Arc<F>);

impl<F> fmt::Debug for Board<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}

pub(crate) fn id() -> ProjectionId {
    ProjectionId::new(NAME, 1).expect("a valid name")
}

pub(crate) fn line(event: &Event) -> String {
    event.cursor().to_string()
}

#[async_trait]
impl<F: ProjectionFixture> Projection for Board<F> {
    type Tx = F::Tx;

    fn name(&self) -> &str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut F::Tx) -> Result<(), BoxError> {
        self.0.make_list(NAME, tx).await
    }

    async fn apply(&self, events: &[Event], tx: &mut F::Tx) -> Result<(), BoxError> {
        for event in events {
            self.0.add_line(NAME, &line(event), tx).await?;
        }
        Ok(())
    }
}
