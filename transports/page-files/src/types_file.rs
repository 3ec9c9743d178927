use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use ts_rs::{Config, TS, TypeVisitor};

/// A file of TypeScript types, which a test holds equal to Rust types.
///
/// It has the declarations of the types that were added, and of those that they refer to,
/// ordered by name. 64-bit integers are a `number`, as `JSON.parse` returns them.
#[derive(Debug)]
#[must_use = "it does nothing before `check`"]
pub struct TypesFile {
    path: PathBuf,
    declarations: BTreeMap<String, String>,
}

impl TypesFile {
    /// The file at `path`, relative to the folder of the package. By convention, its name
    /// ends in `.gen.ts`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), declarations: BTreeMap::new() }
    }

    /// Adds a type, and those that it refers to.
    ///
    /// # Panics
    ///
    /// Panics if there is another type with the same name.
    pub fn with<T: TS + 'static + ?Sized>(mut self) -> Self {
        self.visit::<T>();
        self
    }

    /// Fails if the file is not as the types are. If the variable `GENERATE` is set, writes
    /// it instead.
    ///
    /// # Panics
    ///
    /// Panics with the command that writes the file if it is missing or has another content;
    /// if it cannot be written.
    pub fn check(&self) {
        let (path, now) = (&self.path, self.to_string());
        if env::var_os("GENERATE").is_some() {
            return write(path, &now);
        }
        // A checkout may have other line ends.
        let committed = fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
        assert!(
            committed == now,
            "the types in {} are not those of the Rust types: run `GENERATE=1 cargo test{}`, look at \
             what has changed in the file, and commit it",
            path.display(),
            env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name} types")).unwrap_or_default(),
        );
    }
}

fn write(path: &Path, text: &str) {
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    write().unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

impl TypeVisitor for TypesFile {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Types that TypeScript has itself have no file.
        if T::output_path().is_some() {
            let config = Config::new().with_large_int("number");
            let name = T::ident(&config);
            let docs = T::docs().unwrap_or_default();
            let declaration = format!("{docs}export {}\n", T::decl(&config));
            match self.declarations.insert(name.clone(), declaration.clone()) {
                None => {}
                Some(same) if same == declaration => return,
                Some(_) => panic!(
                    "two types are called {name}: give one of them another name, with #[ts(rename = \"…\")]"
                ),
            }
        }
        T::visit_generics(self);
        T::visit_dependencies(self);
    }
}

/// The content of the file, as the Rust types are.
impl fmt::Display for TypesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("// Generated from Rust types by a test: change those, and run `GENERATE=1 cargo test types`.\n")?;
        for declaration in self.declarations.values() {
            // ts-rs ends lines with spaces.
            let mut lines = declaration.lines().map(str::trim_end);
            f.write_str("\n")?;
            lines.try_for_each(|line| writeln!(f, "{line}"))?;
        }
        Ok(())
    }
}
