//! Macros for the groups of laws of buses and subscriptions.

/// Declares one `#[test]` for each law of [`Bus`](downlink::Bus).
///
/// Takes expressions that make the [`StoreFixture`](crate::StoreFixture) and
/// the [`BusFixture`](crate::BusFixture).
#[macro_export]
macro_rules! bus {
    ($store:expr, $bus:expr $(, ignore = $reason:literal)?) => {
        $crate::__bus_laws!(__tests!(
            $crate::bus::BusSetup,
            real,
            $crate::bus::BusSetup::new($store, $bus),
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of subscriptions, over this store and
/// this bus, and in a module `with_notices` the same for hubs that take the
/// commit notices of the store.
///
/// Takes the same as [`bus!`](crate::bus!), and the word `paused` if store and
/// bus live in the runtime of the test, which then runs on a paused clock.
#[macro_export]
macro_rules! subscription {
    ($store:expr, $bus:expr $(, ignore = $reason:literal)?) => {
        $crate::__subscription!(real, $store, $bus, [$(#[ignore = $reason])?]);
    };
    ($store:expr, $bus:expr, paused) => {
        $crate::__subscription!(paused, $store, $bus, []);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __subscription {
    ($clock:ident, $store:expr, $bus:expr, $attributes:tt) => {
        $crate::__subscription_laws!(__tests!(
            $crate::subscription::SubscriptionSetup,
            $clock,
            $crate::subscription::SubscriptionSetup::new($store, $bus),
            $attributes
        ));

        /// The same, with hubs that take the commit notices of the store.
        mod with_notices {
            #[allow(unused_imports)]
            use super::*;
            $crate::__subscription_laws!(__tests!(
                $crate::subscription::SubscriptionSetup,
                $clock,
                $crate::subscription::SubscriptionSetup::new($store, $bus).with_commits(),
                $attributes
            ));
        }
    };
}

/// Declares one `#[test]` for each law of subscriptions over a store whose log
/// can be restored from a backup while it runs, and in a module `with_notices`
/// the same for hubs that take the commit notices of the store.
///
/// Takes an expression that makes the
/// [`ReplaceableFixture`](crate::ReplaceableFixture).
#[macro_export]
macro_rules! replaceable_subscription {
    ($store:expr $(, ignore = $reason:literal)?) => {
        $crate::__replaceable_subscription_laws!(__tests!(
            $crate::subscription::ReplaceableSubscriptionSetup,
            real,
            $crate::subscription::ReplaceableSubscriptionSetup::new($store),
            [$(#[ignore = $reason])?]
        ));

        /// The same, with hubs that take the commit notices of the store.
        mod with_notices {
            #[allow(unused_imports)]
            use super::*;
            $crate::__replaceable_subscription_laws!(__tests!(
                $crate::subscription::ReplaceableSubscriptionSetup,
                real,
                $crate::subscription::ReplaceableSubscriptionSetup::new($store).with_commits(),
                [$(#[ignore = $reason])?]
            ));
        }
    };
}
