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
        let mut body = String::from("[");
        for (number, event) in events.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let (name, data) = (event.event_type(), std::str::from_utf8(event.payload())?);
            body += &format!("{comma}{{\"type\":\"{name}\",\"data\":{data}}}");
        }
        body += "]";
        self.connection.send("POST", stream, &body).await
    }
}
