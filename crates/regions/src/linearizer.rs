//! A network prepared for linearisation: what does not depend on the inputs, once.

use crate::{
    Budget, Error, Linearization, Result, Rows,
    by_lengths::{AllByLengths, ByLengths, neurons_of},
    decide::{self, Decisions},
    engines::Engine,
    equal::EqualNeurons,
    prepared::Prepared,
    progress::{Progress, Watch},
    rounding::{OfLengths, Rounding, plain, says_something},
};
use candle_core::{DType, Tensor};
use loclin_models::{Magnitudes, Network, Trace};
use std::sync::{Arc, OnceLock};

/// A network to be linearised at many batches: its parameters cut off from differentiation, its float64 copy, and
/// the norms of its layers as soon as a margin asks for them.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearizer, Method, Norm};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let linearizer = Linearizer::new(&network, Budget::default())?;
/// for batch in [[[0.3, -0.2]], [[1.0, 0.5]]] {
///     let here = linearizer.at(&Tensor::new(&batch, &Device::Cpu)?)?;
///     assert!(here.margins(&[Norm::L2], Method::Auto)?[0].radius[0] > 0.0);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linearizer {
    network: Network,
    budget: Budget,
    prepared: Arc<Prepared>,
    watch: Watch,
    /// Whether lengths are asked where absolute values leave a side undecided.
    asks_lengths: bool,
}

impl Linearizer {
    /// Prepares `network`. Later changes of its parameters in place may or may not be seen: prepare it again.
    ///
    /// # Errors
    /// A network that cannot be read in float64.
    pub fn new(network: &Network, budget: Budget) -> Result<Self> {
        let network = network.detached()?;
        Ok(Self {
            prepared: Arc::new(Prepared::new(&network)?),
            network,
            budget,
            watch: Watch::default(),
            asks_lengths: true,
        })
    }

    /// The same by absolute values alone, for very many inputs: lengths take some ten forward passes for each.
    pub(crate) fn by_absolute_values(&self) -> Self {
        Self {
            asks_lengths: false,
            ..self.clone()
        }
    }

