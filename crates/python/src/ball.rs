//! Balls beyond the region: how much can change in them, how large they may be, and the worst input found.

use crate::arguments::{Array, Ends, domain};
use crate::network::{Asked, Network};
use crate::worker::{How, Job, run};
use anyhow::{bail, ensure};
use candle_core::Tensor;
use loclin::program::tensors::predictions;
use loclin::regions::distortion::{Ascent, Ball, Distortion, Genetic, Search};
use loclin::regions::reduced::{
    Bound as Proved, ConstantBall, Largest, Limits, Question, one_output, rising,
};
use loclin::regions::{Budget, Norm};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::time::Duration;

/// What is asked about the balls.
#[derive(FromPyObject)]
pub(crate) struct Balls {
    /// The radii.
    #[pyo3(item)]
    eps: Vec<f64>,
    /// The `p` of the balls.
    #[pyo3(item)]
    norm: f64,
    #[pyo3(item)]
    domain: Option<Ends>,
    /// `change`, `lipschitz`, `operator`, `sign`, `top-k` or `class`.
    #[pyo3(item)]
    what: String,
    /// The outputs asked about, one for each input; those predicted if they are not said.
    #[pyo3(item)]
    target: Option<Vec<u32>>,
    /// The `q` in which gradients are measured.
    #[pyo3(item)]
    gradient_norm: f64,
    #[pyo3(item)]
    top: usize,
    /// Seconds for one question; 0 for bounds without branching.
    #[pyo3(item)]
    time: Option<f64>,
    #[pyo3(item)]
    parts: Option<usize>,
    /// What is allowed, where the largest radius is asked for: a number, and whether it is a share.
    #[pyo3(item)]
    allowed: Option<(f64, bool)>,
    /// The largest radius that is tried.
    #[pyo3(item)]
    up_to: f64,
}

/// What was found out about one input.
struct Row {
    class: u32,
    margin: f64,
    guarantee: String,
    is_decision: bool,
    bounds: Vec<Proved>,
    refused: Vec<(f64, String)>,
    largest: Option<Largest>,
}

impl Balls {
    fn limits(&self) -> anyhow::Result<Limits> {
        let default = Limits::default();
        let time = match self.time {
            None if self.parts.is_some() => None,
            None => default.time,
            Some(0.0) => return Ok(Limits::ROOT),
            Some(seconds) => Some(Duration::try_from_secs_f64(seconds)?),
        };
        let parts = self.parts.unwrap_or(default.parts);
        ensure!(parts > 0, "parts: expected at least 1, found 0");
        Ok(Limits {
            time,
            parts,
            ..default
        })
    }

    fn question(&self, outputs: usize, class: u32) -> anyhow::Result<Question> {
        let norm = Norm::new(self.gradient_norm)?;
        let weights = one_output(outputs, class as usize);
        Ok(match &self.what[..] {
            "change" => Question::Change { weights, norm },
            "lipschitz" => Question::Length { weights, norm },
            "operator" => Question::Operator { norm },
            "sign" => Question::Signs { weights },
            "top-k" => Question::TopK {
                weights,
                k: self.top,
            },
            "class" => Question::Class {
                class: class as usize,
            },
            other => bail!(
                "what: expected change, lipschitz, operator, sign, top-k or class, found {other:?}"
            ),
        })
    }
}

/// The answers for every input of `x` `[B, in...]`.
#[pyfunction]
pub(crate) fn bound<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    balls: Balls,
    how: How,
) -> PyResult<Bound<'py, PyList>> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let rows = run(py, how, move |job| bounds(&asked, &x, &balls, job))?;
    let list = PyList::empty(py);
    for row in rows {
        list.append(answer(py, row)?)?;
    }
    Ok(list)
}

fn bounds(asked: &Asked, x: &Tensor, balls: &Balls, job: &Job) -> anyhow::Result<Vec<Row>> {
    asked.check(x)?;
    let (norm, limits) = (Norm::new(balls.norm)?, balls.limits()?);
    let domain = domain(balls.domain.clone())?;
    let linearizer = asked.linearizer()?;
    let outputs = asked.graph().output_size();
    let mut rows = Vec::new();
    for at in 0..x.dims()[0] {
        let mut here = linearizer.at(&x.narrow(0, at, 1)?)?;
        if let Some(domain) = &domain {
            here = here.within(domain.clone())?;
        }
        let class = class(here.trace().output(), balls.target.as_deref(), at)?;
        let question = balls.question(outputs, class)?;
        let margins = here.margins(&[norm], Default::default())?.swap_remove(0);
        let margin = ConstantBall {
            radius: margins.radius[0],
            guarantee: margins.guarantee,
        };
        let around = here.surroundings(0, norm)?.until(job.cancelled());
        let centre = around.bound(0.0, &question, Limits::ROOT)?;
        let (mut bounds, mut refused) = (Vec::new(), Vec::new());
        for radius in &balls.eps {
            // Each may take its time.
            job.advance(0)?;
            match around.bound(*radius, &question, limits) {
                Ok(mut bound) => {
                    margin.tighten(&mut bound, &question, &centre);
                    bounds.push(bound);
                }
                // Too many units can change; in smaller balls fewer.
                Err(loclin::regions::Error::Argument {
                    what: "radius",
                    cause,
                }) if radius.is_finite() && *radius >= 0.0 => refused.push((*radius, cause)),
                Err(error) => return Err(error.into()),
            }
        }
        rising(&mut bounds);
        let largest = balls.allowed.map(|(allowed, is_share)| {
            let threshold = around.threshold(&question, allowed, is_share)?;
            around.largest(&question, threshold, balls.up_to, limits)
        });
        let mut largest = largest.transpose()?;
        if let Some(largest) = &mut largest {
            margin.extend(largest, &question, &centre, balls.up_to);
        }
        rows.push(Row {
            class,
            margin: margin.radius,
            guarantee: match largest.is_some() {
                true => centre.guarantee.weaker(margin.guarantee).name(),
                false => centre.guarantee.name(),
            },
            is_decision: question.is_decision(),
            bounds,
            refused,
            largest,
        });
        job.advance(1)?;
    }
    Ok(rows)
}

