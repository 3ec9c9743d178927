//! Frames out of pages, asked for one after the other.

mod frames;
mod page;
mod session;

use std::time::Duration;

use downlink::Subscribe;

use self::session::Session;
use super::client::Client;
use super::failure::Failure;

pub(super) use self::frames::Frames;

/// How polls ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polls {
    pub(super) wait: Duration,
    pub(super) limit: usize,
}

impl Default for Polls {
    fn default() -> Self {
        Self { wait: Duration::from_secs(15), limit: downlink::limits::MAX_PAGE_EVENTS }
    }
}

pub(super) async fn open(client: &Client, subscribe: &Subscribe) -> Result<Frames, Failure> {
    let mut session = Session::new(client, subscribe)?;
    let page = session.first(subscribe.begins_after()).await?;
    Ok(Frames::begin(session, subscribe.begins_after(), page))
}
