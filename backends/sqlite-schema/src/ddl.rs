/// Marks a file as Downlink's: `DnLk`.
pub const APPLICATION_ID: i64 = 0x446e_4c6b;

/// The version of the tables that this release writes and reads.
pub const USER_VERSION: i64 = 1;

/// Makes an empty log of an empty database. One transaction, together with
/// [`MARK`].
pub const CREATE: &str = include_str!("schema.sql");

/// Marks the database as ours. `application_id` and `user_version` roll back
/// with the transaction.
pub const MARK: &str = "PRAGMA application_id = 1148079211; PRAGMA user_version = 1;";

/// One row: `application_id`, `user_version`, and how many tables, indexes,
/// views and triggers the database has.
pub const IDENTITY: &str = "SELECT (SELECT application_id FROM pragma_application_id), \
     (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_says_what_is_checked() {
        assert_eq!(
            MARK,
            format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {USER_VERSION};"
            )
        );
        assert_eq!(u32::try_from(APPLICATION_ID).unwrap().to_be_bytes(), *b"DnLk");
    }
}
