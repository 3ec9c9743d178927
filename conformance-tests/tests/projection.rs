//! Read models: in memory, and in the SQLite file of the log.

#[path = "fixtures/memory_projections.rs"]
mod memory_fixture;
#[path = "fixtures/rusqlite_projections.rs"]
mod rusqlite_fixture;
#[path = "fixtures/sqlx_projections.rs"]
mod sqlx_fixture;

mod memory {
    use super::memory_fixture::MemoryModels;
    downlink_conformance_tests::projection_store!(MemoryModels, paused);
    downlink_conformance_tests::projection!(MemoryModels, paused);
}

/// The same in real time and on several threads.
mod memory_on_threads {
    use super::memory_fixture::MemoryModels;
    downlink_conformance_tests::projection_store!(MemoryModels);
    downlink_conformance_tests::projection!(MemoryModels);
}

mod rusqlite {
    use downlink_conformance_tests::cross_process::Respawn;
    use downlink_conformance_tests::projection::DurableProjectionSetup;

    use super::rusqlite_fixture::RusqliteModels;
    downlink_conformance_tests::projection_store!(RusqliteModels);
    downlink_conformance_tests::durable_projection!(RusqliteModels);
    downlink_conformance_tests::projection!(RusqliteModels);

    #[test]
    fn takeovers_are_measured() {
        let path = concat!(module_path!(), "::takeovers_are_measured");
        let setup = DurableProjectionSetup::new(RusqliteModels, Respawn::of_test(path));
        if !setup.runs_as_child() {
            setup.measure_takeovers();
        }
    }
}

mod sqlx {
    use downlink_conformance_tests::cross_process::Respawn;
    use downlink_conformance_tests::projection::DurableProjectionSetup;

    use super::sqlx_fixture::SqlxModels;
    downlink_conformance_tests::projection_store!(SqlxModels);
    downlink_conformance_tests::durable_projection!(SqlxModels);
    downlink_conformance_tests::projection!(SqlxModels);

    #[test]
    fn takeovers_are_measured() {
        let path = concat!(module_path!(), "::takeovers_are_measured");
        let setup = DurableProjectionSetup::new(SqlxModels, Respawn::of_test(path));
        if !setup.runs_as_child() {
            setup.measure_takeovers();
        }
    }
}
