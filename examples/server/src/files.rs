/// Raises the limit of open files to what the system allows: shells give 1,024,
/// and every connection takes one.
#[cfg(unix)]
pub(crate) fn raise_limit(wanted: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Not allowed: then the present limit is what there is.
    let _ = setrlimit(Resource::Nofile, limit);
    // `None` is no limit.
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(64);
    if files < needed {
        tracing::warn!(
            "the system allows {files} open files, which is less than {wanted} connections need: \
             raise it with `ulimit -n`, or lower --max-connections"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn raise_limit(_wanted: usize) {}
