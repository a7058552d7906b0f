//! One network: its radii at the images, and how its explanations change with them.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Tensor};
use loclin::program::options::{DataDir, Global};
use loclin::program::progress::Bar;
use loclin::program::sweep::Planned;
use loclin::program::{tensors, train};
use loclin_data::{Data, Dataset, Split};
use loclin_models::{ModelFile, Module, Network};
use loclin_regions::reduced::{Limits, Threshold};
use loclin_regions::{Budget, Domain, Guarantee, Linearizer, Method, Norm};
use rayon::prelude::*;

use super::change::{Change, Explained, Image};
use super::pictures::Pictures;
use super::plan::Plan;
use crate::reproduce::asked::change_in_l1;

/// Inputs linearised at a time.
const BATCH: usize = 64;
/// The share of the gradient's l1 norm whose radius is bounded.
pub(super) const SHARE: f64 = 0.25;

/// A network and what was measured of it.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) images: Vec<Image>,
    /// Test images that come before the last of these and are classified wrongly.
    pub(super) wrong: usize,
    /// For each perturbation, how the explanation of each image changes.
    pub(super) changes: Vec<Vec<Change>>,
}

impl Measured {
    /// The trained `run` in a directory.
    pub(super) fn of(
        plan: &Plan,
        run: &Planned,
        model: &std::path::Path,
        data: &DataDir,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let model = ModelFile::load(model, DType::F64, &global.device.open()?)?;
        let Data::Table(data) = train::open(&run.config, Split::Test, &data.data_dir)? else {
            bail!("{}: sequences are no images", run.config.dataset)
        };
        let network = model.raw(data.input_shape())?;
        let (rows, wrong) = right(&network, &data, plan.inputs)?;
        let labels = data.row_labels(&rows)?;
        let pictures = Pictures::of(&data, rows)?;
        let at = Asked {
            linearizer: Linearizer::new(&network, Budget::default())?,
            plan,
            labels,
            name: &run.name,
        };
        let images = at.images(&pictures)?;
        let before = at.explained(&pictures.values)?;
        let mut changes = Vec::new();
        let steps = plan.perturbations.len() as u64;
        let bar = Bar::count(format!("perturbing for {}", run.name), steps);
        for perturbation in &plan.perturbations {
            // The same noise for all networks, whatever their seed.
            let levels = perturbation.apply(&pictures, 0)?;
            let values = pictures.with(&levels)?;
            let after = at.explained(&values)?;
            let change = |image: usize| {
                let inputs = [&pictures.values[image][..], &values[image]];
                let explained = [&before[image], &after[image]];
                Change::of(&images[image], inputs, explained, plan.top)
            };
            let all = (0..images.len()).map(change).collect::<Vec<Change>>();
            changes.push(all);
            bar.advance(1);
        }
        Ok(Self {
            name: run.name.clone(),
            images,
            wrong,
            changes,
        })
    }
}

/// The first rows that the network classifies rightly, and how many it classifies wrongly before the last of them.
fn right(network: &Network, data: &Dataset, count: usize) -> anyhow::Result<(Vec<usize>, usize)> {
    let labels = data.labels().context("the test images have no labels")?;
    let all: Vec<usize> = (0..data.len()).collect();
    let (mut right, mut wrong) = (Vec::new(), 0);
    for rows in all.chunks(BATCH) {
        let x = tensors::inputs(data, rows, DType::F64, network.device())?;
        let predicted = tensors::predictions(&network.forward(&x)?)?;
        for (row, class) in rows.iter().zip(predicted) {
            if right.len() == count {
                return Ok((right, wrong));
            }
            match labels[*row] == class {
                true => right.push(*row),
                false => wrong += 1,
            }
        }
    }
    ensure!(
        !right.is_empty(),
        "{}: no test image is classified rightly",
        data.name()
    );
    Ok((right, wrong))
}

/// What is asked about, everywhere in the same way.
struct Asked<'a> {
    linearizer: Linearizer,
    plan: &'a Plan,
    labels: Vec<u32>,
    name: &'a str,
}

