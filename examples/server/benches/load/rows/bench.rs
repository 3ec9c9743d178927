use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::arguments::Arguments;
use crate::progress::Progress;
use crate::scale::Scale;
use crate::support::Result;

/// What all rows need.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) scale: Scale,
    pub(super) progress: Progress,
    folder: PathBuf,
}

impl Bench {
    pub(super) fn new(arguments: &Arguments) -> Result<Self> {
        fs::create_dir_all(&arguments.folder)?;
        let (scale, folder) = (arguments.scale(), arguments.folder.clone());
        Ok(Self { scale, progress: Progress::start(), folder })
    }

    /// A folder for the files of one row.
    pub(super) fn folder(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(&self.folder)?)
    }

    /// The rounds of a row, with what is measured as the progress. At most `most`.
    pub(super) fn rounds(&self, what: &str, most: usize) -> impl Iterator<Item = usize> {
        let rounds = self.scale.rounds.min(most);
        (1..=rounds)
            .inspect(move |round| self.progress.set(format!("{what}: round {round} of {rounds}")))
    }
}

/// The store of a server with this file.
pub(super) fn file_store(driver: &str, file: &Path) -> String {
    format!("{driver}:{}", file.display())
}
