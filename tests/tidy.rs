//! The house rules, checked: who may import whom, an opening doc in every
//! file, no file too long, links that lead somewhere.
//!
//! The layer table is in docs/ARCHITECTURE.md; adding an edge between
//! packages means changing that table, visibly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// No source file is longer, tests included.
const MAX_LINES: usize = 1000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("has a parent").to_path_buf()
}

/// The files of the repository whose names end in `ext`, as git knows them.
fn files(ext: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", &format!("*.{ext}")])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    text.lines().map(|l| root().join(l)).filter(|p| p.exists()).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn report(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

/// Package → the packages of ours that it may import, from the table in ARCHITECTURE.md.
fn layer_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = read(&root().join("docs/ARCHITECTURE.md"));
    let rows = text.lines().filter(|l| l.starts_with("| ") && l.contains("| `varve"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let names = |cell: &str| -> BTreeSet<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let package = names(cells[1]).pop_first().expect("the second cell names the package");
        (package, names(cells[3]))
    })
    .collect()
}

#[test]
fn imports_follow_the_layer_table() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let table = layer_table();
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("a list of packages") {
        let name = package["name"].as_str().expect("has a name");
        if ["varve-tests", "varve-benches"].contains(&name) {
            continue;
        }
        seen.insert(name.to_owned());
        let Some(allowed) = table.get(name) else {
            broken.push(format!("{name} is not in the layer table"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().expect("a list");
        let ours = dependencies.iter().filter(|d| d["kind"].is_null());
        for dependency in ours.filter_map(|d| d["name"].as_str()) {
            if dependency.starts_with("varve") && !allowed.contains(dependency) {
                broken.push(format!("{name} imports {dependency}, which the table does not allow"));
            }
        }
        for (only, what) in [("varve-api", "axum"), ("varve-bucket", "object_store")] {
            let imports = dependencies.iter().any(|d| d["name"] == what && d["kind"].is_null());
            if imports && name != only && name != "varve-testkit" {
                broken.push(format!("{name} imports {what}, which only {only} may"));
            }
        }
    }
    broken.extend(
        table.keys().filter(|p| !seen.contains(*p)).map(|p| format!("{p} is in the table only")),
    );
    report(broken);
}

#[test]
fn every_source_file_opens_with_its_doc_and_is_short_enough() {
    let mut broken = Vec::new();
    for path in files("rs") {
        let text = read(&path);
        let shown = path.strip_prefix(root()).unwrap_or(&path).display();
        let first = text.lines().find(|l| !l.starts_with("#!") && !l.trim().is_empty());
        if !first.is_some_and(|l| l.starts_with("//!")) {
            broken.push(format!("{shown} does not open with a //! doc"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            broken.push(format!("{shown} has {lines} lines, the limit is {MAX_LINES}"));
        }
    }
    report(broken);
}

#[test]
fn links_in_docs_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files("md") {
        let text = read(&path);
        let shown = path.strip_prefix(root()).unwrap_or(&path).display();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !path.parent().expect("is in a folder").join(file).exists() {
                broken.push(format!("{shown} links to {target}, which is not there"));
            }
        }
    }
    report(broken);
}

#[test]
fn no_work_is_promised_without_an_owner() {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
    let mut broken = Vec::new();
    for path in files("rs").into_iter().filter(|p| !p.ends_with("tests/tidy.rs")) {
        for (n, line) in read(&path).lines().enumerate() {
            if let Some(mark) = marks.iter().find(|m| line.contains(**m)) {
                let shown = path.strip_prefix(root()).unwrap_or(&path).display();
                broken.push(format!("{shown}:{} has {mark}: write it in docs/gaps/", n + 1));
            }
        }
    }
    report(broken);
}
