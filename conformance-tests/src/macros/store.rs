//! Macros for the groups of laws of stores.

/// Declares one `#[test]` for each law of [`EventStore`](downlink::EventStore).
///
/// Takes an expression that makes the [`StoreFixture`](crate::StoreFixture). It
/// may be followed by a reason to ignore the tests unless they are asked for,
/// such as a server that they need. Most other groups of stores and
/// [`subscription!`](crate::subscription!) take a reason, too.
///
/// ```text
/// downlink_conformance_tests::event_store!(MyStore, ignore = "needs a database
/// server");
/// ```
#[macro_export]
macro_rules! event_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__store_laws!(__tests!(
            dyn $crate::StoreFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores whose log outlives them.
///
/// Takes an expression that makes the [`DurableFixture`](crate::DurableFixture).
#[macro_export]
macro_rules! durable_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__durable_laws!(__tests!(
            dyn $crate::DurableFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores whose log can be restored from
/// a backup while they run.
///
/// Takes an expression that makes the
/// [`ReplaceableFixture`](crate::ReplaceableFixture).
#[macro_export]
macro_rules! replaceable_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__replaceable_laws!(__tests!(
            dyn $crate::ReplaceableFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores that can write the events of
/// another log.
///
/// Takes an expression that makes the [`ImportFixture`](crate::ImportFixture).
#[macro_export]
macro_rules! importing_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__importing_laws!(__tests!(
            dyn $crate::ImportFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores with a bounded queue of
/// appends.
///
/// Takes an expression that makes the [`BoundedFixture`](crate::BoundedFixture).
#[macro_export]
macro_rules! bounded_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__bounded_laws!(__tests!(
            dyn $crate::BoundedFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores that commit in groups.
///
/// Takes an expression that makes the [`GroupCommitFixture`](crate::GroupCommitFixture).
#[macro_export]
macro_rules! group_commit_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__group_commit_laws!(__tests!(
            dyn $crate::GroupCommitFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores in whose transactions an
/// application stores rows of its own.
///
/// Takes an expression that makes the [`TransactionalFixture`](crate::TransactionalFixture).
#[macro_export]
macro_rules! transactional_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__transactional_laws!(__tests!(
            dyn $crate::TransactionalFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores that send commit notices:
/// those whose [`commits`](downlink::EventStore::commits) is `Some`.
///
/// Takes an expression that makes the [`StoreFixture`](crate::StoreFixture).
#[macro_export]
macro_rules! notifying_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__notifying_laws!(__tests!(
            dyn $crate::StoreFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores that commit in groups and send
/// commit notices.
///
/// Takes an expression that makes the [`GroupCommitFixture`](crate::GroupCommitFixture).
#[macro_export]
macro_rules! notifying_group_commit_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__notifying_group_commit_laws!(__tests!(
            dyn $crate::GroupCommitFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of logs that several processes share.
/// Each test starts its own program once more, for that test alone.
///
/// Takes an expression that makes the
/// [`CrossProcessFixture`](crate::CrossProcessFixture).
#[macro_export]
macro_rules! cross_process {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__cross_process_laws!(__cross_process_tests!(
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cross_process_tests {
    (($fixture:expr, $attributes:tt) $module:ident: $(law $law:ident)*) => {
        $($crate::__cross_process_test!($module $law, $fixture, $attributes);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cross_process_test {
    ($module:ident $law:ident, $fixture:expr, [$($attribute:tt)*]) => {
            #[test]
            $($attribute)*
            fn $law() {
                use $crate::cross_process::{CrossProcessSetup, Respawn};
                let path = concat!(module_path!(), "::", stringify!($law));
                let setup = CrossProcessSetup::new($fixture, Respawn::of_test(path));
                if !setup.runs_as_child() {
                    let setup = ::std::sync::Arc::new(setup);
                    $crate::check($crate::__run!(real $law), setup, async |setup: &CrossProcessSetup| {
                        $crate::$module::$law(setup).await;
                    });
                }
            }
    };
}
