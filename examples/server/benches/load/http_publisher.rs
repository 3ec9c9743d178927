use downlink::NewEvent;

use crate::publisher::Publisher;
use crate::support::Result;
use crate::support::connection::Connection;
use crate::support::protocol::Protocol;

/// Appends to a server that already runs, over HTTP.
#[derive(Debug)]
pub(crate) struct HttpPublisher {
    connection: Connection,
}

impl HttpPublisher {
    pub(crate) async fn connect(authority: &str, prefix: &str) -> Result<Self> {
        let connection = Connection::open(authority, Protocol::Downlink).await?;
        Ok(Self { connection: connection.with_prefix(prefix) })
    }
}

impl Publisher for HttpPublisher {
    async fn publish(&mut self, stream: &str, events: Vec<NewEvent>) -> Result<()> {
        let events = events.iter().map(|event| {
            let (name, data) = (event.event_type(), std::str::from_utf8(event.payload())?);
            Ok(format!(r#"{{"type":"{name}","data":{data}}}"#))
        });
        let body = format!("[{}]", events.collect::<Result<Vec<_>>>()?.join(","));
        self.connection.send("POST", stream, &body).await
    }
}
