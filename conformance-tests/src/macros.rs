/// Declares one `#[test]` for each law of [`EventStore`](downlink::EventStore).
///
/// Takes an expression that makes the [`StoreFixture`](crate::StoreFixture), and,
/// as those of the other groups of stores and [`subscription!`](crate::subscription!)
/// do, a reason for which its tests are ignored unless they are asked for: a
/// server that has to be there is never missed in silence.
///
/// ```text
/// downlink_conformance_tests::event_store!(Mine, ignore = "needs a server of mine");
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

/// Declares one `#[test]` for each law of stores whose log survives them.
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

/// Declares one `#[test]` for each law of stores whose log can be replaced
/// under them.
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

/// Declares one `#[test]` for each law of stores with a queue of appends.
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
/// Takes an expression that makes the [`GroupingFixture`](crate::GroupingFixture).
#[macro_export]
macro_rules! grouping_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__grouping_laws!(__tests!(
            dyn $crate::GroupingFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}

/// Declares one `#[test]` for each law of stores in whose transactions an
/// application stores rows of its own.
///
/// Takes an expression that makes the [`TransactingFixture`](crate::TransactingFixture).
#[macro_export]
macro_rules! transacting_store {
    ($fixture:expr) => {
        $crate::__transacting_laws!(__tests!(dyn $crate::TransactingFixture, real, $fixture));
    };
}

/// Declares one `#[test]` for each law of stores that tell what they commit: those
/// whose [`commits`](downlink::EventStore::commits) is `Some`.
///
/// Takes an expression that makes the [`StoreFixture`](crate::StoreFixture).
#[macro_export]
macro_rules! telling_store {
    ($fixture:expr) => {
        $crate::__telling_laws!(__tests!(dyn $crate::StoreFixture, real, $fixture));
    };
}

/// Declares one `#[test]` for each law of stores that commit in groups and tell
/// what they commit.
///
/// Takes an expression that makes the [`GroupingFixture`](crate::GroupingFixture).
#[macro_export]
macro_rules! telling_groups {
    ($fixture:expr) => {
        $crate::__telling_group_laws!(__tests!(dyn $crate::GroupingFixture, real, $fixture));
    };
}

/// Declares one `#[test]` for each law of logs that several processes share.
/// Each starts the program of the test once more, for that test alone.
///
/// Takes an expression that makes the
/// [`CrossProcessFixture`](crate::CrossProcessFixture).
#[macro_export]
macro_rules! cross_process {
    ($fixture:expr) => {
        $crate::__cross_process_laws!(__cross_process_tests!($fixture));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cross_process_tests {
    (($fixture:expr) $module:ident: $(law $law:ident)*) => {
        $(
            #[test]
            fn $law() {
                use $crate::cross_process::{Processes, Reentry};
                let path = concat!(module_path!(), "::", stringify!($law));
                let stage = Processes::new($fixture, Reentry::of_test(path));
                if !stage.serves_another() {
                    let stage = ::std::sync::Arc::new(stage);
                    $crate::check($crate::__run!(real $law), stage, async |stage: &Processes| {
                        $crate::$module::$law(stage).await;
                    });
                }
            }
        )*
    };
}

/// Declares one `#[test]` for each law of [`Bus`](downlink::Bus).
///
/// Takes expressions that make the fixture of a store and that of the bus.
#[macro_export]
macro_rules! bus {
    ($store:expr, $bus:expr) => {
        $crate::__bus_laws!(__tests!(
            $crate::bus::BusStage,
            real,
            $crate::bus::BusStage::new($store, $bus)
        ));
    };
}

/// Declares one `#[test]` for each law of subscriptions, over this store and
/// this bus; and in a module `told` the same for hubs that are told by the store
/// what it commits.
///
/// Takes expressions that make the fixtures of the store and the bus, and the
/// word `paused` if both live in the runtime of the test, so that time need not
/// pass.
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
            $crate::subscription::Stage,
            $clock,
            $crate::subscription::Stage::new($store, $bus),
            $attributes
        ));

        /// The same, with hubs that are told by the store what it commits.
        mod told {
            #[allow(unused_imports)]
            use super::*;
            $crate::__subscription_laws!(__tests!(
                $crate::subscription::Stage,
                $clock,
                $crate::subscription::Stage::new($store, $bus).with_commits(),
                $attributes
            ));
        }
    };
}

