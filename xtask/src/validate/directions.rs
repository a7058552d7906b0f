//! Which member of the workspace may depend on which.
//!
//! `tensor <- models <- regions <- objectives <- loclin <- xtask`, and `data`, `report <- loclin`. The libraries are
//! usable one at a time because no arrow ever turns round, not even for tests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use cargo_metadata::{DependencyKind, Metadata};

/// Dependencies of every kind (normal, development, build) by member, but for the tests' [`FILES`].
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

const TENSOR: &str = "loclin-tensor";
const DATA: &str = "loclin-data";
const REPORT: &str = "loclin-report";
const MODELS: &str = "loclin-models";
const REGIONS: &str = "loclin-regions";
const OBJECTIVES: &str = "loclin-objectives";
const PRODUCT: &str = "loclin";

/// What the tests of any member may use, and nothing but tests.
const FILES: &str = "loclin-test-files";

/// Each member and the members it may stand on.
const BELOW: [(&str, &[&str]); 10] = [
    (FILES, &[]),
    (TENSOR, &[]),
    (DATA, &[]),
    (REPORT, &[]),
    (MODELS, &[TENSOR]),
    (REGIONS, &[TENSOR, MODELS]),
    (OBJECTIVES, &[TENSOR, MODELS, REGIONS]),
    (
        PRODUCT,
        &[TENSOR, DATA, REPORT, MODELS, REGIONS, OBJECTIVES],
    ),
    ("loclin-tests", &[TENSOR, DATA, MODELS, REGIONS, OBJECTIVES]),
    (
        "xtask",
        &[TENSOR, DATA, REPORT, MODELS, REGIONS, OBJECTIVES, PRODUCT],
    ),
];

/// Members that talk to people.
const PROGRAMS: [&str; 2] = [PRODUCT, "xtask"];

/// Crates for talking to people: stringly errors, command lines, bars, logs, the network.
const PROGRAMS_ONLY: [&str; 6] = [
    "anyhow",
    "clap",
    "indicatif",
    "toml",
    "tracing-subscriber",
    "ureq",
];

/// The members' declared dependencies.
pub(super) fn graph(metadata: &Metadata) -> Graph {
    let dependencies = |package: &cargo_metadata::Package| {
        package
            .dependencies
            .iter()
            .filter(|dependency| {
                dependency.kind != DependencyKind::Development || dependency.name != FILES
            })
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), dependencies(package)))
        .collect()
}

/// Refuses arrows that turn round, members without a place, and crates of programs in libraries.
pub(super) fn check(graph: &Graph) -> anyhow::Result<()> {
    let wrong = violations(graph);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n           "));
    Ok(())
}

fn violations(graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for (member, dependencies) in graph {
        let Some((_, below)) = BELOW.iter().find(|(name, _)| name == member) else {
            wrong.push(format!(
                "{member} has no place among the members; give it one in validate/directions.rs"
            ));
            continue;
        };
        for dependency in dependencies {
            let name = dependency.as_str();
            if graph.contains_key(name) && !below.contains(&name) {
                wrong.push(format!(
                    "{member} must not depend on {name}; it may depend on {below:?}"
                ));
            }
            if PROGRAMS_ONLY.contains(&name) && !PROGRAMS.contains(&member.as_str()) {
                wrong.push(format!(
                    "{member} must not depend on {name}, which is for {PROGRAMS:?} alone"
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph_of(edges: &[(&str, &[&str])]) -> Graph {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        edges
            .iter()
            .map(|(member, names)| (member.to_string(), set(names)))
            .collect()
    }

    #[test]
    fn all_permitted_edges_at_once_are_accepted() {
        let full = graph_of(&BELOW);
        assert_eq!(violations(&full), Vec::<String>::new());
    }

    #[test]
    fn every_edge_that_is_not_permitted_is_refused_by_name() {
        for (member, below) in BELOW {
            for (other, _) in BELOW {
                if below.contains(&other) || member == other {
                    continue;
                }
                let mut graph = graph_of(&BELOW);
                graph.get_mut(member).unwrap().insert(other.to_owned());
                let wrong = violations(&graph);
                assert_eq!(wrong.len(), 1, "{member} -> {other}");
                assert!(
                    wrong[0].contains(&format!("{member} must not depend on {other}")),
                    "{wrong:?}"
                );
            }
        }
    }

    #[test]
    fn permitted_edges_hold_no_cycle() {
        // A member's permitted dependencies are a strict subset of its dependents' ones.
        for (member, below) in BELOW {
            for lower in below {
                let (_, further) = BELOW.iter().find(|(name, _)| name == lower).unwrap();
                assert!(
                    further
                        .iter()
                        .all(|name| below.contains(name) && *name != member),
                    "{member} -> {lower}"
                );
            }
        }
    }

    #[test]
    fn crates_of_programs_and_unknown_members_are_refused() {
        let graph = graph_of(&[
            ("loclin-data", &["anyhow", "flate2"]),
            ("loclin-extra", &["loclin-data"]),
        ]);
        let wrong = violations(&graph);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("loclin-data must not depend on anyhow"));
        assert!(wrong[1].contains("loclin-extra has no place"));
        for program in PROGRAMS {
            assert!(violations(&graph_of(&[(program, &["anyhow", "clap"])])).is_empty());
        }
    }
}
