//! Live queries: reads of read models that are repeated whenever their answer may have
//! changed, once for all who ask the same.
//!
//! A [`LiveQuery`] says which rows a client may see, how to read them, and which events
//! can change them. A [`Live`] runs the queries of one store, and the feed of
//! `downlink-transports` serves them.
//!
//! # Contract
//!
//! The names in brackets are laws of the conformance suite, which checks them on every store
//! and transport.
//!
//! 1. **The answer.** At each frame, the rows that a client holds are the answer of the query
//!    on the read model as of the frame's cursor, which never goes back; when the log is at
//!    rest, they are the newest. Cut connections, other servers, resets and new versions of a
//!    model, concurrent appends and slow readers change nothing
//!    \[`rows_are_the_answer_at_their_cursor`\].
//! 2. **Versions.** After another version of the model has become the live one, the answer is
//!    that of the new one, also if no event comes \[`a_live_query_follows_a_new_version`\].
//! 3. **Resets.** After a reset of the model, the last answer stays until the model has passed
//!    it, and a query without one is refused \[`a_model_that_is_rebuilt_is_not_shown`\].
//! 4. **Read your writes.** A query that asks for a cursor sees everything up to it
//!    \[`a_live_query_sees_earlier_writes`\].
//! 5. **Cost.** There is one evaluation for all who ask the same, and events that cannot
//!    change the answer cause none \[`only_matching_events_cause_evaluations`\].
//!
//! # Examples
//!
//! How many delays each flight has, kept in memory:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use downlink::live::{Live, LiveError, LiveQuery, Model, Params, Rows, Scope, Update, Watch};
//! use downlink::memory::{Fold, MemoryProjections};
//! use downlink::{BoxError, Expected, Filter, NewEvent};
//!
//! type Counts = BTreeMap<String, u32>;
//!
//! fn delays() -> Fold<Counts> {
//!     Fold::new("delays", Filter::everything(), |counts, event| {
//!         *counts.entry(event.stream().to_string()).or_default() += 1;
//!         Ok(())
//!     })
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Row<'a> {
//!     flight: &'a str,
//!     delays: u32,
//! }
//!
//! #[derive(Debug)]
//! struct DelaysByFlight;
//!
//! #[async_trait::async_trait]
//! impl LiveQuery for DelaysByFlight {
//!     type Tx = Counts;
//!     type Principal = ();
//!
//!     fn name(&self) -> &str {
//!         "delays"
//!     }
//!
//!     fn projection(&self) -> &str {
//!         "delays"
//!     }
//!
//!     fn key(&self) -> &str {
//!         "flight"
//!     }
//!
//!     fn scope(&self, _: Option<&()>, _: &Params) -> Result<Scope, LiveError> {
//!         Ok(Scope::everything())
//!     }
//!
//!     async fn eval(
//!         &self,
//!         model: &mut Model<'_, Counts>,
//!         _: &Scope,
//!         _: &Params,
//!     ) -> Result<Rows, BoxError> {
//!         let rows = model.iter().map(|(flight, &delays)| Row { flight, delays });
//!         Ok(Rows::collect(rows)?)
//!     }
//!
//!     fn affected_by(&self, _: &Scope, _: &Params) -> downlink::Result<Filter> {
//!         Ok(Filter::types(["FlightDelayed"]))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let hub = downlink::memory::hub().await?;
//! let models = MemoryProjections::new();
//! let delays = hub.project(delays(), models.clone()).start()?;
//! let live = Live::builder(&hub, models).with_query(DelaysByFlight).with_model(&delays).start()?;
//!
//! let delayed = NewEvent::json("FlightDelayed", r#"{"minutes":20}"#)?;
//! let appended = hub.append_to("flight-UA1545", Expected::Any, [delayed]).await?;
//! let watch = Watch::new("delays").with_at_least(appended.cursor);
//! let mut rows = live.watch(watch).await?;
//! let Some(Update::Result(answer)) = rows.next().await else { panic!() };
//! assert_eq!(answer.rows_json(), r#"{"delays":1,"flight":"flight-UA1545"}"#);
//! # Ok(()) }
//! ```

mod answer;
mod canonical;
mod change;
mod engine;
mod key;
mod key_task;
mod keys;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod live;
mod live_error;
mod live_query;
mod live_subscription;
mod model;
mod model_watch;
mod params;
mod principal;
mod query_store;
mod rows;
mod scope;
mod token;
mod watch;

pub use answer::Answer;
pub use change::Change;
pub use live::{Live, LiveBuilder};
pub use live_error::LiveError;
pub use live_query::LiveQuery;
pub use live_subscription::{LiveSubscription, Update};
pub use model::Model;
pub use params::Params;
pub use principal::Principal;
pub use query_store::{Evaluated, QueryStore, Work};
pub use rows::{AnswerRow, Rows};
pub use scope::Scope;
pub use token::{RowsHash, Token};
pub use watch::Watch;

#[cfg(test)]
mod tests;
