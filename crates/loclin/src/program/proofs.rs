//! Files of proofs: what `bound --proof` writes and `check` reads.

use std::path::Path;

use anyhow::{Context, ensure};
use loclin_regions::reduced::{Proof, Question, Reason, Step};
use loclin_regions::{Neuron, Norm};
use serde::{Deserialize, Serialize};

use crate::program::files;

/// The version of the format.
const FORMAT: u32 = 1;

/// Statements about balls, each with the parts that prove it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proofs {
    format: u32,
    /// The norm of the balls.
    pub norm: String,
    /// The domain that balls are cut with, in one word; `None` if they are whole.
    pub domain: Option<String>,
    /// What is proved.
    pub statements: Vec<Statement>,
}

/// That no input of a ball has a larger value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The input's number in the dataset.
    pub index: usize,
    /// The ball's radius.
    pub eps: f64,
    question: Asked,
    /// What the value is at most.
    pub proved: f64,
    steps: Vec<Stored>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what", deny_unknown_fields)]
enum Asked {
    Change { weights: Vec<f64>, norm: String },
    Length { weights: Vec<f64>, norm: String },
    Operator { norm: String },
    TopK { weights: Vec<f64>, k: usize },
    Class { class: usize },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Stored {
    Split {
        unit: [usize; 2],
        selects: Option<[usize; 2]>,
    },
    Ranges,
    Factors {
        factors: Vec<f64>,
        all: bool,
    },
    Bound(Vec<Vec<f64>>),
}

impl Proofs {
    /// Of balls of a norm, cut with a domain.
    pub fn new(norm: Norm, domain: Option<String>, statements: Vec<Statement>) -> Self {
        Self {
            format: FORMAT,
            norm: norm.to_string(),
            domain,
            statements,
        }
    }

    /// As a file holds them.
    ///
    /// # Errors
    /// A number that JSON does not have.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, or is something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let proofs: Self = serde_json::from_str(&files::read_text(path)?)?;
            let format = proofs.format;
            ensure!(
                format == FORMAT,
                "format {format}; this program reads {FORMAT}"
            );
            Ok(proofs)
        };
        read().with_context(|| format!("{}: no proofs of `loclin bound --proof`", path.display()))
    }
}

impl Statement {
    /// Of the first input, with its proof; `None` of a question whose parts are not kept, and where nothing is proved.
    pub fn new(eps: f64, question: &Question, proved: f64, proof: &Proof) -> Option<Self> {
        if !proved.is_finite() {
            return None;
        }
        let pair = |neuron: &Neuron| [neuron.node, neuron.index];
        let stored = |step: &Step| match step {
            Step::Split { unit, selects } => Stored::Split {
                unit: pair(unit),
                selects: selects.as_ref().map(pair),
            },
            Step::Part(Reason::Ranges) => Stored::Ranges,
            Step::Part(Reason::Factors { factors, all }) => Stored::Factors {
                factors: factors.clone(),
                all: *all,
            },
            Step::Part(Reason::Bound { factors }) => Stored::Bound(factors.clone()),
        };
        Some(Self {
            index: 0,
            eps,
            question: Asked::of(question)?,
            proved,
            steps: proof.steps.iter().map(stored).collect(),
        })
    }

    /// The same of the input of this number.
    #[must_use]
    pub fn of_input(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// The question.
    ///
    /// # Errors
    /// A norm that is none.
    pub fn question(&self) -> anyhow::Result<Question> {
        Ok(match self.question.clone() {
            Asked::Change { weights, norm } => Question::Change {
                weights,
                norm: norm.parse()?,
            },
            Asked::Length { weights, norm } => Question::Length {
                weights,
                norm: norm.parse()?,
            },
            Asked::Operator { norm } => Question::Operator {
                norm: norm.parse()?,
            },
            Asked::TopK { weights, k } => Question::TopK { weights, k },
            Asked::Class { class } => Question::Class { class },
        })
    }

    /// The parts.
    pub fn proof(&self) -> Proof {
        let neuron = |&[node, index]: &[usize; 2]| Neuron { node, index };
        let step = |stored: &Stored| match stored.clone() {
            Stored::Split { unit, selects } => Step::Split {
                unit: neuron(&unit),
                selects: selects.as_ref().map(neuron),
            },
            Stored::Ranges => Step::Part(Reason::Ranges),
            Stored::Factors { factors, all } => Step::Part(Reason::Factors { factors, all }),
            Stored::Bound(factors) => Step::Part(Reason::Bound { factors }),
        };
        Proof {
            steps: self.steps.iter().map(step).collect(),
        }
    }
}

impl Asked {
    fn of(question: &Question) -> Option<Self> {
        Some(match question.clone() {
            Question::Change { weights, norm } => Self::Change {
                weights,
                norm: norm.to_string(),
            },
            Question::Length { weights, norm } => Self::Length {
                weights,
                norm: norm.to_string(),
            },
            Question::Operator { norm } => Self::Operator {
                norm: norm.to_string(),
            },
            Question::TopK { weights, k } => Self::TopK { weights, k },
            Question::Class { class } => Self::Class { class },
            Question::Signs { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON has no infinite numbers, and a bound that is one says nothing.
    #[test]
    fn what_is_not_bounded_is_no_statement() {
        let proof = Proof {
            steps: vec![Step::Part(Reason::Ranges)],
        };
        let question = Question::Class { class: 0 };
        let of = |proved: f64| Statement::new(0.1, &question, proved, &proof);
        assert!(of(1.0).is_some() && of(f64::INFINITY).is_none());
        let all = Proofs::new(Norm::LINF, None, of(1.0).into_iter().collect());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(
            serde_json::from_str::<Proofs>(&text)
                .unwrap()
                .statements
                .len(),
            1
        );
    }
}
