//! One SQLite file, several processes.

#[path = "fixtures/sqlite_files.rs"]
mod sqlite_files;
#[path = "fixtures/sqlite.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the stores have their own tests")]
mod sqlite_fixture;

use sqlite_files::{Driver, Files};

mod rusqlite {
    use super::*;
    downlink_conformance_tests::cross_process!(Files {
        here: Driver::Rusqlite,
        in_child: Driver::Rusqlite
    });
}

mod sqlx {
    use super::*;
    downlink_conformance_tests::cross_process!(Files {
        here: Driver::Sqlx,
        in_child: Driver::Sqlx
    });
}

mod rusqlite_with_sqlx {
    use super::*;
    downlink_conformance_tests::cross_process!(Files {
        here: Driver::Rusqlite,
        in_child: Driver::Sqlx
    });
}

mod sqlx_with_rusqlite {
    use super::*;
    downlink_conformance_tests::cross_process!(Files {
        here: Driver::Sqlx,
        in_child: Driver::Rusqlite
    });
}
