/// The protocol of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Downlink,
    DurableStreams,
}

impl Protocol {
    /// The path prefix of the streams.
    pub(crate) fn streams(self) -> &'static str {
        match self {
            Self::Downlink => "/streams/",
            Self::DurableStreams => "/",
        }
    }

    /// The path that subscribes to new events of a stream; with Downlink, of all streams.
    pub(crate) fn follow(self, stream: &str) -> String {
        match self {
            Self::Downlink => "/feed?after=now".to_owned(),
            Self::DurableStreams => format!("/{stream}?offset=now&live=sse"),
        }
    }

    /// What the server sends once a subscriber has caught up.
    pub(crate) fn live(self) -> &'static [u8] {
        match self {
            Self::Downlink => b"\"frame\":\"live\"",
            Self::DurableStreams => b"\"upToDate\":true",
        }
    }
}
