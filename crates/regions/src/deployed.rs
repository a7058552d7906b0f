//! Balls in which every evaluation in another type of numbers takes the same sides.

use crate::{
    Error, Guarantee, Linearization, Margins, Method, Norm, Position, Result, Rows,
    rounding::{clear, is_open},
};
use candle_core::{DType, Device, Tensor};
use loclin_models::Ball;
use loclin_tensor::rounding::{largest, up, up_by};

/// The largest radius that is asked about, in units of the largest number of an input, or of 1.
const FARTHEST: f64 = 1024.0;

/// Margins for evaluations in a type of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedMargins {
    /// One for each norm; [`Position::Undecided`] where some evaluation may take another side at the input itself.
    pub margins: Vec<Margins>,
    /// For each input, how many neurons' sides an evaluation may get wrong within the proved margin, however near to the input.
    pub undecided: Vec<usize>,
}

impl Linearization {
    /// The lp margins within which every evaluation of the network in a type of numbers takes the same side at every neuron: at each
    /// point that the type has, whatever the order of sums, fused or not, its parameters rounded to the type. Products are
    /// summed directly: not for fast convolutions (Winograd, Fourier).
    ///
    /// Within the proved margin a neuron's value is at most twice as large as at the input. So the errors that an evaluation
    /// can have there are bounded once for the whole ball, as rounding errors are, and the distance of each neuron is asked
    /// for again with a value that is less by them. Radii are at most 1024 times the input's largest number, or 1024: larger balls are
    /// not asked about, and numbers in them may overflow.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Linearization, Method, Norm};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let proved = &here.margins(&[Norm::L2], Method::Auto)?[0];
    /// let single = &here.deployed_margins(&[Norm::L2], Method::Auto, DType::F32)?.margins[0];
    /// assert!(single.radius[0] < proved.radius[0] && single.radius[0] > 0.99 * proved.radius[0]);
    /// assert_eq!(single.guarantee.name(), "deployed(f32)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Linearization::margins`]; a method or a network of which nothing is proved, and a type that is not floating-point.
    pub fn deployed_margins(
        &self,
        norms: &[Norm],
        method: Method,
        dtype: DType,
    ) -> Result<DeployedMargins> {
        if !loclin_tensor::is_float(dtype) {
            let cause = format!("deployed in {}: not a floating-point type", dtype.as_str());
            return Err(Error::Argument {
                what: "type",
                cause,
            });
        }
        let mut margins = self.margins(norms, method)?;
        let proved = margins.iter().all(|of| of.guarantee == Guarantee::Proved);
        let errors = match proved {
            true => self.evaluation_errors(&margins, dtype)?,
            false => None,
        };
        let Some(errors) = errors else {
            let cause = "margins of evaluations need proved ones, and operators that know how errors pass them";
            let cause = format!("{method}: {cause}");
            return Err(Error::Argument {
                what: "method",
                cause,
            });
        };
        let (lessened, open) = self.lessened(&errors);
        let found = lessened.found(norms, method)?;
        for (own, found) in margins.iter_mut().zip(found) {
            own.guarantee = Guarantee::Deployed { dtype };
            for (input, open) in open.iter().enumerate() {
                let farthest = self.farthest(input)?;
                let (radius, limiting) = match open.first() {
                    Some(at) => (0.0, self.neuron(*at)),
                    None => (found.radius[input], found.limiting[input]),
                };
                if radius < own.radius[input] {
                    (own.radius[input], own.limiting[input]) = (radius, limiting);
                }
                own.radius[input] = own.radius[input].min(farthest);
                if own.radius[input] == 0.0 && own.position[input] == Position::Inside {
                    own.position[input] = Position::Undecided;
                }
            }
        }
        Ok(DeployedMargins {
            margins,
            undecided: open.iter().map(Vec::len).collect(),
        })
    }

    /// The largest radius that is asked about.
    fn farthest(&self, input: usize) -> Result<f64> {
        let x = Rows::of_tensor(&self.inputs.get(input)?.flatten_all()?.unsqueeze(0)?)?;
        Ok(FARTHEST * largest(&x[0]).max(1.0))
    }

    /// Bounds of the errors of evaluations within the largest of the margins, `[B, |I|]`.
    fn evaluation_errors(&self, margins: &[Margins], dtype: DType) -> Result<Option<Rows>> {
        let Some(rounding) = &self.rounding else {
            return Ok(None);
        };
        let (batch, width) = (self.batch(), self.neurons());
        if width == 0 {
            return Ok(Some(Rows::zeros(batch, 0)));
        }
        let radius = |input: usize| {
            let radii = margins.iter().map(|of| of.radius[input]);
            Ok(up(radii.fold(0.0, f64::max)).min(self.farthest(input)?))
        };
        let radius = (0..batch).map(radius).collect::<Result<Vec<f64>>>()?;
        // Within the margin the exact value moves by at most itself; it is not further from the computed one than its error. Away from 0 it
        // moves as far as towards it only where the ball is whole.
        let numbers = self
            .pre_activations
            .as_slice()
            .iter()
            .zip(rounding.values().as_slice());
        let reach = numbers.map(|(z, error)| match &self.within {
            None => up_by(z.abs() + 2.0 * error, 3),
            Some(_) => f64::INFINITY,
        });
        let device = self.inputs.device();
        let ball = Ball {
            radius: Tensor::from_vec(radius, batch, &Device::Cpu)?.to_device(device)?,
            reach: Rows::new(reach.collect(), batch, width).to_tensor(DType::F64, device)?,
        };
        let errors = rounding
            .magnitudes()
            .errors_in(&self.inputs, &ball, dtype)?;
        let Some(errors) = errors else {
            return Ok(None);
        };
        let mut errors = Rows::of_tensor(&errors)?;
        // Errors of evaluations are bounded by absolute values alone.
        for input in (0..batch).filter(|input| rounding.needs_lengths_at(*input)) {
            errors.row_mut(input).fill(f64::INFINITY);
        }
        Ok(Some(errors))
    }

    /// The same linearisation, of each value the part that neither rounding here nor an evaluation can have made; and for each
    /// input the neurons that an evaluation may put on another side within the ball, however small it is. An input with such
    /// neurons is left out: none of its boundaries is near. A neuron whose value is exactly 0 in every evaluation is none.
    fn lessened(&self, errors: &Rows) -> (Self, Vec<Vec<usize>>) {
        let own = self
            .rounding
            .as_ref()
            .map(|rounding| rounding.values().as_slice());
        let both = errors.as_slice().iter().enumerate();
        let both = both.map(|(at, error)| up_by(error + own.map_or(0.0, |own| own[at]), 1));
        let both = Rows::new(both.collect(), errors.len(), errors.width());
        let mut clear = clear(&self.pre_activations, &both);
        let undecided = |(clear, errors): (&[f64], &[f64])| {
            let both = clear.iter().zip(errors).enumerate();
            let open = both.filter(|(_, (clear, error))| is_open(**clear) && **error > 0.0);
            open.map(|(at, _)| at).collect::<Vec<usize>>()
        };
        let open: Vec<Vec<usize>> = clear.iter().zip(errors.iter()).map(undecided).collect();
        for (input, _) in open.iter().enumerate().filter(|(_, open)| !open.is_empty()) {
            clear.row_mut(input).fill(f64::INFINITY);
        }
        let lessened = Self {
            pre_activations: clear.clone(),
            clear,
            ..self.clone()
        };
        (lessened, open)
    }
}
