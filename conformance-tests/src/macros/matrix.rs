//! The macro for all combinations of stores, buses and transports.

/// Declares a module for every combination of stores, buses and transports,
/// such as `memory::local::sse`, with a `#[test]` for each of three laws:
/// order, conflict, and resume from any id.
///
/// ```text
/// downlink_conformance_tests::matrix! {
///     stores { memory: Memory, rusqlite: Rusqlite }
///     buses { local: Local }
///     transports { sse: ServerSentEvents }
/// }
/// ```
///
/// `cargo test memory::local::sse` runs one combination. At the end perhaps a
/// reason to ignore the tests, as [`event_store!`](crate::event_store!) takes it.
#[macro_export]
macro_rules! matrix {
    (
        stores { $($store:ident: $of_store:expr),+ $(,)? }
        buses $buses:tt
        transports $transports:tt
        $(ignore = $reason:literal)?
    ) => {
        $crate::__matrix_stores! {
            [$(#[ignore = $reason])?] $buses $transports $($store: $of_store),+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __matrix_stores {
    ($attributes:tt $buses:tt $transports:tt $($store:ident: $of_store:expr),+) => {
        $(
            mod $store {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_buses! { ($of_store) $attributes $buses $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __matrix_buses {
    ($store:tt $attributes:tt { $($bus:ident: $of_bus:expr),+ $(,)? } $transports:tt) => {
        $(
            mod $bus {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_transports! { $store ($of_bus) $attributes $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __matrix_transports {
    ($store:tt $bus:tt $attributes:tt { $($transport:ident: $of_transport:expr),+ $(,)? }) => {
        $(
            mod $transport {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_laws!(__tests!(
                    $crate::transport::TransportSetup,
                    real,
                    $crate::transport::TransportSetup::new($store, $bus, $of_transport),
                    $attributes
                ));
            }
        )+
    };
}
