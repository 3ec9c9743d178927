use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use super::LoadError;
use crate::day::Year;

/// The first bytes of a zip file, and of an empty one.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Reads the flights of a csv file, or of a zip file that contains it.
pub(super) fn read(path: &Path) -> Result<Year, LoadError> {
    let failed = |error| LoadError::Open(path.into(), error);
    let mut file = File::open(path).map_err(failed)?;
    if is_zip(&mut file).map_err(failed)? {
        return read_zip(path, file);
    }
    Year::read(file).map_err(|error| LoadError::Flights(path.into(), error))
}

fn is_zip(file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(4).read_to_end(&mut beginning)?;
    file.rewind()?;
    Ok(ZIP.contains(&&beginning[..]))
}

fn read_zip(path: &Path, file: File) -> Result<Year, LoadError> {
    let damaged = |error| LoadError::Zip(path.into(), error);
    let mut archive = ZipArchive::new(file).map_err(damaged)?;
    let name = flights_in(&archive).ok_or_else(|| {
        LoadError::NoFlights(path.into(), archive.file_names().map(str::to_owned).collect())
    })?;
    let flights = archive.by_name(&name).map_err(damaged)?;
    Year::read(flights).map_err(|error| LoadError::Flights(path.into(), error))
}

/// The only csv file, or the one with the name `flights.csv`.
fn flights_in(archive: &ZipArchive<File>) -> Option<String> {
    let is_csv = |name: &&str| name.to_ascii_lowercase().ends_with(".csv");
    let csv: Vec<_> = archive.file_names().filter(is_csv).collect();
    let is_flights = |name: &&&str| name.rsplit('/').next() == Some("flights.csv");
    match &csv[..] {
        [only] => Some((*only).to_owned()),
        several => several.iter().find(is_flights).map(|name| (*name).to_owned()),
    }
}
