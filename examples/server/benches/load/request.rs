use std::fmt::Write;

use crate::transport::Transport;

/// What the clients request.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Requests {
    #[arg(long, value_parser = Transport::named)]
    pub(crate) transport: Transport,
    /// Host and port.
    #[arg(long)]
    pub(crate) authority: String,
    /// What precedes `/feed`.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub(crate) prefix: String,
    /// Where to begin.
    #[arg(long, default_value = "now")]
    pub(crate) after: String,
    /// The filter, in which `{n}` stands for the number of the connection and `{n/10}` for
    /// a tenth of it.
    #[arg(long, default_value = "")]
    pub(crate) filter: String,
    /// Wait in the first poll, without its cursor. What is appended before it arrives is
    /// not received.
    #[arg(long)]
    pub(crate) wait_at_once: bool,
}

impl Requests {
    pub(crate) fn new(transport: Transport, authority: &str) -> Self {
        let authority = authority.to_owned();
        let (prefix, after, filter) = (String::new(), "now".to_owned(), String::new());
        Self { transport, authority, prefix, after, filter, wait_at_once: false }
    }

    pub(crate) fn with_filter(self, filter: &str) -> Self {
        Self { filter: filter.to_owned(), ..self }
    }

    pub(crate) fn with_after(self, after: &str) -> Self {
        Self { after: after.to_owned(), ..self }
    }

    pub(crate) fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    pub(crate) fn waiting_at_once(self) -> Self {
        Self { wait_at_once: true, ..self }
    }

    /// The command line that [`Requests`] is parsed from.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = [
            ("--transport", self.transport.name()),
            ("--authority", &self.authority),
            ("--prefix", &self.prefix),
            ("--after", &self.after),
            ("--filter", &self.filter),
        ]
        .map(|(name, value)| format!("{name}={value}"))
        .to_vec();
        arguments.extend(self.wait_at_once.then(|| "--wait-at-once".to_owned()));
        arguments
    }

    /// The first request of the connection with this number.
    pub(crate) fn first(&self, number: usize) -> String {
        match self.transport {
            Transport::Raw => "\n".to_owned(),
            Transport::Redis => "SUBSCRIBE flights\r\n".to_owned(),
            Transport::Nats => {
                "CONNECT {\"verbose\":false}\r\nSUB flights 1\r\nPING\r\n".to_owned()
            }
            Transport::Sse => self.get("/feed", number, &self.after, "Accept: text/event-stream"),
            Transport::WebSocket => self.get(
                "/feed/ws",
                number,
                &self.after,
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            Transport::Poll if self.wait_at_once => self.poll(number, &self.after),
            Transport::Poll => self.get("/feed", number, &self.after, "Accept: application/json"),
        }
    }

    /// A poll that waits for events after this.
    pub(crate) fn poll(&self, number: usize, after: &str) -> String {
        let after = format!("{after}&wait=55&limit=1000");
        self.get("/feed", number, &after, "Accept: application/json")
    }

    fn get(&self, path: &str, number: usize, after: &str, fields: &str) -> String {
        let Self { prefix, authority, filter, .. } = self;
        let mut target = format!("{prefix}{path}?after={after}");
        if !filter.is_empty() {
            let filter = filter.replace("{n}", &number.to_string());
            let filter = filter.replace("{n/10}", &(number / 10).to_string());
            // Writing to a string does not fail.
            let _ = write!(target, "&{filter}");
        }
        format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n\r\n")
    }
}
