//! Macros for the groups of laws of transports.

/// Declares one `#[test]` for each law of [`Transport`](downlink::Transport).
///
/// Takes expressions that make the [`StoreFixture`](crate::StoreFixture), the
/// [`BusFixture`](crate::BusFixture) and the
/// [`TransportFixture`](crate::TransportFixture), and perhaps a reason to ignore
/// the tests, as [`event_store!`](crate::event_store!) does.
#[macro_export]
macro_rules! transport {
    ($store:expr, $bus:expr, $transport:expr $(, ignore = $reason:literal)?) => {
        $crate::__transport_laws!(__tests!(
            $crate::transport::TransportSetup,
            real,
            $crate::transport::TransportSetup::new($store, $bus, $transport),
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of a transport with short timeouts for
/// silent peers.
///
/// Takes expressions that make the [`StoreFixture`](crate::StoreFixture) and
/// the [`ShortTimeoutFixture`](crate::ShortTimeoutFixture).
#[macro_export]
macro_rules! short_timeout_transport {
    ($store:expr, $transport:expr) => {
        $crate::__short_timeout_laws!(__tests!(
            $crate::transport::ShortTimeoutTransportSetup,
            real,
            $crate::transport::ShortTimeoutTransportSetup::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that checks what a client
/// may see.
///
/// Takes expressions that make the [`StoreFixture`](crate::StoreFixture) and
/// the [`AuthorizingFixture`](crate::AuthorizingFixture).
#[macro_export]
macro_rules! authorizing_transport {
    ($store:expr, $transport:expr) => {
        $crate::__authorizing_laws!(__tests!(
            $crate::transport::AuthorizingTransportSetup,
            real,
            $crate::transport::AuthorizingTransportSetup::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that follows changes of what
/// a client may see.
///
/// Takes expressions that make the [`StoreFixture`](crate::StoreFixture) and
/// the [`ReauthorizingFixture`](crate::ReauthorizingFixture).
#[macro_export]
macro_rules! reauthorizing_transport {
    ($store:expr, $transport:expr) => {
        $crate::__reauthorizing_laws!(__tests!(
            $crate::transport::ReauthorizingTransportSetup,
            real,
            $crate::transport::ReauthorizingTransportSetup::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of several transports of one log: they
/// deliver the same bytes, and a client may switch between them.
///
/// Takes an expression that makes the [`StoreFixture`](crate::StoreFixture), a
/// list of expressions that make two transports or more, and perhaps a reason to
/// ignore the tests, as [`event_store!`](crate::event_store!) does.
#[macro_export]
macro_rules! transports {
    ($store:expr, [$($transport:expr),+ $(,)?] $(, ignore = $reason:literal)?) => {
        $crate::__transports_laws!(__tests!(
            $crate::transport::TransportsSetup,
            real,
            $crate::transport::TransportsSetup::new($store, [$({
                let transport: ::std::sync::Arc<dyn $crate::TransportFixture> =
                    ::std::sync::Arc::new($transport);
                transport
            }),+]),
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that uses the
/// long-polling of the wire contract. They check the bytes on the socket.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! long_poll_wire {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__long_poll_wire_laws!(__tests!(
            $crate::transport::TransportSetup,
            real,
            $crate::transport::TransportSetup::new($store, $bus, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that uses the WebSocket
/// protocol of the wire contract. They check the bytes on the socket.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! websocket_wire {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__websocket_wire_laws!(__tests!(
            $crate::transport::TransportSetup,
            real,
            $crate::transport::TransportSetup::new($store, $bus, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport over a store whose log
/// can be restored from a backup while it runs.
///
/// Takes expressions that make the [`ReplaceableFixture`](crate::ReplaceableFixture) and the
/// [`TransportFixture`](crate::TransportFixture).
#[macro_export]
macro_rules! replaceable_transport {
    ($store:expr, $transport:expr) => {
        $crate::__replaceable_transport_laws!(__tests!(
            $crate::transport::ReplaceableTransportSetup,
            real,
            $crate::transport::ReplaceableTransportSetup::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that uses the SSE
/// encoding of the wire contract. They check the bytes on the socket.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! sse_wire {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__sse_wire_laws!(__tests!(
            $crate::transport::TransportSetup,
            real,
            $crate::transport::TransportSetup::new($store, $bus, $transport)
        ));
    };
}
