/// The application id of a Downlink file: `DnLk`. A database of an application keeps its
/// own.
pub const APPLICATION_ID: i64 = 0x446e_4c6b;

/// The version of the tables that this release writes and reads.
pub const FORMAT: i64 = 4;

/// Creates an empty log in a database that has none. One transaction; in a file for the log
/// alone together with [`MARK`].
pub const CREATE: &str = concat!(
    include_str!("schema.sql"),
    include_str!("projections.sql"),
    include_str!("additions.sql"),
    include_str!("meta.sql"),
    include_str!("postings.sql")
);

/// Migrates format 1, which had other names and no postings. Takes the same time however
/// long the log is. One transaction, together with [`MARK`].
pub const MIGRATE_1: &str = concat!(
    include_str!("migrate_1.sql"),
    include_str!("meta.sql"),
    include_str!("postings.sql"),
    include_str!("migrate_2.sql"),
    include_str!("projections.sql"),
    include_str!("migrate_2_rows.sql"),
    include_str!("additions.sql")
);

/// Migrates format 2, in which an announcement had only a position. One transaction. The
/// format is stored in the log, so the marks of the file stay unchanged.
pub const MIGRATE_2: &str = concat!(
    include_str!("migrate_2.sql"),
    include_str!("projections.sql"),
    include_str!("migrate_2_rows.sql"),
    include_str!("additions.sql"),
    include_str!("format.sql")
);

/// Migrates format 3, which had no leases, no snapshots and no moved logs. One transaction.
pub const MIGRATE_3: &str = concat!(include_str!("additions.sql"), include_str!("format.sql"));

/// Marks a file as Downlink's. `application_id` and `user_version` roll back with the
/// transaction.
pub const MARK: &str = "PRAGMA application_id = 1148079211; PRAGMA user_version = 4;";

/// One row: the columns of [`Identity`](crate::Identity), in its order.
pub const IDENTITY: &str = "SELECT (SELECT application_id FROM pragma_application_id), \
     (SELECT user_version FROM pragma_user_version), \
     (SELECT count(*) FROM sqlite_schema), \
     (SELECT count(*) FROM sqlite_schema WHERE name = 'downlink_meta' AND type = 'table'), \
     (SELECT count(*) FROM sqlite_schema WHERE name LIKE 'downlink\\_%' ESCAPE '\\'), \
     (SELECT group_concat(name, ', ') FROM sqlite_schema \
      WHERE type = 'trigger' AND tbl_name LIKE 'downlink\\_%' ESCAPE '\\'), \
     (SELECT encoding FROM pragma_encoding)";

/// The version of the tables of a log in a database that has
/// [`downlink_meta`](IDENTITY).
pub const META_FORMAT: &str = "SELECT value FROM downlink_meta WHERE name = 'format'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_matches_the_constants() {
        assert_eq!(
            MARK,
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};")
        );
        assert_eq!(u32::try_from(APPLICATION_ID).unwrap().to_be_bytes(), *b"DnLk");
        assert!(CREATE.contains(&format!("('format', {FORMAT})")));
        assert!(MIGRATE_3.contains(&format!("SET value = {FORMAT} WHERE name = 'format'")));
    }
}
