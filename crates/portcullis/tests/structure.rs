//! The shape of the project: which crate may depend on which, and how large a file may be.
//!
//! A change that needs another edge changes the table here and in `ARCHITECTURE.md`, and says why.
#[cfg(test)]
mod structure {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::Value;

    /// What each crate may depend on, at build time and in its tests.
    const ALLOWED: &[(&str, &[&str])] = &[
        ("core", &[]),
        ("cel", &[]),
        ("jose", &[]),
        ("rego", &[]),
        ("wire", &["core"]),
        ("config", &["core", "cel", "jose", "rego"]),
        ("telemetry", &["core", "config"]),
        ("policies", &["core", "config", "wire", "jose", "cel", "rego"]),
        ("proxy", &["core", "config", "wire", "policies", "jose", "cel"]),
        ("control", &["core", "config", "proxy"]),
        (
            "portcullis",
            &[
                "core",
                "wire",
                "jose",
                "rego",
                "config",
                "policies",
                "telemetry",
                "proxy",
                "control",
            ],
        ),
    ];

    /// Never shipped: they may use anything, and nothing shipped may use them.
    const UNSHIPPED: &[&str] = &["testkit", "fuzz"];

    /// No file of source is longer; most are far shorter.
    const MOST_LINES: usize = 500;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
    }

    /// The crates under `crates/`, by folder, with the folders of the crates that they depend on.
    fn crates() -> BTreeMap<String, Vec<String>> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut crates = BTreeMap::new();
        for package in metadata["packages"].as_array().unwrap() {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let Some(name) = folder(manifest.parent().unwrap()) else { continue };
            let dependencies = package["dependencies"].as_array().unwrap();
            let edges = dependencies
                .iter()
                .filter_map(|dependency| folder(Path::new(dependency["path"].as_str()?)))
                .collect();
            crates.insert(name, edges);
        }
        crates
    }

    /// The name of a folder right below `crates/`.
    fn folder(path: &Path) -> Option<String> {
        (path.parent()?.file_name()? == "crates")
            .then(|| path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn crates_depend_only_on_what_they_may() {
        let crates = crates();
        assert!(crates.len() > ALLOWED.len(), "{crates:?}");
        for (name, edges) in &crates {
            if UNSHIPPED.contains(&name.as_str()) {
                continue;
            }
            let (_, allowed) = ALLOWED
                .iter()
                .find(|(known, _)| known == name)
                .unwrap_or_else(|| panic!("crates/{name} has no place in the table of edges"));
            for edge in edges {
                assert!(
                    allowed.contains(&edge.as_str()),
                    "crates/{name} must not use crates/{edge}"
                );
            }
        }
        for (name, _) in ALLOWED {
            assert!(crates.contains_key(*name), "crates/{name} is in the table and nowhere else");
        }
    }

    #[test]
    fn the_map_shows_every_crate() {
        let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
        for name in crates().keys() {
            assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md lacks crates/{name}");
        }
        assert!(map.lines().count() < 200, "ARCHITECTURE.md is a map, not a book");
    }

    #[test]
    fn every_crate_keeps_the_lints_of_the_workspace() {
        for name in crates().keys() {
            let manifest = root().join("crates").join(name).join("Cargo.toml");
            let text = fs::read_to_string(manifest).unwrap();
            assert!(text.contains("[lints]\nworkspace = true"), "crates/{name}");
        }
    }

    #[test]
    fn no_file_of_source_is_long() {
        let mut files = Vec::new();
        for name in crates().keys() {
            collect(&root().join("crates").join(name).join("src"), &mut files);
        }
        assert!(files.len() > 100, "only {} files were found", files.len());
        for file in files {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines", file.display());
        }
    }

    /// Every file of Rust below a folder, but for those of tests.
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap();
            if stem == "tests" {
                continue;
            }
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
}
