//! The macro for the laws of stores of snapshots.

/// Declares one `#[test]` for each law of
/// [`SnapshotStore`](downlink::decider::SnapshotStore).
///
/// Takes an expression that makes the
/// [`SnapshotFixture`](crate::SnapshotFixture), and may be followed by a reason
/// to ignore the tests as in [`event_store!`](crate::event_store!).
#[macro_export]
macro_rules! snapshot_store {
    ($fixture:expr $(, ignore = $reason:literal)?) => {
        $crate::__snapshot_laws!(__tests!(
            dyn $crate::SnapshotFixture,
            real,
            $fixture,
            [$(#[ignore = $reason])?]
        ));
    };
}
