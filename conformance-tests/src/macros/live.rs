//! The macro for live queries on all combinations of stores and transports.

/// Declares a module for every combination of stores and transports, such as
/// `rusqlite::sse`, with a `#[test]` for each law of live queries.
///
/// Takes expressions that make a [`LiveFixture`](crate::live::LiveFixture) and a
/// [`LiveTransport`](crate::live::LiveTransport), and at the end perhaps a reason to ignore the
/// tests, as [`event_store!`](crate::event_store!) does.
#[macro_export]
macro_rules! live_matrix {
    (
        stores { $($store:ident: $of_store:expr),+ $(,)? }
        transports $transports:tt
        $(ignore = $reason:literal)?
    ) => {
        $crate::__live_stores! {
            [$(#[ignore = $reason])?] $transports $($store: $of_store),+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __live_stores {
    ($attributes:tt $transports:tt $($store:ident: $of_store:expr),+) => {
        $(
            mod $store {
                #[allow(unused_imports)]
                use super::*;
                $crate::__live_transports! { ($of_store) $attributes $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __live_transports {
    ($store:tt $attributes:tt { $($transport:ident: $of_transport:expr),+ $(,)? }) => {
        $(
            mod $transport {
                #[allow(unused_imports)]
                use super::*;
                $crate::__live_laws!(__tests!(
                    $crate::live::LiveSetup,
                    real,
                    $crate::live::LiveSetup::new($store, $of_transport),
                    $attributes
                ));
            }
        )+
    };
}