impl Asked<'_> {
    fn tensor(&self, images: &[Vec<f64>]) -> anyhow::Result<Tensor> {
        let network = self.linearizer.network();
        let shape = [&[images.len()], network.input_shape()].concat();
        Ok(Tensor::from_vec(images.concat(), shape, network.device())?)
    }

    /// The images with their proved radii, balls cut with [0, 1].
    fn images(&self, pictures: &Pictures) -> anyhow::Result<Vec<Image>> {
        let network = self.linearizer.network();
        let domain = Arc::new(Domain::uniform(network.input_size(), 0.0, 1.0)?);
        let bar = Bar::count(
            format!("certifying {}", self.name),
            pictures.rows.len() as u64,
        );
        let mut images = Vec::new();
        for (first, values) in pictures.values.chunks(BATCH).enumerate() {
            let first = first * BATCH;
            let here = self.linearizer.at(&self.tensor(values)?)?;
            let here = here.within(Arc::clone(&domain))?;
            let margins = here.margins(&[Norm::L2, Norm::LINF], Method::Auto)?;
            for margins in &margins {
                self.proved(margins.guarantee)?;
            }
            let bounded = self.plan.bounded.saturating_sub(first).min(values.len());
            let bounded = (0..bounded).into_par_iter().map(|own| {
                let around = here.surroundings(own, Norm::LINF)?;
                self.proved(around.guarantee())?;
                let class = self.labels[first + own] as usize;
                let question = change_in_l1(network.output_size(), class);
                let share = Threshold::Relative(SHARE);
                let largest = around.largest(&question, share, 1.0, Limits::ROOT)?;
                anyhow::Ok(largest.proved)
            });
            let bounded = bounded.collect::<anyhow::Result<Vec<f64>>>()?;
            images.extend((0..values.len()).map(|own| Image {
                row: pictures.rows[first + own],
                label: self.labels[first + own],
                eps_2: margins[0].radius[own],
                eps_inf: margins[1].radius[own],
                bounded: bounded.get(own).copied(),
            }));
            bar.advance(values.len() as u64);
        }
        Ok(images)
    }

    fn proved(&self, guarantee: Guarantee) -> anyhow::Result<()> {
        let name = self.name;
        ensure!(
            guarantee == Guarantee::Proved,
            "{name}: a radius is {guarantee}, not proved"
        );
        Ok(())
    }

    /// The explanations of inputs in the order of the images.
    fn explained(&self, inputs: &[Vec<f64>]) -> anyhow::Result<Vec<Explained>> {
        let mut explained = Vec::new();
        for (values, labels) in inputs.chunks(BATCH).zip(self.labels.chunks(BATCH)) {
            let here = self.linearizer.at(&self.tensor(values)?)?;
            let gradients = here.output_gradients(labels)?.flatten_from(1)?;
            let gradients = gradients.to_dtype(DType::F64)?.to_vec2::<f64>()?;
            let classes = tensors::predictions(here.trace().output())?;
            let all = gradients.into_iter().zip(values).zip(classes);
            explained.extend(all.map(|((gradient, input), class)| {
                let product = gradient.iter().zip(input).map(|(g, x)| g * x);
                Explained {
                    class,
                    times_input: product.collect(),
                    gradient,
                    integrated: None,
                }
            }));
        }
        let integrated = inputs.iter().zip(&self.labels).take(self.plan.integrated);
        let integrated: Vec<_> = integrated.collect();
        let integrated = integrated.into_par_iter().map(|(input, label)| {
            let network = self.linearizer.network();
            let x = self.tensor(std::slice::from_ref(input))?.squeeze(0)?;
            let black = x.zeros_like()?;
            let found = loclin_regions::attribution::integrated_gradients(
                network,
                &black,
                &x,
                *label,
                loclin_regions::segment::Walk::default(),
            )?;
            anyhow::Ok(found.values)
        });
        let integrated = integrated.collect::<anyhow::Result<Vec<_>>>()?;
        for (explained, integrated) in explained.iter_mut().zip(integrated) {
            explained.integrated = Some(integrated);
        }
        Ok(explained)
    }
}