    /// The same, which says how far it is while it proves margins of a large network ([`crate::Method::Bound`]): `tell` is called between groups
    /// of gradients, by the thread that asked for the margins.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Parameters, architectures::ResNetConfig};
    /// use loclin_regions::{Budget, Linearizer, Method, Norm};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let config = ResNetConfig { width: 2, inputs: [3, 12, 12], ..ResNetConfig::resnet20(4) };
    /// let network = config.build(Parameters::seeded(1).builder(DType::F64, &Device::Cpu))?;
    /// let told = Arc::new(Mutex::new(Vec::new()));
    /// let tell = { let told = Arc::clone(&told); move |progress| told.lock().unwrap().push(progress) };
    /// let linearizer = Linearizer::new(&network, Budget::default())?.watched(tell);
    /// let here = linearizer.at(&Tensor::ones((1, 3, 12, 12), DType::F64, &Device::Cpu)?)?;
    /// here.margins(&[Norm::L2], Method::Bound)?;
    /// let told = told.lock().unwrap();
    /// assert!(told.windows(2).all(|two| two[0].begun <= two[1].begun && two[0].candidates == two[1].candidates));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watched(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        let watch = Watch::new(tell);
        Self { watch, ..self }
    }

    /// The network with its parameters cut off from differentiation.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The absolute values that bound rounding errors, if there are any.
    pub(crate) fn magnitudes(&self) -> Result<Option<&Magnitudes>> {
        self.prepared.magnitudes(&self.network)
    }

    /// The engine that works for this network.
    pub fn engine(&self) -> Engine {
        self.prepared.engine.kind()
    }

    /// Linearises it at inputs `x` `[B, in...]`.
    ///
    /// Pre-activations, pattern and outputs are found in float64 whatever the network's dtype: one forward
    /// pass costs little beside the tangents, and a margin is only as exact as the pre-activation that limits
    /// it. Tangents are pushed in the network's dtype.
    ///
    /// # Errors
    /// A shape that is not the network's, or an input, a pre-activation or an output that is not finite.
    pub fn at(&self, x: &Tensor) -> Result<Linearization> {
        let inputs = x.detach().to_dtype(DType::F64)?;
        self.network.check_input(&inputs)?;
        check_finite("the input", &Rows::of_tensor(&inputs.flatten_from(1)?)?)?;
        let Forward {
            trace,
            values: pre_activations,
            rounding,
            by_lengths,
        } = self.forward(&inputs)?;
        check_finite("a pre-activation", &pre_activations)?;
        check_finite("an output", &Rows::of_tensor(trace.output())?)?;
        Ok(Linearization {
            ranges: trace.neuron_ranges()?,
            trace,
            clear: match &rounding {
                Some(rounding) => rounding.clear(&pre_activations),
                None => plain(&pre_activations),
            },
            rounding: rounding.map(Arc::new),
            by_lengths,
            within: None,
            inputs,
            budget: self.budget,
            pre_activations,
            prepared: Arc::clone(&self.prepared),
            watch: self.watch.clone(),
        })
    }

    /// As [`Linearizer::at`] one input `[D]`, in float64 whatever the dtype of the linearisation.
    pub(crate) fn elsewhere(here: &Linearization, x: &[f64]) -> Result<Linearization> {
        let precise = &here.prepared.precise;
        let linearizer = match here.network().dtype() {
            DType::F64 => Self {
                network: here.network().clone(),
                budget: here.budget,
                prepared: Arc::clone(&here.prepared),
                watch: here.watch.clone(),
                asks_lengths: true,
            },
            _ => Self::new(precise, here.budget)?,
        };
        let shape = [&[1], precise.input_shape()].concat();
        linearizer.at(&Tensor::from_slice(x, shape, precise.device())?)
    }

    /// The forward pass in float64, with bounds of rounding errors where there are any: not in float32, not of operators that do not know
    /// their absolute values, not of networks so deep that neither these nor lengths say anything.
    pub(crate) fn forward(&self, inputs: &Tensor) -> Result<Forward> {
        let magnitudes = self.prepared.magnitudes(&self.network)?;
        let unknown = || Arc::new(vec![OnceLock::new(); inputs.dims()[0]]);
        let without = |(trace, values)| Forward {
            trace,
            values,
            rounding: None,
            by_lengths: unknown(),
        };
        if let Some((mut trace, mut values, errors)) =
            self.prepared.engine.forward(&self.network, inputs)?
        {
            let Some((magnitudes, (mut errors, local))) = magnitudes.zip(errors) else {
                return Ok(without((trace, values)));
            };
            let mut equal = EqualNeurons::unasked(trace.batch());
            let both = (&mut values, &mut errors);
            let found = self.decide(inputs, &mut trace, both, &mut equal)?;
            let unasked = OfLengths::unasked(trace.batch());
            let errors = (errors, found.constants);
            let rounding = Rounding::new(magnitudes, inputs, errors, Some(local), None, unasked);
            return Ok(Forward {
                rounding: Some(rounding),
                ..without((trace, values))
            });
        }
        let found = match magnitudes {
            Some(magnitudes) => magnitudes.trace(inputs)?.map(|found| (magnitudes, found)),
            None => None,
        };
        let Some((magnitudes, (mut trace, mut errors))) = found else {
            return Ok(without(self.forward_by_trace(inputs)?));
        };
        let table = |tensor: Option<Tensor>| match tensor {
            Some(tensor) => Rows::of_tensor(&tensor),
            None => Ok(Rows::zeros(trace.batch(), 0)),
        };
        let mut values = table(trace.pre_activations()?)?;
        let mut of_values = table(errors.pre_activations.clone())?;
        let mut by_lengths = unknown();
        let mut equal = EqualNeurons::find(&trace, &mut values, &mut of_values)?;
        let (mut lengths, mut unsaid) =
            self.lessen(inputs, &trace, &values, (&mut of_values, &by_lengths))?;
        let both = (&mut values, &mut of_values);
        let found = self.decide(inputs, &mut trace, both, &mut equal)?;
        if !found.turned.is_empty() {
            errors = errors.turned(&trace)?;
        }
        for input in &found.turned {
            // Lengths are of another pattern.
            if lengths.inputs[*input].take().is_some() && lengths.needed[*input] {
                unsaid.push(*input);
            }
            lengths.needed[*input] = false;
            if let Some(known) = Arc::get_mut(&mut by_lengths) {
                known[*input] = OnceLock::from(None);
            }
        }
        let mut constants = found.constants;
        let both = constants.iter_mut().zip(equal.positions());
        both.for_each(|(constants, equal)| constants.extend(equal));
        // Exact arithmetic may have decided what neither absolute values nor lengths say.
        let mut unsaid = unsaid.into_iter();
        let rounding = match unsaid.all(|input| says_something(&values[input], &of_values[input])) {
            true => {
                let (known, of_values) = (Some(errors), (of_values, constants));
                Some(Rounding::new(
                    magnitudes, inputs, of_values, None, known, lengths,
                ))
            }
            false => None,
        };
        Ok(Forward {
            trace,
            values,
            rounding,
            by_lengths,
        })
    }

    /// Lets lengths bound the errors of values at inputs where absolute values leave sides undecided. What they found, and the inputs of which
    /// neither say anything.
    fn lessen(
        &self,
        inputs: &Tensor,
        trace: &Trace,
        values: &Rows,
        (errors, known): (&mut Rows, &AllByLengths),
    ) -> Result<(OfLengths, Vec<usize>)> {
        let open = decide::open(values, errors);
        let mut of_lengths = OfLengths::unasked(trace.batch());
        let mut unsaid = Vec::new();
        if open.is_empty() {
            return Ok((of_lengths, unsaid));
        }
        let network = &self.network;
        let ranges = trace.neuron_ranges()?;
        let lengths = match self.asks_lengths {
            true => self.prepared.node_lengths(network)?,
            false => None,
        };
        let (lengths, magnitudes) = match lengths.zip(self.magnitudes()?) {
            // Where Jacobians are not bounded, neither are errors.
            Some(both) if both.0.bounds_all() => both,
            _ => {
                let says = |input: &usize| says_something(&values[*input], &errors[*input]);
                unsaid.extend(open.into_iter().filter(|input| !says(input)));
                return Ok((of_lengths, unsaid));
            }
        };
        for input in open {
            let (x, trace) = (inputs.narrow(0, input, 1)?, trace.narrow(input, 1)?);
            let own = ByLengths::find((lengths, magnitudes), &ranges, (&x, &trace))?;
            let own = known[input].get_or_init(|| own.map(Arc::new)).clone();
            let says = says_something(&values[input], &errors[input]);
            let says_more = own.as_ref().is_some_and(|own| {
                own.lessen(network, &ranges, &values[input], errors.row_mut(input))
            });
            of_lengths.inputs[input] = own;
            of_lengths.needed[input] = !says && says_more;
            unsaid.extend((!says && !says_more).then_some(input));
        }
        let size = network.input_size();
        let mut gradients = Vec::with_capacity(values.width());
        for range in &ranges {
            let error = match neurons_of(network, range.node) {
                Some(neurons) => lengths.gradient_error(network, neurons, size),
                None => f64::INFINITY,
            };
            gradients.resize(range.start + range.count, error);
        }
        of_lengths.gradients = gradients.into();
        of_lengths.pushed = lengths.pushed.last().copied().unwrap_or(f64::INFINITY);
        of_lengths.output = lengths.gradient_error(network, (network.nodes().len() - 1, 1.0), size);
        Ok((of_lengths, unsaid))
    }

    /// Decides exactly what rounding leaves open, where that is affordable: [`decide::decide`].
    fn decide(
        &self,
        inputs: &Tensor,
        trace: &mut Trace,
        (values, errors): (&mut Rows, &mut Rows),
        equal: &mut EqualNeurons,
    ) -> Result<Decisions> {
        let open = decide::open(values, errors);
        let exact = match open.is_empty() {
            true => None,
            false => self.prepared.exact(),
        };
        match exact {
            Some(exact) => decide::decide(exact, inputs, trace, &open, (values, errors), equal),
            None => Ok(Decisions::none(trace.batch())),
        }
    }

    /// The same by the network's own readings: the reference implementation, for every network.
    pub(crate) fn forward_by_trace(&self, inputs: &Tensor) -> Result<(Trace, Rows)> {
        let trace = self.prepared.precise.trace(inputs)?;
        let pre_activations = match trace.pre_activations()? {
            Some(pre_activations) => Rows::of_tensor(&pre_activations)?,
            None => Rows::zeros(trace.batch(), 0),
        };
        Ok((trace.for_network(&self.network)?, pre_activations))
    }
}

/// What a forward pass finds.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) trace: Trace,
    /// Of the neurons, `[B, |I|]`.
    pub(crate) values: Rows,
    pub(crate) rounding: Option<Rounding>,
    /// What lengths said of inputs, if they were asked.
    pub(crate) by_lengths: AllByLengths,
}

impl Linearization {
    /// Linearises `network` at inputs `x` `[B, in...]`. For more than one batch, [`Linearizer`] prepares the network once.
    ///
    /// # Errors
    /// As of [`Linearizer::new`] and [`Linearizer::at`].
    pub fn new(network: &Network, x: &Tensor, budget: Budget) -> Result<Self> {
        Linearizer::new(network, budget)?.at(x)
    }
}

fn check_finite(what: &str, rows: &Rows) -> Result<()> {
    let values = rows.as_slice();
    let Some(at) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    Err(Error::NotFinite {
        index: at / rows.width(),
        what: what.into(),
        value: values[at],
    })
}
