/// Raises the limit of open files as far as the system allows. The default is often
/// 1,024, and every connection needs a file.
#[cfg(unix)]
pub(crate) fn raise(max_connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that is not allowed, the current limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
    // `None` means unlimited.
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    let needed = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(64);
    if files < needed {
        tracing::warn!(
            "the limit of {files} open files is too low for {max_connections} connections: \
             raise it with `ulimit -n`, or lower --max-connections"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn raise(_max_connections: usize) {}
