/// A parameter of a statement, for the driver to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An `INTEGER`.
    Integer(i64),
    /// A `TEXT`.
    Text(String),
    /// A `BLOB`.
    Blob(Vec<u8>),
}
