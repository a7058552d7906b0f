//! What is asked of every input.

use std::time::Duration;

use anyhow::{Context, ensure};
use loclin_models::Network;
use loclin_regions::reduced::{Limits, Question, one_output};
use loclin_regions::{Domain, Norm};

use super::options::{About, Allowed, Args, Of, What};
use crate::program::errors::Usage;
use crate::program::words::counted;

/// How many numbers of the gradient `top-k` is about, if nothing is said.
const TOP: usize = 10;

/// Seconds; no more are taken, whatever is asked.
const YEAR: f64 = 365.0 * 24.0 * 3600.0;

/// What is asked of every input, checked.
#[derive(Clone, Debug)]
pub struct Asked {
    about: About,
    /// The ball's norm.
    pub norm: Norm,
    /// The radii asked for, ascending, without repetition.
    pub eps: Vec<f64>,
    /// Radii between the margin and the largest of them.
    pub curve: usize,
    /// What is allowed, where the largest radius is asked for.
    pub largest: Option<Allowed>,
    up_to: Option<f64>,
    /// How long each answer may take.
    pub limits: Limits,
}

impl Asked {
    /// What the options ask.
    ///
    /// # Errors
    /// Options that make no sense together, or are out of range.
    pub fn new(args: &Args) -> anyhow::Result<Self> {
        let refuse = |message: String| Err(Usage::new(message).into());
        let (about, balls) = (&args.about, &args.balls);
        let what = about.what;
        let named = what.name();
        let is_length = matches!(what, What::Change | What::Lipschitz);
        if about.gradient_norm.is_some() && !is_length {
            return refuse(format!("--gradient-norm: not for --what {named}"));
        }
        if about.minus.is_some() && what == What::Class {
            return refuse("--minus: not for --what class, which compares all outputs".into());
        }
        if let (Of::Class(class), Some(minus)) = (about.class, about.minus)
            && class == minus
        {
            return refuse(format!(
                "--minus {minus}: the output of --class itself; expected another one"
            ));
        }
        if let Some(norm) = about.operator_norm {
            if what != What::Lipschitz {
                return refuse(format!("--operator-norm: not for --what {named}"));
            }
            if about.class != Of::Prediction {
                return refuse(
                    "--class: not with --operator-norm, which asks about all outputs".into(),
                );
            }
            if ![1.0, 2.0, f64::INFINITY].contains(&norm.p()) {
                return refuse(format!("--operator-norm {norm}: expected 1, 2 or inf"));
            }
        }
        if args.proof.is_some() && (what == What::Sign || balls.eps.is_empty()) {
            return refuse("--proof: for radii (--eps) and questions other than signs".into());
        }
        match about.top {
            Some(0) => return refuse("--top 0: expected at least 1".into()),
            Some(_) if what != What::TopK => {
                return refuse(format!("--top: not for --what {named}"));
            }
            _ => {}
        }
        if balls.change.is_some() && !is_length {
            return refuse(format!(
                "--change: not for --what {named}; --largest asks how far it stays"
            ));
        }
        if balls.largest && is_length {
            return refuse(format!(
                "--largest: for --what {named}, --change says what is allowed"
            ));
        }
        let largest = match balls.largest {
            true => Some(Allowed::Value(0.0)),
            false => balls.change,
        };
        if balls.up_to.is_some() && largest.is_none() {
            return refuse("--up-to: only with --change or --largest".into());
        }
        if let Some(curve @ (0 | 1 | 1001..)) = balls.curve {
            return refuse(format!("--curve {curve}: expected 2 to 1000"));
        }
        let mut eps: Vec<f64> = balls.eps.iter().map(|eps| eps.value()).collect();
        eps.sort_by(f64::total_cmp);
        eps.dedup();
        Ok(Self {
            about: about.clone(),
            norm: balls.norm,
            eps,
            curve: balls.curve.unwrap_or(0),
            largest,
            up_to: balls.up_to.map(|radius| radius.value()),
            limits: Limits {
                proof: args.proof.is_some(),
                ..limits(args.time, args.parts)?
            },
        })
    }

    /// What is bounded.
    pub fn what(&self) -> What {
        self.about.what
    }

    /// How many numbers are to stay the largest.
    pub fn top(&self) -> usize {
        self.about.top.unwrap_or(TOP)
    }

    /// Whether signs are counted.
    pub fn counts_signs(&self) -> bool {
        self.about.what == What::Sign
    }

    /// What is allowed, in words, where the largest radius is asked for.
    pub fn allowed(&self) -> Option<String> {
        let allowed = self.largest?;
        Some(match self.about.what {
            What::Change => format!("the gradient changes by at most {allowed}"),
            What::Lipschitz => format!("the norm grows by at most {allowed}"),
            What::Sign => "every sign stays".into(),
            What::TopK => format!("the top {} stay", self.top()),
            What::Class => "the class stays".into(),
        })
    }

    /// The norm of a gradient, where one is measured.
    pub fn gradient_norm(&self) -> Option<Norm> {
        match self.about.what {
            What::Change => Some(self.about.gradient_norm.unwrap_or(Norm::L1)),
            What::Lipschitz if self.about.operator_norm.is_none() => {
                Some(self.about.gradient_norm.unwrap_or(self.norm.dual()))
            }
            _ => None,
        }
    }