/// Declares one `#[test]` for each law of subscriptions over a store whose log
/// can be replaced under it; and in a module `told` the same for hubs that are
/// told by the store what it commits.
///
/// Takes an expression that makes the
/// [`ReplaceableFixture`](crate::ReplaceableFixture).
#[macro_export]
macro_rules! replaceable_subscription {
    ($store:expr) => {
        $crate::__replaceable_subscription_laws!(__tests!(
            $crate::subscription::ReplaceableStage,
            real,
            $crate::subscription::ReplaceableStage::new($store)
        ));

        /// The same, with hubs that are told by the store what it commits.
        mod told {
            #[allow(unused_imports)]
            use super::*;
            $crate::__replaceable_subscription_laws!(__tests!(
                $crate::subscription::ReplaceableStage,
                real,
                $crate::subscription::ReplaceableStage::new($store).with_commits()
            ));
        }
    };
}

/// Declares one `#[test]` for each law of
/// [`ProjectionStore`](downlink::ProjectionStore).
///
/// Takes an expression that makes the
/// [`ProjectionFixture`](crate::projection::ProjectionFixture), and the word
/// `paused` as [`subscription!`](crate::subscription!) does.
#[macro_export]
macro_rules! projection_store {
    ($fixture:expr) => {
        $crate::__projections!(__projection_store_laws, real, $fixture);
    };
    ($fixture:expr, paused) => {
        $crate::__projections!(__projection_store_laws, paused, $fixture);
    };
}

