//! Macros for the groups of laws of projections.

/// Declares one `#[test]` for each law of
/// [`ProjectionStore`](downlink::projection::ProjectionStore).
///
/// Takes an expression that makes the
/// [`ProjectionFixture`](crate::projection::ProjectionFixture), and the word
/// `paused` as [`subscription!`](crate::subscription!) does, or a reason to ignore
/// the tests as [`event_store!`](crate::event_store!) does.
#[macro_export]
macro_rules! projection_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__projections!(__projection_store_laws, real, $fixture, [$(#[ignore = $reason])?]);
    };
    ($fixture:expr, paused) => {
        $crate::__projections!(__projection_store_laws, paused, $fixture, []);
    };
}

/// Declares one `#[test]` for each law of projection stores whose read models
/// outlive the process. Each test starts its own program again and again, for
/// that test alone, and kills it.
///
/// Takes an expression that makes the
/// [`DurableProjectionFixture`](crate::projection::DurableProjectionFixture), and a reason to
/// ignore the tests as [`event_store!`](crate::event_store!) does.
#[macro_export]
macro_rules! durable_projection {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__durable_projection_laws!(
            __durable_projection_tests!($fixture, $(#[ignore = $reason])?)
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __durable_projection_tests {
    (($fixture:expr, $(#[$attribute:meta])*) $module:ident: $(law $law:ident)*) => {
        $crate::__durable_projection_tests!(@each $fixture, [$(#[$attribute])*], $module: $($law)*);
    };
    (@each $fixture:expr, $attributes:tt, $module:ident: $($law:ident)*) => {
        $($crate::__durable_projection_tests!(@one $fixture, $attributes, $module $law);)*
    };
    (@one $fixture:expr, [$(#[$attribute:meta])*], $module:ident $law:ident) => {
            #[test]
            $(#[$attribute])*
            fn $law() {
                use $crate::{cross_process::Respawn, projection::DurableProjectionSetup};
                let path = concat!(module_path!(), "::", stringify!($law));
                let setup = DurableProjectionSetup::new($fixture, Respawn::of_test(path));
                if !setup.runs_as_child() {
                    let setup = ::std::sync::Arc::new(setup);
                    $crate::check($crate::__run!(real $law), setup, async |setup: &DurableProjectionSetup| {
                        $crate::$module::$law(setup).await;
                    });
                }
            }
    };
}

/// Declares one `#[test]` for each law of running projections, those of
/// [`Hub::project`](downlink::Hub::project), over this projection store.
///
/// Takes the same as [`projection_store!`](crate::projection_store!).
#[macro_export]
macro_rules! projection {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__projections!(__projection_laws, real, $fixture, [$(#[ignore = $reason])?]);
    };
    ($fixture:expr, paused) => {
        $crate::__projections!(__projection_laws, paused, $fixture, []);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __projections {
    ($laws:ident, $clock:ident, $fixture:expr, $attributes:tt) => {
        $crate::$laws!(__tests!(
            $crate::projection::ProjectionSetup,
            $clock,
            $crate::projection::ProjectionSetup::new($fixture),
            $attributes
        ));
    };
}
