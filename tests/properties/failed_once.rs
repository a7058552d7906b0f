//! Small inputs that failed once, from the folder `cases` of the shared files: a network, its inputs and the right
//! margins, one folder each.

use crate::exact::{claimed, radii};
use candle_core::{DType, Device, Tensor};
use loclin_models::{Network, onnx};
use loclin_regions::{Budget, Estimate, Linearization, Method, Norm};
use loclin_test_files::shared;
use std::path::Path;

/// What `truth.csv` means by "equal".
const EQUAL: f64 = 1e-6;

/// A row of `truth.csv`; a margin that is not stated is `None`.
struct Row {
    case: String,
    model: String,
    data: String,
    index: usize,
    margins: [Option<f64>; 3],
    must_be: String,
}

fn rows(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("truth.csv")).unwrap();
    let row = |line: &str| {
        let fields: Vec<String> = line.split(',').map(Into::into).collect();
        let margin = |i: usize| (!fields[i].is_empty()).then(|| fields[i].parse().unwrap());
        Row {
            case: fields[0].clone(),
            model: fields[1].clone(),
            data: fields[2].clone(),
            index: fields[3].parse().unwrap(),
            margins: [margin(5), margin(6), margin(7)],
            must_be: fields[8].clone(),
        }
    };
    text.lines().skip(1).map(row).collect()
}

impl Row {
    /// Network and input, or why they are refused.
    fn open(&self, folder: &Path, dtype: DType) -> Result<(Network, Tensor), String> {
        let folder = folder.join(&self.case);
        let network = onnx::load(&folder.join(&self.model), dtype, &Device::Cpu)
            .map_err(|e| e.to_string())?
            .network;
        let x = Tensor::read_npy(folder.join(&self.data)).map_err(|e| e.to_string())?;
        let x = x
            .narrow(0, self.index, 1)
            .and_then(|x| x.to_dtype(DType::F64))
            .map_err(|e| e.to_string())?;
        Ok((network, x))
    }

    fn found(&self, folder: &Path, dtype: DType) -> Result<[f64; 3], String> {
        let (network, x) = self.open(folder, dtype)?;
        radii(&network, &x).map_err(|e| e.to_string())
    }
}

/// A way to margins and what it gives.
type Ways = Vec<(&'static str, f64)>;

/// l2 margins by the ways that `Auto` does not take; nothing for a way that refuses the network.
fn l2_by_other_ways(network: &Network, x: &Tensor) -> loclin_regions::Result<Ways> {
    let here = Linearization::new(network, x, Budget::default())?;
    let l2 = |method| {
        here.margins(&[Norm::L2], method)
            .map(|found| found[0].radius[0])
    };
    let ways = [
        ("all gradients", l2(Method::All)),
        ("bound", l2(Method::Bound)),
        // Of directions that nobody knew when the case was made.
        (
            "estimate",
            l2(Method::Estimate(Estimate {
                seed: 20_261_128,
                ..Estimate::default()
            })),
        ),
    ];
    Ok(ways
        .into_iter()
        .filter_map(|(name, found)| Some((name, found.ok()?)))
        .collect())
}

/// The rows whose radii must not exceed the truth. It prints every row and way that does.
#[test]
#[allow(clippy::print_stderr, reason = "its result")]
fn radii_are_at_most_the_exact_ones() {
    let Some(folder) = shared("cases") else {
        return;
    };
    let mut above = 0;
    for row in rows(&folder).iter().filter(|row| row.must_be == "at most") {
        for dtype in [DType::F32, DType::F64] {
            let (network, x) = row.open(&folder, dtype).unwrap();
            let found = match claimed(&network, &x, Method::Auto) {
                Ok((found, true)) => found,
                // An estimate claims nothing either.
                Ok((_, false)) => continue,
                // A refusal claims nothing.
                Err(cause) => {
                    eprintln!("{} {dtype:?}: {cause}", row.case);
                    continue;
                }
            };
            let mut ways: Vec<(&str, f64, f64)> = ["eps_1", "eps_2", "eps_inf"]
                .into_iter()
                .zip(found)
                .zip(row.margins)
                .filter_map(|((name, found), truth)| Some((name, found, truth?)))
                .collect();
            if let Some(truth) = row.margins[1] {
                let others = l2_by_other_ways(&network, &x).unwrap();
                ways.extend(others.into_iter().map(|(name, found)| (name, found, truth)));
            }
            for (way, found, truth) in ways {
                // The table has six digits.
                if found > truth * (1.0 + 1e-5) || found.is_nan() {
                    above += 1;
                    eprintln!(
                        "{} {dtype:?} {way}: {found:e} instead of at most {truth:e}",
                        row.case
                    );
                }
            }
        }
    }
    assert_eq!(above, 0, "radii above the truth");
}

/// No row is wrong without a word: margins are equal, or the network or its input is refused.
#[test]
#[allow(clippy::print_stderr, reason = "its result")]
fn radii_are_the_exact_ones_or_refused() {
    let Some(folder) = shared("cases") else {
        return;
    };
    let mut refused = Vec::new();
    for row in rows(&folder).iter().filter(|row| row.must_be != "at most") {
        let found = match row.found(&folder, DType::F64) {
            Ok(found) => found,
            Err(cause) => {
                assert_ne!(row.must_be, "equal", "{}: {cause}", row.case);
                refused.push(format!(
                    "{} {} ({}): {cause}",
                    row.case, row.data, row.must_be
                ));
                continue;
            }
        };
        for (found, truth) in found.iter().zip(row.margins) {
            let truth = truth.unwrap();
            assert!(
                (found - truth).abs() <= EQUAL * truth,
                "{} {}: {found:e} instead of {truth:e}",
                row.case,
                row.data
            );
        }
    }
    refused.dedup();
    eprintln!("{} cases refused:\n{}", refused.len(), refused.join("\n"));
}
