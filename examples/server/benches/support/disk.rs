use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::Result;
use super::times::Times;

const BLOCK: usize = 4_096;

/// The number of blocks of a write-ahead log between two checkpoints.
const BLOCKS: usize = 4_096;

/// Measures an fdatasync of 4 KiB in a file that is used like a write-ahead log: written
/// once, then overwritten from start to end repeatedly.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    next: usize,
}

impl Disk {
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let mut file = File::create(folder.join("fdatasync"))?;
        let zeros = vec![0; BLOCK * 64];
        for _ in 0..BLOCKS / 64 {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        Ok(Self { file, next: BLOCKS })
    }

    pub(crate) fn measure(&mut self, time: Duration, times: &mut Times) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            times.add(self.sync()?);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<Duration> {
        if self.next == BLOCKS {
            self.file.rewind()?;
            self.next = 0;
        }
        self.file.write_all(&[7; BLOCK])?;
        self.next += 1;
        let began = Instant::now();
        self.file.sync_data()?;
        Ok(began.elapsed())
    }
}
