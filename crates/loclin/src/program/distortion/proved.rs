//! What no search can find: a bound of the distortion.

use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::reduced::{Limits, Question, one_output};
use loclin_regions::{Budget, Domain, Guarantee, Linearizer, Norm};

/// Bounds of the distortion, or why there are none.
pub(super) struct Prover {
    linearizer: Result<Linearizer, String>,
    domain: Option<Domain>,
    eps: f64,
    limits: Limits,
}

impl Prover {
    /// For l-infinity balls of radius `eps`; a bound, for which every number of an input is a direction to be pushed,
    /// is to take less than the searches with their `evaluations`.
    /// The ball may be divided into so many `parts`.
    pub(super) fn new(
        network: &Network,
        domain: Option<&Domain>,
        eps: f64,
        (parts, evaluations): (usize, usize),
    ) -> Self {
        let inputs = network.input_size();
        let linearizer = match network.dtype() {
            DType::F64 if inputs > evaluations => Err(format!(
                "inputs of {inputs} numbers would take longer than the searches; `bound` takes its time"
            )),
            DType::F64 => {
                Linearizer::new(network, Budget::default()).map_err(|error| error.to_string())
            }
            _ => Err("only in float64 (--dtype f64) anything is proved".into()),
        };
        // A limit of time would make runs differ that go on with each other.
        let limits = Limits {
            time: None,
            parts,
            ..Limits::default()
        };
        Self {
            linearizer,
            domain: domain.cloned(),
            eps,
            limits,
        }
    }

    /// A bound of the l1 change of an output's gradient in the ball around `x` `[in...]`, or why there is none.
    pub(super) fn bound(&self, x: &Tensor, output: u32) -> Result<f64, String> {
        let linearizer = self.linearizer.as_ref().map_err(String::clone)?;
        let found = || -> loclin_regions::Result<_> {
            let mut here = linearizer.at(&x.unsqueeze(0)?)?;
            if let Some(domain) = &self.domain {
                here = here.within(domain.clone())?;
            }
            let weights = one_output(here.network().output_size(), output as usize);
            let question = Question::Change {
                weights,
                norm: Norm::L1,
            };
            here.surroundings(0, Norm::LINF)?
                .bound(self.eps, &question, self.limits)
        };
        let bound = found().map_err(|error| error.to_string())?;
        match bound.guarantee {
            Guarantee::Proved => Ok(bound.proved),
            _ => Err("rounding errors of this network are not bounded".into()),
        }
    }
}
