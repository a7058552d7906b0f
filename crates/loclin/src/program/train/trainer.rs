//! The training loop.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use candle_core::Device;
use candle_core::backprop::GradStore;
use loclin_data::{Data, Part, batches};
use loclin_models::{BatchStatistics, ModelFile};
use loclin_regions::{Budget, Estimate, Linearization, Method, Norm};
use loclin_tensor::{Optimizer, file};

use super::batch::Batches;
use super::checkpoint::{self, Progress, State};
use super::learner::{self, Learner};
use super::optimizer::{norm, optimizer};
use super::outcome::{Diverged, Epoch, best};
use super::parts::{Parts, Traced};
use crate::program::config::{self, Average, Config};
use crate::program::files::{self, Lock};
use crate::program::opened::by_model;
use crate::program::progress::Bar;
use crate::program::run_directory::{LAST, METRICS, MODEL};
use crate::program::{clock, stop, tensors};
use loclin_report::stats::Percentiles;

/// Validation inputs whose margins are followed.
const MARGIN_INPUTS: usize = 1000;

/// The same of a residual network, whose margins are searched for input by input.
const RESNET_MARGIN_INPUTS: usize = 50;

/// The share that running statistics move towards those of a batch: PyTorch's default.
const STATISTICS_SHARE: f64 = 0.1;

/// Paths of the random streams: training steps and validation.
const TRAIN: u64 = 1;
const VALID: u64 = 2;

