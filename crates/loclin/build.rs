//! Says which commit and which features the program is built from.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Features that change what the program computes with.
const FEATURES: [&str; 4] = ["accelerate", "cuda", "cudnn", "mkl"];

fn main() {
    let commit = packaged().or_else(checked_out);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=LOCLIN_COMMIT={commit}");
    let on = |feature: &&str| env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase()));
    let features = FEATURES.iter().filter(|feature| on(feature).is_some());
    let features: Vec<&str> = features.copied().collect();
    let features = match features.is_empty() {
        true => "none".to_owned(),
        false => features.join(" "),
    };
    println!("cargo::rustc-env=LOCLIN_FEATURES={features}");
    println!("cargo::rerun-if-changed=build.rs");
}

/// The commit of a published package, which Cargo writes into it.
fn packaged() -> Option<String> {
    let text = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let hash = rest.split('"').nth(1)?;
    Some(hash.chars().take(12).collect())
}

/// The commit of the repository, with a plus sign if files differed from it when this was built.
fn checked_out() -> Option<String> {
    // A copy of this package inside somebody else's repository has not that repository's commit.
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for sources in sources() {
        println!("cargo::rerun-if-changed={sources}");
    }
    git(&[
        "describe",
        "--always",
        "--exclude=*",
        "--abbrev=12",
        "--dirty=+",
    ])
}

/// The sources of all members, whose changes decide about the plus sign.
fn sources() -> Vec<String> {
    let members = fs::read_dir("..").into_iter().flatten().flatten();
    let sources = members.map(|member| member.path().join("src"));
    sources
        .filter(|path| path.is_dir())
        .map(|path| path.display().to_string())
        .collect()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
