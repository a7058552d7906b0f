//! What changes in the course of a training run: the step size, lambda, and the mean of the weights.
//!
//! Everything here is a function of the position in the run, so a resumed run needs no more state for it.

use super::choices::{Average, Schedule};
use super::keys::Config;
use crate::program::objective::Loss;

impl Config {
    /// The learning rate of the step at `epoch`: the epochs completed, plus the share of the current one.
    pub fn learning_rate_at(&self, epoch: f64) -> f64 {
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let share = (epoch / self.epochs as f64).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
            Schedule::Step => {
                let passed = self.decay_epochs.iter().filter(|at| **at as f64 <= epoch);
                self.decay.powi(passed.count() as i32)
            }
        };
        self.learning_rate * factor
    }

    /// Lambda at `epoch`.
    pub fn lambda_at(&self, epoch: f64) -> f64 {
        match epoch < self.lambda_warmup {
            true => self.lambda * epoch / self.lambda_warmup,
            false => self.lambda,
        }
    }

    /// The objective of the steps of epoch `epoch`, counted from 0.
    pub fn loss_at(&self, epoch: usize) -> Loss {
        match self.loss.estimate() {
            Some(estimate) if epoch < self.estimated_epochs => estimate,
            _ => self.loss,
        }
    }

    /// How far the mean moves towards the weights after the step that ends at step `step` of `steps` per epoch,
    /// both counted over the whole run; `None` before there is one. The first step is its start, share 1.
    pub fn average_share(&self, step: usize, steps: usize) -> Option<f64> {
        let start = (self.average_from * steps as f64).ceil() as usize;
        let averaged = step.checked_sub(start).filter(|n| *n > 0)?;
        match self.average {
            Average::None => None,
            Average::Tail => Some(1.0 / averaged as f64),
            Average::Ema if averaged == 1 => Some(1.0),
            Average::Ema => Some(1.0 - self.average_decay),
        }
    }

    /// Whether a run of this configuration, begun with `begun`, is the same run: more epochs are, unless the
    /// learning rate depends on how many there will be, and so are other checkpoints.
    pub fn continues(&self, begun: &Self) -> bool {
        let same = Self {
            epochs: self.epochs,
            checkpoint_seconds: self.checkpoint_seconds,
            ..begun.clone()
        };
        let epochs = match self.schedule {
            Schedule::Cosine => begun.epochs == self.epochs,
            Schedule::Constant | Schedule::Step => begun.epochs <= self.epochs,
        };
        same == *self && epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(overrides: &[&str]) -> Config {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::preset("mnist-roll-1", &overrides).unwrap()
    }

    #[test]
    fn the_learning_rate_falls_as_its_schedule_says() {
        let constant = config(&["schedule=constant"]);
        assert_eq!(
            [0.0, 7.3, 19.9].map(|e| constant.learning_rate_at(e)),
            [0.01; 3]
        );
        let step = config(&["schedule=step", "decay=0.5", "decay_epochs=[4, 10]"]);
        let rates = [0.0, 3.9, 4.0, 9.9, 10.0, 19.9].map(|e| step.learning_rate_at(e));
        assert_eq!(rates, [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]);
        let cosine = config(&["schedule=cosine", "epochs=8"]);
        // cos(pi / 4) = sqrt(1 / 2); the tolerance is a few roundings.
        let expected = [
            1.0,
            0.5 + 0.125_f64.sqrt(),
            0.5,
            0.5 - 0.125_f64.sqrt(),
            0.0,
        ];
        for (epoch, factor) in [0.0, 2.0, 4.0, 6.0, 8.0].into_iter().zip(expected) {
            assert!((cosine.learning_rate_at(epoch) - 0.01 * factor).abs() < 1e-16);
        }
    }

    #[test]
    fn lambda_rises_in_proportion() {
        let warm = config(&["lambda=3", "lambda_warmup=1.5"]);
        assert_eq!(
            [0.0, 0.5, 1.0, 1.5, 9.0].map(|e| warm.lambda_at(e)),
            [0.0, 1.0, 2.0, 3.0, 3.0]
        );
        assert_eq!(config(&["lambda=3"]).lambda_at(0.0), 3.0);
    }

    #[test]
    fn the_shares_make_the_means_they_name() {
        let run = |set: &[&str]| {
            let config = config(set);
            let mut mean = f64::NAN;
            for step in 1..=8 {
                if let Some(share) = config.average_share(step, 4) {
                    // The start takes the place of whatever was there.
                    mean = if share == 1.0 {
                        step as f64
                    } else {
                        mean + share * (step as f64 - mean)
                    };
                }
            }
            mean
        };
        // Steps 6, 7 and 8, after 1.25 epochs of 4 steps; the tolerance is a few roundings.
        let tail = run(&["average=tail", "average_from=1.25"]);
        assert!((tail - 7.0).abs() < 1e-14, "{tail}");
        let ema = run(&["average=ema", "average_from=1.25", "average_decay=0.5"]);
        assert_eq!(ema, 0.25 * 6.0 + 0.25 * 7.0 + 0.5 * 8.0);
        assert!(run(&["average=none"]).is_nan());
    }
}
