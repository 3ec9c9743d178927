use std::env;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::args::{BusChoice, Options, ProxyKind};

/// The programs of others that are started.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The folder of `initdb` and `pg_ctl`.
    pub(crate) postgres: PathBuf,
    /// Not needed with the bus of PostgreSQL.
    pub(crate) nats: Option<PathBuf>,
    pub(crate) proxy: (ProxyKind, PathBuf),
}

/// What has to be installed first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(Vec<Program>);

/// A program, and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Program {
    name: &'static str,
    package: &'static str,
}

const INITDB: Program = Program { name: "initdb", package: "postgresql" };
const NATS: Program = Program { name: "nats-server", package: "nats-server" };

impl Programs {
    pub(crate) fn find(options: &Options) -> Result<Self, Missing> {
        Self::find_in(&folders(), options.bus, options.proxy)
    }

    fn find_in(
        folders: &[PathBuf],
        bus: BusChoice,
        proxy: Option<ProxyKind>,
    ) -> Result<Self, Missing> {
        let mut missing = Vec::new();
        let mut find = |program: Program| {
            let found = look_for(program.name, folders);
            if found.is_none() {
                missing.push(program);
            }
            found
        };
        let initdb = find(INITDB);
        let nats = if bus == BusChoice::Nats { find(NATS) } else { None };
        let kind = proxy.unwrap_or_else(|| installed_proxy(folders));
        let proxy = find(program_of(kind));
        let postgres = initdb.and_then(|initdb| Some(initdb.parent()?.to_owned()));
        match (postgres, proxy) {
            (Some(postgres), Some(proxy)) if missing.is_empty() => {
                Ok(Self { postgres, nats, proxy: (kind, proxy) })
            }
            _ => Err(Missing(missing)),
        }
    }
}

fn installed_proxy(folders: &[PathBuf]) -> ProxyKind {
    let mut kinds = [ProxyKind::Nginx, ProxyKind::Haproxy].into_iter();
    kinds.find(|kind| look_for(kind.program(), folders).is_some()).unwrap_or(ProxyKind::Nginx)
}

fn program_of(kind: ProxyKind) -> Program {
    let package = match kind {
        ProxyKind::Nginx => "nginx-light",
        ProxyKind::Haproxy => "haproxy",
    };
    Program { name: kind.program(), package }
}

fn look_for(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Where programs are, also those that Debian does not have in the path of ordinary users.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.extend(versions_of_postgres(Path::new("/usr/lib/postgresql")));
    folders
}

/// The newest first.
fn versions_of_postgres(folder: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let mut versions: Vec<_> = folder
        .read_dir()
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions.into_iter().map(|version| version.join("bin")).collect()
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |of: fn(&Program) -> &'static str, with| {
            self.0.iter().map(of).collect::<Vec<_>>().join(with)
        };
        write!(
            f,
            "missing: {}; neither in the PATH nor in /usr/sbin or /usr/lib/postgresql/*/bin. Install \
             what is missing and try again, on Debian by: sudo apt-get install {}",
            join(|program| program.name, ", "),
            join(|program| program.package, " ")
        )
    }
}

impl Error for Missing {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder_with(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            fs::write(folder.path().join(program), "").unwrap();
        }
        folder
    }

    fn find(programs: &[&str], bus: BusChoice) -> Result<Programs, Missing> {
        let folder = folder_with(programs);
        Programs::find_in(&[folder.path().to_owned()], bus, None)
    }

    #[test]
    fn everything_that_is_missing_is_named_with_its_package() {
        let missing = find(&["nginx"], BusChoice::Nats).unwrap_err().to_string();
        assert!(missing.starts_with("missing: initdb, nats-server;"), "{missing}");
        assert!(missing.ends_with("apt-get install postgresql nats-server"), "{missing}");
        let missing = find(&[], BusChoice::Postgres).unwrap_err().to_string();
        assert!(missing.ends_with("apt-get install postgresql nginx-light"), "{missing}");
    }

    #[test]
    fn one_of_the_proxies_is_enough_and_nats_is_for_its_bus() {
        let found = find(&["initdb", "haproxy"], BusChoice::Postgres).unwrap();
        assert_eq!(found.proxy.0, ProxyKind::Haproxy);
        let found = find(&["initdb", "haproxy", "nginx", "nats-server"], BusChoice::Nats).unwrap();
        assert_eq!(found.proxy.0, ProxyKind::Nginx);
        assert!(found.nats.is_some());
    }

    #[test]
    fn the_newest_postgres_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "14"] {
            fs::create_dir(folder.path().join(version)).unwrap();
        }
        let found = versions_of_postgres(folder.path());
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path())).collect();
        assert_eq!(names, ["15/bin", "14/bin", "9/bin"].map(|name| Ok(Path::new(name))));
    }
}