/// A network in training, with everything that training needs.
pub(super) struct Trainer<'a> {
    config: &'a Config,
    data: &'a [Data; 2],
    device: Device,
    learner: Learner,
    /// The same architecture with the mean of the weights.
    average: Option<Learner>,
    optimizer: Box<dyn Optimizer>,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        config: &'a Config,
        data: &'a [Data; 2],
        device: Device,
    ) -> anyhow::Result<Self> {
        let train = &data[0];
        let learner = Learner::new(config, train, &device)?;
        ensure!(
            config.loss != config::Loss::Axes || config.axes <= train.least_features(),
            "axes = {}: expected at most {}, the number of values of an input of {}",
            config.axes,
            train.least_features(),
            train.name()
        );
        if let (true, Data::Table(table)) = (config.flip || config.crop_padding > 0, train) {
            ensure!(
                table.input_shape().len() == 3,
                "{}: inputs of shape {:?}; flip and crop_padding take images, [channels, height, width]",
                train.name(),
                table.input_shape()
            );
        }
        if let Some(word) = learner.word_on_tangents(config, train.len())? {
            tracing::warn!("{word}");
        }
        let average = match config.average {
            Average::None => None,
            Average::Tail | Average::Ema => Some(Learner::new(config, train, &device)?),
        };
        let optimizer = optimizer(config).build(learner.parameters.named())?;
        Ok(Self {
            config,
            data,
            device,
            learner,
            average,
            optimizer,
        })
    }

    /// Takes the weights of a file, whose digest comes back.
    pub(super) fn initialise(&mut self, file: &Path) -> anyhow::Result<String> {
        self.learner.load(file)
    }

    /// Trains the epochs that are missing in a run directory, and returns where the run stands then. A new run goes on from `begun`; of one
    /// that has a checkpoint only its data count.
    pub(super) fn run(
        &mut self,
        held: &Lock,
        begun: Progress,
        label: &str,
    ) -> anyhow::Result<Progress> {
        let last = held.path().join(LAST);
        let mut progress = match last.exists() {
            true => {
                let device = self.device.clone();
                let kept = checkpoint::restore(&last, &mut self.state(), &device)?;
                Progress {
                    data: begun.data,
                    ..kept
                }
            }
            false => begun,
        };
        // The checkpoint has them all; the file may be lost or torn.
        let kept = lines(&progress.history)?;
        let metrics = file::read(&held.path().join(METRICS)).ok();
        if !kept.is_empty() && metrics.as_ref() != Some(&kept) {
            held.write(METRICS, &kept)?;
        }
        let applied = self.data[0].applied();
        progress.preprocessing = Some(by_model(applied, self.learner.normalization()));
        progress.threads = Some(rayon::current_num_threads());
        let steps = self.steps();
        let bar = Bar::count(label, (self.config.epochs * steps) as u64);
        bar.go_on((progress.epoch * steps + progress.step) as u64);
        stop::watch();
        while progress.epoch < self.config.epochs {
            bar.label(format!(
                "{label}, epoch {}/{}",
                progress.epoch + 1,
                self.config.epochs
            ));
            self.finish_epoch(&mut progress, held, &bar)?;
            // The checkpoint last: were the run killed before it, the epoch would be repeated and give the same
            // model and metrics; what a checkpoint counts as done is never done again.
            let validated = progress.history.last();
            if validated.is_some_and(|validated| validated.epoch == progress.epoch) {
                if best(&progress.history) == validated {
                    let model = self.validated(progress.epoch * steps).model()?;
                    let bytes = model.to_bytes()?;
                    held.write(MODEL, &bytes)?;
                    progress.model = Some(files::digest_of(&bytes[..])?);
                }
                held.write(METRICS, &lines(&progress.history)?)?;
            }
            self.save(&progress, held)?;
        }
        Ok(progress)
    }

    /// The rest of the current epoch, and its validation where one is due.
    fn finish_epoch(
        &mut self,
        progress: &mut Progress,
        held: &Lock,
        bar: &Bar,
    ) -> anyhow::Result<()> {
        let size = NonZeroUsize::new(self.config.batch_size).context("batch_size is 0")?;
        let epoch = progress.epoch;
        let patience = Duration::from_secs_f64(self.config.checkpoint_seconds.min(1e9));
        let (mut since_save, mut since) = (Instant::now(), Instant::now());
        for rows in
            batches(self.data[0].len(), size, self.config.seed, epoch as u64).skip(progress.step)
        {
            let ([task, regulariser], gradients) = self
                .step(&rows, epoch, progress.step)
                .with_context(|| format!("epoch {}, step {}", epoch + 1, progress.step + 1))?;
            if progress.step + 1 == self.steps() {
                progress.gradient_norm = norm(&gradients, &self.learner.parameters)?;
            }
            progress.step += 1;
            progress.inputs += rows.len();
            progress.sums[0] += task * rows.len() as f64;
            progress.sums[1] += regulariser * rows.len() as f64;
            bar.advance(1);
            let stopped = stop::check();
            if since_save.elapsed() >= patience || stopped.is_err() {
                progress.seconds += since.elapsed().as_secs_f64();
                (since_save, since) = (Instant::now(), Instant::now());
                self.save(progress, held)?;
            }
            stopped?;
        }
        progress.epoch += 1;
        progress.step = 0;
        if progress.epoch < self.config.epochs
            && !progress.epoch.is_multiple_of(self.config.validate_every)
        {
            progress.seconds += since.elapsed().as_secs_f64();
            return Ok(());
        }
        let mut metrics = self.validate(self.validated(progress.epoch * self.steps()))?;
        let [task, regulariser] = progress.sums.map(|sum| sum / progress.inputs as f64);
        metrics.epoch = progress.epoch;
        metrics.train_loss = task + self.config.lambda * regulariser;
        metrics.seconds = progress.seconds + since.elapsed().as_secs_f64();
        metrics.step = progress.epoch * self.steps();
        metrics.learning_rate = self.learning_rate(epoch, self.steps() - 1);
        metrics.gradient_norm = progress.gradient_norm;
        metrics.date = clock::now();
        tracing::debug!(
            "epoch {}: train loss {:.4}, valid loss {:.4}, accuracy {:.4}, median eps_2 {:.3e}, {:.1} s",
            metrics.epoch,
            metrics.train_loss,
            metrics.valid_loss,
            metrics.accuracy,
            metrics.median_eps_2,
            metrics.seconds,
        );
        bar.row(&Epoch::columns(), &metrics.row());
        let mut validated = std::mem::take(progress);
        validated.history.push(metrics);
        *progress = Progress {
            epoch: validated.epoch,
            history: validated.history,
            preprocessing: validated.preprocessing,
            data: validated.data,
            init: validated.init,
            model: validated.model,
            threads: validated.threads,
            ..Progress::default()
        };
        Ok(())
    }

    /// The learning rate of a step of an epoch, both counted from 0.
    fn learning_rate(&self, epoch: usize, step: usize) -> f64 {
        self.config.learning_rate_at(self.position(epoch, step))
    }

    /// The epochs completed before a step of an epoch, the share of the present one included.
    fn position(&self, epoch: usize, step: usize) -> f64 {
        epoch as f64 + step as f64 / self.steps() as f64
    }

    /// One step of the optimiser; the task loss and the regulariser before it, and the gradient of what it went down.
    fn step(
        &mut self,
        rows: &[usize],
        epoch: usize,
        step: usize,
    ) -> anyhow::Result<([f64; 2], GradStore)> {
        let steps = self.steps();
        let position = self.position(epoch, step);
        let path = &[TRAIN, epoch as u64, step as u64];
        let model = self.learner.model()?;
        let batch = self.batches(0).training(&model, rows, epoch)?;
        let parts = Parts::new(self.config, self.config.loss_at(epoch), &batch, path)?;
        let values = parts.values()?;
        let [task, regulariser] = values;
        ensure!(
            task.is_finite() && regulariser.is_finite(),
            Diverged(format!(
                "the loss is not finite (task loss {task}, regulariser {regulariser})"
            ))
        );
        self.optimizer
            .set_learning_rate(self.config.learning_rate_at(position))?;
        let gradients = parts.descend(self.config.lambda_at(position), &mut *self.optimizer)?;
        for traced in &batch {
            let parameters = &self.learner.parameters;
            BatchStatistics::update(&traced.statistics, parameters, STATISTICS_SHARE)?;
        }
        let share = self.config.average_share(epoch * steps + step + 1, steps);
        if let (Some(average), Some(share)) = (&self.average, share) {
            let parameters = &average.parameters;
            parameters.move_towards(&self.learner.parameters, share)?;
        }
        Ok((values, gradients))
    }

    /// Losses, accuracy and margins on the validation data.
    fn validate(&self, learner: &Learner) -> anyhow::Result<Epoch> {
        let data = &self.data[1];
        let model = learner.model()?.detached()?;
        let (mut sums, mut correct) = ([0.0; 2], 0);
        let rows: Vec<usize> = (0..data.len()).collect();
        for (index, rows) in rows.chunks(self.config.batch_size).enumerate() {
            let batch = self.batches(1).validation(&model, rows)?;
            let path = &[VALID, index as u64];
            let values = Parts::new(self.config, self.config.loss, &batch, path)?.values()?;
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value * rows.len() as f64);
            for Traced { trace, labels, .. } in &batch {
                let predicted = tensors::predictions(trace.output())?;
                let labels = labels.to_vec1::<u32>()?;
                correct += predicted
                    .iter()
                    .zip(labels)
                    .filter(|(a, b)| **a == *b)
                    .count();
            }
        }
        let [task_loss, regulariser] = sums.map(|sum| sum / data.len() as f64);
        let valid_loss = task_loss + self.config.lambda * regulariser;
        ensure!(
            valid_loss.is_finite(),
            Diverged(format!("the validation loss is not finite ({valid_loss})"))
        );
        let Percentiles { p25, p50, p75, .. } = self.margins(&model, &rows)?;
        Ok(Epoch {
            threads: rayon::current_num_threads(),
            valid_loss,
            task_loss,
            regulariser,
            accuracy: correct as f64 / data.len() as f64,
            median_eps_2: p50,
            p25_eps_2: p25,
            p75_eps_2: p75,
            ..Epoch::default()
        })
    }

    /// Of the first of the validation `rows`.
    fn margins(&self, model: &ModelFile, rows: &[usize]) -> anyhow::Result<Percentiles> {
        let resnet = self.config.architecture == config::Architecture::ResNet;
        let count = if resnet {
            RESNET_MARGIN_INPUTS
        } else {
            MARGIN_INPUTS
        };
        let mut radii = Vec::new();
        for Part { inputs, .. } in self.data[1].tables(&rows[..rows.len().min(count)])? {
            let network = model.raw(inputs.input_shape())?;
            let all: Vec<usize> = (0..inputs.len()).collect();
            let x = tensors::inputs(&inputs, &all, learner::dtype(model), &self.device)?;
            let here = Linearization::new(&network, &x, Budget::default())?;
            let margins = here.margins(&[Norm::L2], Method::Probable(Estimate::default()))?;
            radii.extend(margins.into_iter().flat_map(|margins| margins.radius));
        }
        Percentiles::of(&radii).context("no validation inputs")
    }

    /// Those of the training data (0) or of the validation data (1).
    fn batches(&self, part: usize) -> Batches<'_> {
        Batches {
            config: self.config,
            data: &self.data[part],
            device: &self.device,
            normalization: self.learner.normalization(),
        }
    }

    /// Steps of an epoch.
    fn steps(&self) -> usize {
        self.data[0].len().div_ceil(self.config.batch_size)
    }

    /// What is validated and saved after `step` steps of the whole run: the mean of the weights once there is one.
    fn validated(&self, step: usize) -> &Learner {
        match &self.average {
            Some(average) if self.config.average_share(step, self.steps()).is_some() => average,
            _ => &self.learner,
        }
    }

    fn state(&mut self) -> State<'_> {
        State {
            parameters: &self.learner.parameters,
            average: self.average.as_ref().map(|average| &average.parameters),
            optimizer: &mut *self.optimizer,
        }
    }

    fn save(&mut self, progress: &Progress, held: &Lock) -> anyhow::Result<()> {
        let bytes = checkpoint::to_bytes(progress, &self.state())?;
        Ok(held.write(LAST, &bytes)?)
    }
}

/// One JSON object a line.
fn lines(history: &[Epoch]) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    for epoch in history {
        serde_json::to_writer(&mut text, epoch)?;
        text.push(b'\n');
    }
    Ok(text)
}
