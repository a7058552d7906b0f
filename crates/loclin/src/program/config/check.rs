//! What no configuration may be: values out of range, and combinations that mean nothing.

use loclin_objectives::Gamma;

use super::choices::{Architecture, Average, Optimizer, Schedule};
use super::error::ConfigError;
use super::keys::{Config, KEYS, SEEDED};
use crate::program::objective::Loss;

impl Config {
    /// Ranges, and the combinations that mean nothing.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Some(key) = KEYS.iter().find(|key| !(key.valid)(self)) {
            return Err(self.invalid(key.name, key.takes.to_string()));
        }
        self.check_architecture()?;
        if self.loss.takes_all() && self.gamma != Gamma::Percent(100.0) {
            let expected = "100, because this loss takes all neurons";
            return Err(self.invalid("gamma", expected.to_owned()));
        }
        let mean = self.loss.estimate().is_some() && self.gamma == Gamma::Percent(100.0);
        if self.estimated_epochs > 0 && !mean {
            let expected = r#"0 unless loss = "roll" or "jump-weighted" and gamma = 100, whose means can be estimated"#;
            return Err(self.invalid("estimated_epochs", expected.to_owned()));
        }
        if self.optimizer == Optimizer::Sgd && self.nesterov && self.momentum == 0.0 {
            return Err(self.invalid("nesterov", "false where momentum is 0".to_owned()));
        }
        if self.schedule == Schedule::Step && self.decay_epochs.is_empty() {
            let expected = r#"at least one epoch, because schedule = "step""#;
            return Err(self.invalid("decay_epochs", expected.to_owned()));
        }
        if self.average != Average::None && self.average_from >= self.epochs as f64 {
            let expected = format!("less than the {} epochs", self.epochs);
            return Err(self.invalid("average_from", expected));
        }
        Ok(())
    }

    /// What an architecture does not take.
    fn check_architecture(&self) -> Result<(), ConfigError> {
        let because = |architecture: &str, expected: &str| {
            format!(r#"{expected}, because architecture = "{architecture}""#)
        };
        if self.loss == Loss::GradCert && self.architecture != Architecture::Fc {
            let expected = r#"another loss where architecture is not "fc""#;
            return Err(self.invalid("loss", expected.to_owned()));
        }
        match (self.architecture, &self.hidden[..]) {
            (Architecture::Fc, _) => {}
            (Architecture::ScoRnn, [width]) => {
                if self.negative > *width {
                    let expected = format!("at most {width}, the hidden width");
                    return Err(self.invalid("negative", expected));
                }
                if self.init != SEEDED {
                    return Err(self.invalid("init", because("scornn", r#""seeded""#)));
                }
            }
            (Architecture::ResNet, [_]) => {
                if self.negative_slope != 0.0 {
                    return Err(self.invalid("negative_slope", because("resnet", "0")));
                }
            }
            (Architecture::ScoRnn, _) => {
                return Err(self.invalid("hidden", because("scornn", "one width")));
            }
            (Architecture::ResNet, _) => {
                return Err(self.invalid("hidden", because("resnet", "one width")));
            }
        }
        Ok(())
    }

    fn invalid(&self, key: &'static str, expected: String) -> ConfigError {
        let table = toml::Table::try_from(self).unwrap_or_default();
        // Only a seed beyond TOML's integers makes the table fail, and then it is the culprit.
        let value = table
            .get(key)
            .map_or_else(|| self.seed.to_string(), ToString::to_string);
        ConfigError::Invalid {
            key,
            value,
            expected,
        }
    }
}
