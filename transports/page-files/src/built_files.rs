use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The manifest of built files, which a test holds to their sources.
///
/// It is a JSON object that names each source and the SHA-256 of its content. The bundler
/// writes it beside what it builds.
#[derive(Debug)]
#[must_use = "it does nothing before `check`"]
pub struct BuiltFiles {
    manifest: PathBuf,
    root: PathBuf,
}

impl BuiltFiles {
    /// The manifest at this path, whose sources are relative to `root`. Both paths are
    /// relative to the folder of the package.
    pub fn new(manifest: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Self { manifest: manifest.into(), root: root.into() }
    }

    /// Fails if a source is not what it was when the files were built.
    ///
    /// # Panics
    ///
    /// Panics with the names of the sources and with `command`, which builds the files; if
    /// the manifest cannot be read.
    pub fn check(&self, command: &str) {
        let path = self.manifest.display();
        let text = fs::read_to_string(&self.manifest)
            .unwrap_or_else(|error| panic!("cannot read {path}: {error}: run `{command}`"));
        let sources: BTreeMap<String, String> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{path} is not a manifest: {error}: run `{command}`"));
        let stale: Vec<_> = sources.iter().filter(|(name, hash)| !self.has(name, hash)).collect();
        assert!(
            stale.is_empty() && !sources.is_empty(),
            "what {path} belongs to was not built from these files as they are now: {:?}: run `{command}`, \
             and commit the result",
            stale.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        );
    }

    fn has(&self, name: &str, hash: &str) -> bool {
        fs::read(self.root.join(Path::new(name))).is_ok_and(|content| hex(&content) == hash)
    }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
