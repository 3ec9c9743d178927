/// Files that are not connections.
const OTHERS: usize = 100;

/// Raises the limit of open files as far as the system allows, since every connection
/// needs one. Processes that are started inherit it.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that is not allowed, the current limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
pub(crate) fn raise() {}

/// As many of these connections as one process can have open, with a message if that is
/// fewer.
#[cfg(unix)]
pub(crate) fn limited(connections: usize) -> usize {
    use rustix::process::{Resource, getrlimit};

    // `None` means unlimited.
    let Some(files) = getrlimit(Resource::Nofile).current else { return connections };
    let most = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHERS);
    if connections > most {
        eprintln!(
            "the limit of {files} open files allows {most} connections, not {connections}: \
             raise it with `ulimit -n`"
        );
    }
    connections.min(most)
}

#[cfg(not(unix))]
pub(crate) fn limited(connections: usize) -> usize {
    connections
}
