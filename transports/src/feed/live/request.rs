use std::time::Duration;

use downlink::live::{Live, Params, Token, Watch};
use http::Method;
use http::request::Parts;

use crate::feed::feed::Feed;
use crate::feed::rights::Rights;
use crate::feed::stream;
use crate::headers::accepts_event_stream;
use crate::wire::{self, Problem, Query};

/// The parameters of every live query, apart from its own.
const PARAMETERS: [&str; 4] = ["after", "lastEventId", "at_least", "wait"];

/// What a request to a live query asks for.
pub(super) struct LiveRequest {
    pub(super) live: Live,
    pub(super) watch: Watch,
    pub(super) after: Option<Token>,
    pub(super) wait: Duration,
    pub(super) heartbeat_events: bool,
}

impl LiveRequest {
    pub(super) fn parse(feed: &Feed, parts: &Parts, rights: &Rights) -> Result<Self, Problem> {
        let name = stream::last_segment(parts).unwrap_or_default();
        let live = feed.live(&name)?;
        let own = live.parameters(&name).unwrap_or_default();
        let mut known: Vec<_> = own.iter().map(String::as_str).chain(PARAMETERS).collect();
        if accepts_event_stream(&parts.headers) {
            known.push("heartbeat");
        }
        let query = Query::parse(parts.uri.query(), &known, &feed.parameters)?;
        let after = wire::resume_live(&parts.headers, &query)?;
        let wait = Duration::from_secs(query.wait()?);
        // A HEAD never waits.
        let wait = if parts.method == Method::HEAD { Duration::ZERO } else { wait };
        let mut watch = Watch::new(name)
            .with_params(params(&query, &own)?)
            .with_principal(rights.any_principal().cloned())
            .with_after(after)
            .with_wait(wait);
        if let Some(cursor) = query.at_least()? {
            watch = watch.with_at_least(cursor);
        }
        let heartbeat_events = query.heartbeat_is_event()?;
        Ok(Self { live: live.clone(), watch, after, wait, heartbeat_events })
    }
}

fn params(query: &Query, own: &[String]) -> Result<Params, Problem> {
    let mut params = Params::new();
    for name in own {
        if let Some(value) = query.one(name)? {
            params = params.with(name, value);
        }
    }
    Ok(params)
}
