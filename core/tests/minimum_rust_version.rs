//! The minimum Rust version of core is enough for everything that core depends on.
//!
//! Clippy's `incompatible_msrv` checks core's own use of the standard library, and
//! `./check msrv` builds core with exactly that version.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The standard output of a program of the toolchain that runs this test.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The packages that are built for this machine. Nothing is downloaded: the build of this
/// test has them.
fn metadata() -> Value {
    let versions = output("rustc", &["-vV"]);
    let host = versions.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let options = ["--format-version=1", "--offline", "--manifest-path", manifest];
    let arguments = ["metadata", "--filter-platform", host];
    let text = output(env!("CARGO"), &[&arguments[..], &options].concat());
    serde_json::from_str(&text).unwrap()
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).unwrap().parse().unwrap()
}

/// The packages that core is built with, without those of its tests.
fn dependencies<'a>(nodes: &BTreeMap<&'a str, &'a Value>, core: &'a str) -> BTreeSet<&'a str> {
    let (mut found, mut left) = (BTreeSet::new(), vec![core]);
    while let Some(id) = left.pop() {
        if found.insert(id) {
            let needed = nodes[id]["deps"].as_array().unwrap().iter().filter(|dependency| {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"] != "dev")
            });
            left.extend(needed.map(|dependency| dependency["pkg"].as_str().unwrap()));
        }
    }
    found
}

#[test]
fn no_dependency_needs_a_newer_rust_than_core_declares() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes = nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let core = packages.iter().find(|package| package["name"] == "downlink").unwrap();
    let declared = core["rust_version"].as_str().unwrap();
    let dependencies = dependencies(&nodes, core["id"].as_str().unwrap());
    assert!(dependencies.len() > 20, "core depends on {dependencies:?}");
    for package in packages {
        let is_needed = dependencies.contains(package["id"].as_str().unwrap());
        if let Some(needed) = package["rust_version"].as_str().filter(|_| is_needed) {
            assert!(
                minor(needed) <= minor(declared),
                "{} needs Rust {needed}, but core declares {declared}: raise `rust-version` in \
                 core/Cargo.toml",
                package["name"]
            );
        }
    }
}
