use std::fmt;
use std::ops::{Deref, DerefMut};

/// One snapshot of a read model, which a live query reads: the transaction of the store.
pub struct Model<'a, Tx: ?Sized> {
    tx: &'a mut Tx,
    version: u32,
}

impl<'a, Tx: ?Sized> Model<'a, Tx> {
    /// A snapshot of this version. For backends.
    pub fn new(tx: &'a mut Tx, version: u32) -> Self {
        Self { tx, version }
    }

    /// The same snapshot through another type of transaction. For stores that wrap another one.
    pub fn map<Other: ?Sized>(
        self,
        map: impl FnOnce(&'a mut Tx) -> &'a mut Other,
    ) -> Model<'a, Other> {
        Model { tx: map(self.tx), version: self.version }
    }

    /// The live version of the projection. A program that supports several versions chooses
    /// its tables by it.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl<Tx: ?Sized> Deref for Model<'_, Tx> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx
    }
}

impl<Tx: ?Sized> DerefMut for Model<'_, Tx> {
    fn deref_mut(&mut self) -> &mut Tx {
        self.tx
    }
}

impl<Tx: ?Sized> fmt::Debug for Model<'_, Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("version", &self.version).finish_non_exhaustive()
    }
}
