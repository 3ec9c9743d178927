use std::fmt;
use std::ops::{Deref, DerefMut};

/// One snapshot of a read model, which a live query reads: the transaction of the store.
pub struct Model<'a, Tx> {
    tx: &'a mut Tx,
    version: u32,
}

impl<'a, Tx> Model<'a, Tx> {
    /// A snapshot of this version. For backends.
    pub fn new(tx: &'a mut Tx, version: u32) -> Self {
        Self { tx, version }
    }

    /// The live version of the projection. A program that supports several versions chooses
    /// its tables by it.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl<Tx> Deref for Model<'_, Tx> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx
    }
}

impl<Tx> DerefMut for Model<'_, Tx> {
    fn deref_mut(&mut self) -> &mut Tx {
        self.tx
    }
}

impl<Tx> fmt::Debug for Model<'_, Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("version", &self.version).finish_non_exhaustive()
    }
}