/// Declares one `#[test]` for each law of stores whose read models outlive the
/// process. Each starts the program of the test again and again, for that test
/// alone, and kills it.
///
/// Takes an expression that makes the
/// [`DurableProjectionFixture`](crate::projection::DurableProjectionFixture).
#[macro_export]
macro_rules! durable_projection {
    ($fixture:expr) => {
        $crate::__durable_projection_laws!(__durable_projection_tests!($fixture));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __durable_projection_tests {
    (($fixture:expr) $module:ident: $(law $law:ident)*) => {
        $(
            #[test]
            fn $law() {
                use $crate::{cross_process::Reentry, projection::DurableProjections};
                let path = concat!(module_path!(), "::", stringify!($law));
                let stage = DurableProjections::new($fixture, Reentry::of_test(path));
                if !stage.serves_another() {
                    let stage = ::std::sync::Arc::new(stage);
                    $crate::check($crate::__run!(real $law), stage, async |stage: &DurableProjections| {
                        $crate::$module::$law(stage).await;
                    });
                }
            }
        )*
    };
}

/// Declares one `#[test]` for each law of projections that run: those of
/// [`Hub::project`](downlink::Hub::project), over this store of read models.
///
/// Takes the same as [`projection_store!`](crate::projection_store!).
#[macro_export]
macro_rules! projection {
    ($fixture:expr) => {
        $crate::__projections!(__projection_laws, real, $fixture);
    };
    ($fixture:expr, paused) => {
        $crate::__projections!(__projection_laws, paused, $fixture);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __projections {
    ($laws:ident, $clock:ident, $fixture:expr) => {
        $crate::$laws!(__tests!(
            $crate::projection::Projections,
            $clock,
            $crate::projection::Projections::new($fixture)
        ));
    };
}

/// Declares one `#[test]` for each law of [`Transport`](downlink::Transport).
///
/// Takes expressions that make the fixtures of a store, a bus and the transport.
#[macro_export]
macro_rules! transport {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__transport_laws!(__tests!(
            $crate::transport::Line,
            real,
            $crate::transport::Line::new($store, $bus, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that soon gives up on who is
/// silent.
///
/// Takes expressions that make the fixture of a store and the
/// [`ImpatientFixture`](crate::ImpatientFixture).
#[macro_export]
macro_rules! impatient_transport {
    ($store:expr, $transport:expr) => {
        $crate::__impatient_laws!(__tests!(
            $crate::transport::ImpatientLine,
            real,
            $crate::transport::ImpatientLine::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that asks what a client may
/// see.
///
/// Takes expressions that make the fixture of a store and the
/// [`GuardedFixture`](crate::GuardedFixture).
#[macro_export]
macro_rules! guarded_transport {
    ($store:expr, $transport:expr) => {
        $crate::__guarded_laws!(__tests!(
            $crate::transport::GuardedLine,
            real,
            $crate::transport::GuardedLine::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of several transports of one log: they
/// deliver the same bytes, and a client may change between them.
///
/// Takes expressions that make the fixture of a store and those of two transports
/// or more.
#[macro_export]
macro_rules! transports {
    ($store:expr, [$($transport:expr),+ $(,)?]) => {
        $crate::__transports_laws!(__tests!(
            $crate::transport::Transports,
            real,
            $crate::transport::Transports::new($store, [$({
                let transport: ::std::sync::Arc<dyn $crate::TransportFixture> =
                    ::std::sync::Arc::new($transport);
                transport
            }),+])
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that speaks long-poll as the
/// wire contract has it. It looks at the bytes of the socket, so it holds a
/// server in any language.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! polls {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__polls_laws!(__tests!(
            $crate::transport::Line,
            real,
            $crate::transport::Line::new($store, $bus, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that speaks WebSocket as the
/// wire contract has it. It looks at the bytes of the socket, so it holds a
/// server in any language.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! socket {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__socket_laws!(__tests!(
            $crate::transport::Line,
            real,
            $crate::transport::Line::new($store, $bus, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport over a store whose log can
/// be replaced under it.
///
/// Takes expressions that make the [`ReplaceableFixture`](crate::ReplaceableFixture)
/// and the fixture of the transport.
#[macro_export]
macro_rules! replaceable_line {
    ($store:expr, $transport:expr) => {
        $crate::__replaceable_line_laws!(__tests!(
            $crate::transport::ReplaceableLine,
            real,
            $crate::transport::ReplaceableLine::new($store, $transport)
        ));
    };
}

/// Declares one `#[test]` for each law of a transport that speaks server-sent
/// events as the wire contract has them. It looks at the bytes of the socket,
/// so it holds a server in any language.
///
/// Takes the same as [`transport!`](crate::transport!).
#[macro_export]
macro_rules! event_stream {
    ($store:expr, $bus:expr, $transport:expr) => {
        $crate::__event_stream_laws!(__tests!(
            $crate::transport::Line,
            real,
            $crate::transport::Line::new($store, $bus, $transport)
        ));
    };
}

/// Declares a module for every combination of stores, buses and transports, such
/// as `memory::local::sse`, with a `#[test]` for each of the three properties
/// that have to hold through all of them: order, conflict, resume from any id.
///
/// ```text
/// downlink_conformance_tests::matrix! {
///     stores { memory: Memory, rusqlite: Rusqlite }
///     buses { local: Local }
///     transports { sse: ServerSentEvents }
/// }
/// ```
///
/// `cargo test memory::local::sse` runs one of them.
#[macro_export]
macro_rules! matrix {
    (
        stores { $($store:ident: $of_store:expr),+ $(,)? }
        buses $buses:tt
        transports $transports:tt
    ) => {
        $(
            mod $store {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_buses! { ($of_store) $buses $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __matrix_buses {
    ($store:tt { $($bus:ident: $of_bus:expr),+ $(,)? } $transports:tt) => {
        $(
            mod $bus {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_transports! { $store ($of_bus) $transports }
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __matrix_transports {
    ($store:tt $bus:tt { $($transport:ident: $of_transport:expr),+ $(,)? }) => {
        $(
            mod $transport {
                #[allow(unused_imports)]
                use super::*;
                $crate::__matrix_laws!(__tests!(
                    $crate::transport::Line,
                    real,
                    $crate::transport::Line::new($store, $bus, $of_transport)
                ));
            }
        )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($subject:ty, $clock:ident, $fixture:expr) $module:ident: $($kind:ident $law:ident)*) => {
        $($crate::__test!($kind $module $law, $clock, $subject, $fixture, []);)*
    };
    (($subject:ty, $clock:ident, $fixture:expr, $attributes:tt)
        $module:ident: $($kind:ident $law:ident)*) => {
        $($crate::__test!($kind $module $law, $clock, $subject, $fixture, $attributes);)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    (law $module:ident $law:ident, $clock:ident, $subject:ty, $fixture:expr,
        [$($attribute:tt)*]) => {
        #[test]
        $($attribute)*
        fn $law() {
            let fixture: ::std::sync::Arc<$subject> = ::std::sync::Arc::new($fixture);
            $crate::check($crate::__run!($clock $law), fixture, async |fixture: &$subject| {
                $crate::$module::$law(fixture).await;
            });
        }
    };
    (property $module:ident $law:ident, $clock:ident, $subject:ty, $fixture:expr,
        [$($attribute:tt)*]) => {
        #[test]
        $($attribute)*
        fn $law() {
            let fixture: ::std::sync::Arc<$subject> = ::std::sync::Arc::new($fixture);
            $crate::check_property($crate::__run!($clock $law), fixture, |run, fixture| {
                $crate::$module::$law(run, fixture);
            });
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __run {
    (real $law:ident) => {
        $crate::Run::new(stringify!($law))
            .with_seeds(concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions"))
    };
    (paused $law:ident) => {
        $crate::__run!(real $law).with_paused_clock()
    };
}
