//! The margins of a batch.

use crate::arguments::{Array, Ends, batches, domain, dtype, norms};
use crate::network::{Asked, Network};
use crate::worker::{How, Job, run};
use anyhow::bail;
use candle_core::{DType, Tensor};
use loclin::models::Places;
use loclin::program::tensors::predictions;
use loclin::regions::{
    Estimate, Guarantee, Linearization, Margins, Method, Neuron, Position, RegionCount,
    RegionCounter,
};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What is asked of every input.
#[derive(FromPyObject)]
pub(crate) struct Question {
    #[pyo3(item)]
    norms: Vec<f64>,
    #[pyo3(item)]
    domain: Option<Ends>,
    #[pyo3(item)]
    method: String,
    #[pyo3(item)]
    failure_probability: Option<f64>,
    #[pyo3(item)]
    seed: u64,
    #[pyo3(item)]
    deployed: Option<String>,
    #[pyo3(item)]
    upper: bool,
}

impl Question {
    fn method(&self) -> anyhow::Result<Method> {
        let estimate = self
            .failure_probability
            .map(|failure_probability| Estimate {
                failure_probability,
                seed: self.seed,
            });
        Ok(match (&self.method[..], estimate) {
            ("auto", Some(estimate)) => Method::Probable(estimate),
            ("auto", None) => Method::Auto,
            ("all", None) => Method::All,
            ("search", None) => Method::PrunedSearch,
            ("bound", None) => Method::Bound,
            ("all" | "search" | "bound", Some(_)) => {
                bail!("failure_probability: only with method=\"auto\"")
            }
            (other, _) => {
                bail!("method: expected auto, all, search or bound, found {other:?}")
            }
        })
    }
}

/// What was found of one norm.
struct Column {
    radius: Vec<f64>,
    upper: Vec<f64>,
    limiting: Vec<Option<Neuron>>,
    /// Where those neurons are in their nodes.
    place: Vec<String>,
    position: Vec<Position>,
    guarantee: Option<Guarantee>,
    method: String,
}

struct Found {
    columns: Vec<Column>,
    outputs: Vec<f64>,
    predictions: Vec<u32>,
    region: Vec<usize>,
    regions: RegionCount,
    undecided: Vec<usize>,
    neurons: usize,
}

/// The margins of every input of `x` `[B, in...]`, and what else a linearisation says.
#[pyfunction]
pub(crate) fn certify<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    question: Question,
    how: How,
) -> PyResult<Bound<'py, PyDict>> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let found = run(py, how, move |job| certified(&asked, &x, question, job))?;
    answer(py, found)
}

fn certified(asked: &Asked, x: &Tensor, question: Question, job: &Job) -> anyhow::Result<Found> {
    asked.check(x)?;
    let (norms, method) = (norms(&question.norms)?, question.method()?);
    let deployed = question.deployed.as_deref().map(dtype).transpose()?;
    let domain = domain(question.domain)?;
    let column = || Column {
        radius: Vec::new(),
        upper: Vec::new(),
        limiting: Vec::new(),
        place: Vec::new(),
        position: Vec::new(),
        guarantee: None,
        method: String::new(),
    };
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
    let mut found = Found {
        columns: norms.iter().map(|_| column()).collect(),
        outputs: Vec::new(),
        predictions: Vec::new(),
        region: Vec::new(),
        regions: counter.finish(),
        undecided: Vec::new(),
        neurons: 0,
    };
    let mut places = Places::default();
    let tell = job.clone();
    let linearizer = asked.linearizer()?.clone().watched(move |progress| {
        tell.say(format!(
            "{:.0}% of a proof, {} of at most {} gradients",
            100.0 * progress.share,
            progress.begun,
            progress.candidates
        ));
    });
    for (start, len) in batches(x.dims()[0], asked.at_once()) {
        let mut here = linearizer
            .at(&x.narrow(0, start, len)?)
            .map_err(|error| shifted(error, start))?;
        if let Some(domain) = &domain {
            here = here.within(domain.clone())?;
        }
        let margins = match deployed {
            None => here.margins(&norms, method)?,
            Some(dtype) => here.deployed_margins(&norms, method, dtype)?.margins,
        };
        for (column, margins) in found.columns.iter_mut().zip(margins) {
            if question.upper {
                column.upper.extend(here.upper_bounds(&margins)?);
            }
            for limiting in &margins.limiting {
                column.place.push(match limiting {
                    Some(Neuron { node, index }) => places.of(here.network(), *node, *index)?,
                    None => String::new(),
                });
            }
            column.add(margins);
        }
        found.look(&here, &mut counter)?;
        job.advance(len)?;
    }
    found.regions = counter.finish();
    Ok(found)
}

