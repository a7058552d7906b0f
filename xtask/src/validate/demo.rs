//! The demonstration, started as the README says, and what its users rely on.

use std::io;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, anyhow, ensure};
use serde_json::Value;

use super::cargo::command;
use loclin::program::files;

/// How much further the ROLL network's gradient is constant: the least ratio of the median l2 margins.
const LEAST_RATIO: f64 = 5.0;
/// The accuracy that it may cost: one point.
const MOST_COST: f64 = 0.01;

/// Where the demonstration is run, below the workspace's root; its page stays there.
pub(super) const PLACE: &str = "target/demo";

/// Runs the demonstration in a new directory and checks what it printed and wrote.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let out = root.join(PLACE);
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    let out_argument = out
        .to_str()
        .ok_or_else(|| anyhow!("{}: the path is not UTF-8", out.display()))?;
    let arguments = ["xtask", "demo", "--json", "--out", out_argument];
    let output = command(root, &arguments)
        .stdout(Stdio::piped())
        .stderr(io::stderr())
        .output()
        .with_context(|| format!("cannot run cargo {}", arguments.join(" ")))?;
    ensure!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        output.status
    );
    let json = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "demo --json printed no JSON: {}",
            String::from_utf8_lossy(&output.stdout)
        )
    })?;
    let report = out.join("index.html");
    promises(&json, &report).with_context(|| format!("demo --json printed {json}"))?;
    ensure!(
        !files::read(&report)?.is_empty(),
        "{}: the report is empty",
        report.display()
    );
    Ok(())
}

/// Checks the object that `demo --json` prints.
fn promises(json: &Value, report: &Path) -> anyhow::Result<()> {
    let number = |pointer: &str| {
        let number = json.pointer(pointer).and_then(Value::as_f64);
        number.with_context(|| format!("no number at `{pointer}`"))
    };
    for network in ["vanilla", "roll"] {
        for count in ["clr_lower", "clr_upper"] {
            number(&format!("/{network}/{count}"))?;
        }
        for norm in ["eps_1", "eps_2", "eps_inf"] {
            for percentile in ["p25", "p50", "p75", "p100"] {
                number(&format!("/{network}/{norm}/{percentile}"))?;
            }
        }
    }
    let cost = number("/vanilla/accuracy")? - number("/roll/accuracy")?;
    ensure!(
        cost <= MOST_COST,
        "ROLL costs {:.2} points of accuracy; expected at most {}",
        100.0 * cost,
        100.0 * MOST_COST
    );
    let ratio = number("/median_eps_2_ratio")?;
    ensure!(
        ratio >= LEAST_RATIO,
        "`median_eps_2_ratio` is {ratio}; expected at least {LEAST_RATIO}"
    );
    let named = json.get("report").and_then(Value::as_str);
    ensure!(
        named.is_some_and(|named| Path::new(named) == report),
        "`report` is {named:?}; expected {}",
        report.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_promise_is_checked() {
        let p = json!({"p25": 1.0, "p50": 2.0, "p75": 3.0, "p100": 4.0});
        let network = json!({
            "accuracy": 0.95, "clr_lower": 10, "clr_upper": 12, "eps_1": p, "eps_2": p, "eps_inf": p,
        });
        let report = Path::new("out/index.html");
        let good = json!({
            "vanilla": network, "roll": network, "median_eps_2_ratio": 5.0, "report": "out/index.html",
        });
        promises(&good, report).unwrap();
        let broken = [
            ("/vanilla/clr_upper", Value::Null),
            ("/roll/clr_lower", Value::Null),
            ("/roll/eps_inf/p100", Value::Null),
            ("/vanilla/eps_1/p25", json!("1")),
            ("/roll/accuracy", json!(0.939)),
            ("/median_eps_2_ratio", json!(4.99)),
            ("/report", json!("index.html")),
        ];
        for (pointer, value) in broken {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(promises(&bad, report).is_err(), "{pointer}");
        }
    }
}
