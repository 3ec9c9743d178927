use downlink::EventId;

use super::Result;
use super::connection::Connection;

/// Together larger than the write-ahead log between two checkpoints.
pub(crate) const WARM_UP_EVENTS: u64 = 100;
pub(crate) const WARM_UP_BYTES: usize = 250_000;

/// Appends until the write-ahead log has its full size and is overwritten from then on:
/// while a file grows, an fdatasync also writes the file's metadata.
pub(crate) async fn warm_up(
    connection: &mut Connection,
    stream: impl Fn(u64) -> String,
) -> Result<()> {
    let data = format!("\"{}\"", "x".repeat(WARM_UP_BYTES));
    for number in 0..WARM_UP_EVENTS {
        connection.append_data(&stream(number), EventId::now(), &data).await?;
    }
    Ok(())
}
