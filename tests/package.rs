//! What a registry is told: which Rust builds the package, where it comes from, and what its page
//! links to.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/metadata.rs"]
mod metadata;

use std::path::Path;

use crate::metadata::metadata;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn version(text: &str) -> [u32; 3] {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_package_declares() {
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let metadata = metadata(&[]);
    let packages = metadata["packages"].as_array().unwrap();
    let newer: Vec<String> = packages
        .iter()
        .filter(|package| package["rust_version"].as_str().is_some_and(|of| version(of) > ours))
        .map(|package| format!("{} {}", package["id"], package["rust_version"]))
        .collect();
    assert!(packages.len() > 50 && newer.is_empty(), "{ours:?} is too old for {newer:#?}");
}

/// The addresses of the links in a text of Markdown: in their place, and gathered at the end.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    inline.chain(text.lines().filter_map(|line| line.split_once("]: ").map(|(_, link)| link)))
}

/// A registry shows the page alone, without the files beside it.
#[test]
fn the_links_of_the_readme_lead_to_files_in_the_repository() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(repository.starts_with("https://"), "{repository}");
    let mut count = 0;
    for link in links(&readme) {
        let path = ["blob", "tree"]
            .iter()
            .find_map(|kind| link.strip_prefix(&format!("{repository}/{kind}/main/")));
        let path = path.unwrap_or_else(|| panic!("{link} does not lead into {repository}"));
        assert!(Path::new(ROOT).join(path).exists(), "{link}: there is no such file");
        count += 1;
    }
    assert!(count > 10, "{count} links");
    let metadata = metadata(&[]);
    let packages = metadata["packages"].as_array().unwrap();
    let own = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME")).unwrap();
    for field in ["repository", "homepage", "documentation", "readme", "license"] {
        assert!(own[field].is_string(), "Cargo.toml has no {field}");
    }
}

/// What a text has in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn the_security_policy_names_what_is_there() {
    let policy = std::fs::read_to_string(Path::new(ROOT).join("SECURITY.md")).unwrap();
    let files = quoted(&policy).filter(|quoted| quoted.contains('/') && *quoted != "countersign/1");
    let files = files.chain(links(&policy).filter(|link| !link.starts_with("https://")));
    let mut count = 0;
    for file in files {
        // A command has options, and a link a chapter.
        let path = file.split([' ', '#']).next().unwrap();
        let exists =
            ["", "proto/src"].iter().any(|of| Path::new(ROOT).join(of).join(path).exists());
        assert!(exists, "SECURITY.md: there is no {path}");
        count += 1;
    }
    assert!(count > 30, "{count} files");
}

/// Of what a public module has, the front page shows nothing but its path, unless it is told to.
#[test]
fn the_documentation_shows_on_its_front_page_what_it_lists() {
    let library = std::fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let modules: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(modules.len() > 4, "{modules:?}");
    let lines: Vec<&str> = library.lines().collect();
    for pair in lines.windows(2) {
        let Some(path) = pair[1].strip_prefix("pub use ") else { continue };
        let is_public = modules.contains(&path.split("::").next().unwrap());
        assert!(!is_public || pair[0] == "#[doc(inline)]", "{}", pair[1]);
    }
}
