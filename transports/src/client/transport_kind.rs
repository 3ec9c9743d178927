use std::fmt;

/// A transport of a feed.
///
/// All transports deliver the same frames with the same cursors: a client may
/// switch from one to another at any frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// WebSocket: one socket for both directions.
    #[cfg(feature = "websocket")]
    WebSocket,
    /// Server-sent events: one response without end.
    Sse,
    /// Long-poll: one page per request, and the server delays the answer until
    /// there is an event. Works through every proxy.
    #[cfg(feature = "long-poll")]
    LongPoll,
}

impl TransportKind {
    /// The transport's name, as in `sse`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            #[cfg(feature = "long-poll")]
            Self::LongPoll => "long-poll",
        }
    }

    /// Whether the filter has to be in the URL, which cannot express alternatives.
    pub(super) fn needs_filter_in_url(self) -> bool {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => false,
            _ => true,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