/// The output that is asked about.
fn class(outputs: &Tensor, target: Option<&[u32]>, at: usize) -> anyhow::Result<u32> {
    let count = outputs.dims().last().copied().unwrap_or(0);
    if let Some(target) = target {
        let own = target.get(at).copied();
        let Some(own) = own else {
            bail!("target: {} outputs, none for input {at}", target.len());
        };
        ensure!(
            (own as usize) < count,
            "target {own}: the model has {count} outputs"
        );
        return Ok(own);
    }
    let predicted = predictions(outputs)?.first().copied().unwrap_or(0);
    Ok(if count == 1 { 0 } else { predicted })
}

fn answer(py: Python<'_>, row: Row) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("target", row.class)?;
    result.set_item("margin", row.margin)?;
    result.set_item("guarantee", row.guarantee)?;
    let bounds = PyList::empty(py);
    for bound in row.bounds {
        bounds.append(one(py, bound, row.is_decision)?)?;
    }
    result.set_item("bounds", bounds)?;
    result.set_item("refused", row.refused)?;
    if let Some(largest) = row.largest {
        result.set_item("threshold", largest.threshold)?;
        result.set_item("proved", largest.proved)?;
        result.set_item("refuted", largest.refuted)?;
        let curve = PyList::empty(py);
        for bound in largest.curve {
            curve.append(one(py, bound, row.is_decision)?)?;
        }
        result.set_item("curve", curve)?;
    }
    Ok(result)
}

fn one(py: Python<'_>, bound: Proved, is_decision: bool) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("eps", bound.radius)?;
    result.set_item("found", bound.found)?;
    result.set_item("proved", bound.proved)?;
    result.set_item("exact", bound.is_exact())?;
    let stays = is_decision.then(|| bound.stays()).flatten();
    result.set_item("stays", stays)?;
    result.set_item("units", bound.units)?;
    result.set_item("parts", bound.parts)?;
    result.set_item("may_change_sign", bound.may_change_sign)?;
    result.set_item("witness", PyArray1::from_vec(py, bound.witness))?;
    Ok(result)
}

/// How the gradient that differs most is looked for.
#[derive(FromPyObject)]
pub(crate) struct Searches {
    #[pyo3(item)]
    eps: f64,
    #[pyo3(item)]
    domain: Option<Ends>,
    #[pyo3(item)]
    target: Option<Vec<u32>>,
    #[pyo3(item)]
    samples: usize,
    #[pyo3(item)]
    population: usize,
    #[pyo3(item)]
    generations: usize,
    #[pyo3(item)]
    seed: u64,
}

/// The distortion of the gradient in the l_inf ball around each input: the mean over random points with its standard error, the
/// largest found, where, and the length of the gradient.
#[pyfunction]
pub(crate) fn distortion<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    searches: Searches,
    how: How,
) -> PyResult<Bound<'py, PyList>> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let rows = run(py, how, move |job| {
        asked.check(&x)?;
        let domain = domain(searches.domain)?;
        let mut rows = Vec::new();
        for at in 0..x.dims()[0] {
            let own = x.narrow(0, at, 1)?;
            let output = asked.graph().trace(&own)?;
            let class = class(output.output(), searches.target.as_deref(), at)?;
            let centre = own.flatten_all()?.to_vec1::<f64>()?;
            let ball = Ball::new(&centre, searches.eps, domain.as_deref())?;
            let distortion = Distortion::new(asked.graph(), ball, class, Budget::default())?;
            let seed = searches.seed.wrapping_add(at as u64);
            let mean = distortion.expectation_while(searches.samples, seed, || job.advance(0))?;
            let genetic = Search::Genetic(Genetic {
                population: searches.population,
                generations: searches.generations,
                seed,
                ..Genetic::default()
            });
            let ascent = Ascent {
                seed,
                ..Ascent::default()
            };
            let ascent = Search::Ascent(ascent.within(genetic.evaluations()));
            let mut best: Option<(f64, Vec<f64>)> = None;
            for search in [genetic, ascent] {
                let mut state = search.start(&distortion)?;
                while state.step < search.steps() {
                    search.step(&distortion, &mut state)?;
                    job.advance(0)?;
                }
                let found = (state.best, state.worst_input.to_vec1::<f64>()?);
                if best.as_ref().is_none_or(|(largest, _)| found.0 > *largest) {
                    best = Some(found);
                }
            }
            rows.push((class, mean, best, distortion.gradient_length()));
            job.advance(1)?;
        }
        Ok(rows)
    })?;
    let list = PyList::empty(py);
    for (class, mean, best, length) in rows {
        let row = PyDict::new(py);
        let (largest, worst) = best.unwrap_or_default();
        row.set_item("target", class)?;
        row.set_item("mean", mean.mean)?;
        row.set_item("standard_error", mean.standard_error)?;
        row.set_item("largest", largest)?;
        row.set_item("worst_input", PyArray1::from_vec(py, worst))?;
        row.set_item("gradient_length", length)?;
        list.append(row)?;
    }
    Ok(list)
}