/// An error of an input of a batch as one of the input of all.
pub(crate) fn shifted(error: loclin::regions::Error, start: usize) -> loclin::regions::Error {
    match error {
        loclin::regions::Error::NotFinite { index, what, value } => {
            loclin::regions::Error::NotFinite {
                index: start + index,
                what,
                value,
            }
        }
        other => other,
    }
}

impl Column {
    fn add(&mut self, margins: Margins) {
        self.radius.extend(margins.radius);
        self.limiting.extend(margins.limiting);
        self.position.extend(margins.position);
        self.method = margins.method.to_string();
        let so_far = self.guarantee.unwrap_or(margins.guarantee);
        self.guarantee = Some(so_far.weaker(margins.guarantee));
    }
}

impl Found {
    /// What is known without margins.
    fn look(&mut self, here: &Linearization, counter: &mut RegionCounter) -> anyhow::Result<()> {
        let output = here.trace().output();
        self.predictions.extend(predictions(output)?);
        let output = output.to_dtype(DType::F64)?.flatten_all()?;
        self.outputs.extend(output.to_vec1::<f64>()?);
        self.undecided.extend(here.undecided());
        self.region.extend(counter.add(here)?);
        self.neurons = here.neurons();
        Ok(())
    }
}

fn answer(py: Python<'_>, found: Found) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    let mut columns = Vec::new();
    for column in found.columns {
        let one = PyDict::new(py);
        let index = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
        let node = column
            .limiting
            .iter()
            .map(|at| at.map_or(-1, |at| index(at.node)));
        let unit = column
            .limiting
            .iter()
            .map(|at| at.map_or(-1, |at| index(at.index)));
        one.set_item("node", PyArray1::from_iter(py, node))?;
        one.set_item("neuron", PyArray1::from_iter(py, unit))?;
        one.set_item("place", column.place)?;
        let position: Vec<&str> = column.position.iter().map(|at| at.name()).collect();
        one.set_item("position", position)?;
        one.set_item("radius", PyArray1::from_vec(py, column.radius))?;
        one.set_item("upper", PyArray1::from_vec(py, column.upper))?;
        let guarantee = column.guarantee.unwrap_or(Guarantee::Estimate);
        one.set_item("guarantee", guarantee.name())?;
        one.set_item("method", column.method)?;
        columns.push(one);
    }
    result.set_item("columns", columns)?;
    result.set_item("outputs", PyArray1::from_vec(py, found.outputs))?;
    let predictions = found.predictions.into_iter().map(i64::from);
    result.set_item("predictions", PyArray1::from_iter(py, predictions))?;
    result.set_item("region", PyArray1::from_vec(py, found.region))?;
    result.set_item("undecided", PyArray1::from_vec(py, found.undecided))?;
    result.set_item("neurons", found.neurons)?;
    result.set_item("regions", count(py, &found.regions)?)?;
    Ok(result)
}

fn count<'py>(py: Python<'py>, found: &RegionCount) -> PyResult<Bound<'py, PyDict>> {
    let count = PyDict::new(py);
    count.set_item("points", found.points)?;
    count.set_item("lower", found.lower)?;
    count.set_item("upper", found.upper)?;
    count.set_item("on_boundary", found.on_boundary)?;
    count.set_item("undecided", found.undecided)?;
    count.set_item("guarantee", found.guarantee.name())?;
    Ok(count)
}
