use clap::ValueEnum;

/// How the events reach the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Without a protocol, as the baseline.
    Raw,
    Sse,
    #[value(name = "websocket", alias = "ws")]
    WebSocket,
    Poll,
    /// A channel of Redis; in the table only.
    #[value(skip)]
    Redis,
    /// A subject of NATS; in the table only.
    #[value(skip)]
    Nats,
}

impl Transport {
    /// The name on the command line of the clients.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
            Self::Poll => "poll",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }

    /// The transport of a [`name`](Self::name).
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let all = [Self::Raw, Self::Sse, Self::WebSocket, Self::Poll, Self::Redis, Self::Nats]
            .into_iter();
        let mut same = all.filter(|transport| transport.name() == name);
        same.next().ok_or_else(|| format!("there is no transport {name}"))
    }

    /// The bytes after which a client receives everything that is appended.
    pub(crate) fn live(self) -> &'static [u8] {
        match self {
            Self::Raw => b"live\n",
            Self::Sse | Self::WebSocket => b"\"frame\":\"live\"",
            // The first page, which is answered at once.
            Self::Poll => b"\"more\":",
            Self::Redis => b":1\r\n",
            Self::Nats => b"PONG\r\n",
        }
    }
}
