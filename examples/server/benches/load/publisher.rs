use std::time::Duration;

use downlink::NewEvent;
use tokio::time::interval;

use crate::events::event;
use crate::support::Result;

/// The stream of bursts, and of events at a rate if they go to one stream.
const STREAM: &str = "flight-0";

/// The shortest interval of timers.
const TICK: Duration = Duration::from_millis(1);

/// Something that appends events.
pub(crate) trait Publisher {
    async fn publish(&mut self, stream: &str, events: Vec<NewEvent>) -> Result<()>;

    /// Appends events as fast as possible, `batch` at a time.
    async fn burst(&mut self, events: usize, batch: usize) -> Result<()> {
        for first in (0..events).step_by(batch.max(1)) {
            let count = batch.max(1).min(events - first);
            self.publish(STREAM, (0..count).map(|_| event()).collect()).await?;
        }
        Ok(())
    }

    /// Appends events one at a time to `flight-0`, `flight-1` and so on, at this rate.
    async fn at_rate(&mut self, per_second: usize, events: usize, streams: usize) -> Result<()> {
        let rate = u32::try_from(per_second.max(1))?;
        let period = (Duration::from_secs(1) / rate).max(TICK);
        let in_a_tick = per_second.div_ceil(1_000).max(1);
        let mut ticks = interval(period);
        for number in 0..events {
            if number % in_a_tick == 0 {
                ticks.tick().await;
            }
            let stream = format!("flight-{}", number % streams.max(1));
            self.publish(&stream, vec![event()]).await?;
        }
        // The last period ends, too.
        ticks.tick().await;
        Ok(())
    }
}