    /// The operator norm, where one is asked for.
    pub fn operator_norm(&self) -> Option<Norm> {
        self.about.operator_norm
    }

    /// The class of an input; a network with one output has one score, whatever the class.
    ///
    /// # Errors
    /// No label where it is asked for, or a class that the network does not have.
    pub fn class(
        &self,
        prediction: u32,
        label: Option<u32>,
        outputs: usize,
    ) -> anyhow::Result<u32> {
        let class = match self.about.class {
            Of::Prediction => prediction,
            Of::Label => label.context("no label; --class says whose score is asked about")?,
            Of::Class(class) => class,
        };
        let own = |class: u32| (class as usize) < outputs;
        match self.about.class {
            Of::Class(_) if !own(class) => {
                let message = format!(
                    "--class {class}: the model has {}",
                    counted(outputs, "output")
                );
                return Err(Usage::new(message).into());
            }
            _ if outputs == 1 => return Ok(0),
            _ => ensure!(
                own(class),
                "its class is {class}; the model has {}",
                counted(outputs, "output")
            ),
        }
        Ok(class)
    }

    /// The question about a class; `None` where its own score is to be taken away from it.
    ///
    /// # Errors
    /// What the network does not have.
    pub fn question(&self, network: &Network, class: u32) -> anyhow::Result<Option<Question>> {
        let refuse = |message: String| Err(Usage::new(message).into());
        let (outputs, inputs) = (network.output_size(), network.input_size());
        let mut weights = one_output(outputs, class as usize);
        if let Some(minus) = self.about.minus {
            match weights.get_mut(minus as usize) {
                Some(_) if outputs == 1 => {
                    return refuse(format!(
                        "--minus {minus}: the model has one output, and no other to take away"
                    ));
                }
                Some(_) if minus == class => return Ok(None),
                Some(weight) => *weight = -1.0,
                None => {
                    return refuse(format!(
                        "--minus {minus}: the model has {}",
                        counted(outputs, "output")
                    ));
                }
            }
        }
        let norm = self.gradient_norm().unwrap_or(Norm::L1);
        Ok(Some(match self.about.what {
            What::Change => Question::Change { weights, norm },
            What::Lipschitz => match self.about.operator_norm {
                Some(norm) => Question::Operator { norm },
                None => Question::Length { weights, norm },
            },
            What::Sign => Question::Signs { weights },
            What::TopK if self.top() >= inputs => {
                let top = self.top();
                return refuse(format!(
                    "--top {top}: an input has {inputs} numbers; expected fewer"
                ));
            }
            What::TopK => Question::TopK {
                weights,
                k: self.top(),
            },
            What::Class if outputs == 1 => {
                return refuse(
                    "--what class: the model has one output, and no other to compare it with"
                        .into(),
                );
            }
            What::Class => Question::Class {
                class: class as usize,
            },
        }))
    }

    /// What is bounded, in words.
    pub fn said(&self) -> String {
        let ball = format!("the l{} ball", self.norm);
        let norm = |norm: Norm| format!("l{norm}");
        match (self.what(), self.gradient_norm(), self.operator_norm()) {
            (What::Change, Some(q), _) => format!(
                "by how much the gradient changes in {ball} ({} norm of the change)",
                norm(q)
            ),
            (What::Lipschitz, _, Some(p)) => format!(
                "the largest operator norm of the Jacobian in {ball}, {0} to {0}",
                norm(p)
            ),
            (What::Lipschitz, Some(q), _) => {
                format!("the largest {} norm of the gradient in {ball}", norm(q))
            }
            (What::Sign, ..) => {
                format!("how many numbers of the gradient change their sign in {ball}")
            }
            (What::TopK, ..) => format!(
                "by how much another number of the gradient exceeds one of the {} largest in {ball}; below 0 they stay the largest",
                self.top()
            ),
            _ => format!(
                "by how much another output exceeds the class's in {ball}; below 0 the class stays"
            ),
        }
    }

    /// The largest radius that is tried.
    pub fn up_to(&self, domain: Option<&Domain>) -> f64 {
        let size = || {
            let sides = domain.map(|domain| domain.low().iter().zip(domain.high()));
            let sides: Option<Vec<f64>> =
                sides.map(|both| both.map(|(low, high)| high - low).collect());
            sides.map(|sides| self.norm.of(&sides))
        };
        let size = self
            .up_to
            .or_else(size)
            .filter(|size| size.is_finite() && *size > 0.0);
        size.unwrap_or(1.0)
    }
}

/// How long a question may take.
fn limits(time: Option<f64>, parts: Option<usize>) -> anyhow::Result<Limits> {
    if parts == Some(0) {
        return Err(Usage::new("--parts 0: expected at least 1").into());
    }
    let default = Limits::default();
    let time = match time {
        None if parts.is_some() => None,
        None => default.time,
        // Bounds without branching take the time that they take.
        Some(0.0) => {
            return Ok(Limits::ROOT);
        }
        Some(seconds) => {
            // The end of all times has to be an instant.
            let time = Duration::try_from_secs_f64(if seconds > YEAR { YEAR } else { seconds });
            let message = format!("--time {seconds:?}: expected seconds, at least 0");
            Some(time.map_err(|error| Usage::caused_by(message, error))?)
        }
    };
    Ok(Limits {
        time,
        parts: parts.unwrap_or(default.parts),
        ..default
    })
}
