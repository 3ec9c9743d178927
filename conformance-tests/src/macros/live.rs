//! The macro for live queries on all combinations of stores and transports.

/// Declares a module for every combination of stores and transports, such as
/// `rusqlite::sse`, with a `#[test]` for each law of live queries.
///
/// Takes expressions that make a [`LiveFixture`](crate::live::LiveFixture) and a
/// [`LiveTransport`](crate::live::LiveTransport).
#[macro_export]
macro_rules! live_matrix {
    (
        stores { $($store:ident: $of_store:expr),+ $(,)? }
        transports $transports:tt
    ) => {
        $(
            mod $store {
                #[allow(unused_imports)]
                use super::*;
                $crate::__live_transports! { ($of_store) $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __live_transports {
    ($store:tt { $($transport:ident: $of_transport:expr),+ $(,)? }) => {
        $(
            mod $transport {
                #[allow(unused_imports)]
                use super::*;
                $crate::__live_laws!(__tests!(
                    $crate::live::LiveSetup,
                    real,
                    $crate::live::LiveSetup::new($store, $of_transport)
                ));
            }
        )+
    };
}
