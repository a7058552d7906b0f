//! The expensive step: a network linearised at a batch of inputs, to be asked cheap questions.

use crate::{
    ActivationPattern, Budget, Domain, Result, Rows,
    by_lengths::AllByLengths,
    host,
    local_errors::Values,
    patterns,
    prepared::Prepared,
    progress::Watch,
    room::{Room, Within},
    rounding::{Rounding, is_open, plain},
    units::axes,
};
use candle_core::Tensor;
use loclin_models::{Network, NeuronRange, Trace};
use std::{ops::Range, sync::Arc};

/// A neuron (constraint): the piecewise-linear node it belongs to, and its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Neuron {
    /// Index of the node in [`Network::nodes`], where its name is.
    pub node: usize,
    /// Index among the node's constraints: for an activation, of the unit in row-major order.
    pub index: usize,
}

/// A network linearised at `B` inputs: "linearise once, ask many times".
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearization, Method, Norm};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.3, -0.2], [1.0, 0.5]], &Device::Cpu)?;
/// let here = Linearization::new(&network, &x, Budget::default())?;
/// let margins = here.margins(&[Norm::L1, Norm::L2, Norm::LINF], Method::Auto)?;
/// // The larger the ball's norm, the smaller the ball that fits.
/// assert!(margins[0].radius[0] >= margins[1].radius[0] && margins[1].radius[0] >= margins[2].radius[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linearization {
    pub(crate) trace: Trace,
    /// In float64.
    pub(crate) inputs: Tensor,
    pub(crate) budget: Budget,
    pub(crate) ranges: Vec<NeuronRange>,
    /// Values of the neurons, `[B, |I|]`.
    pub(crate) pre_activations: Rows,
    /// Of each neuron the part of its value that rounding cannot have made, with its sign; 0 where the side is undecided.
    pub(crate) clear: Rows,
    /// Bounds of what rounding has done to values and gradients; `None` where it is not bounded.
    pub(crate) rounding: Option<Arc<Rounding>>,
    pub(crate) by_lengths: AllByLengths,
    /// The domain that balls are cut with, and the inputs in it.
    pub(crate) within: Option<Arc<Within>>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) watch: Watch,
}

impl Linearization {
    /// The network with its parameters cut off from differentiation.
    pub fn network(&self) -> &Network {
        self.trace.network()
    }

    /// The same linearisation within the domain that inputs come from: from here on margins of every kind are those of balls cut
    /// with it, steps along a direction end where the domain does, and polyhedra know its faces.
    ///
    /// A cut ball is smaller than the whole one, so that its radius is at least as large: what lies outside the domain is no
    /// input, and no reason to stop. A neuron that changes side nowhere in the domain never limits.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Domain, Linearization, Method, Norm};
    ///
    /// let config = Mlp { inputs: vec![4], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.0, 0.3, 1.0, 1.0]], &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let whole = here.margins(&[Norm::LINF], Method::Auto)?.remove(0);
    /// let cut = here.within(Domain::uniform(4, 0.0, 1.0)?)?.margins(&[Norm::LINF], Method::Auto)?.remove(0);
    /// assert!(cut.radius[0] >= whole.radius[0] && whole.domain.is_none() && cut.domain.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A domain of another size, or that an input is not in.
    pub fn within(self, domain: impl Into<Arc<Domain>>) -> Result<Self> {
        let x = Rows::of_tensor(&self.inputs.flatten_from(1)?)?;
        let within = Some(Arc::new(Within::new(domain.into(), x)?));
        Ok(Self { within, ..self })
    }

    /// The domain that balls are cut with, if they are.
    pub fn domain(&self) -> Option<&Arc<Domain>> {
        self.within.as_ref().map(|within| &within.domain)
    }

    /// The room around an input within the domain, if there is one.
    pub(crate) fn room(&self, input: usize) -> Result<Option<Room>> {
        let within = self.within.as_ref();
        within.map(|within| within.room(input)).transpose()
    }

    /// The trace: output, pattern, push and pull.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// `B`, the number of inputs.
    pub fn batch(&self) -> usize {
        self.trace.batch()
    }

    /// `|I|`, the number of neurons.
    pub fn neurons(&self) -> usize {
        self.ranges
            .last()
            .map_or(0, |range| range.start + range.count)
    }

    /// Values of the neurons of each input, `[B, |I|]`, in float64: pre-activations, for activations whose slope changes
    /// at 0.
    pub fn pre_activations(&self) -> &Rows {
        &self.pre_activations
    }

    /// The neuron at a position among all `|I|`.
    pub fn neuron(&self, position: usize) -> Option<Neuron> {
        // The last range that begins at the position or before it.
        let after = self.ranges.partition_point(|range| range.start <= position);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        let index = position - range.start;
        (index < range.count).then_some(Neuron {
            node: range.node,
            index,
        })
    }

    /// The position of a neuron among all `|I|`.
    pub fn position(&self, neuron: Neuron) -> Option<usize> {
        // Ranges are in the order of their nodes.
        let at = self
            .ranges
            .binary_search_by_key(&neuron.node, |range| range.node);
        let range = &self.ranges[at.ok()?];
        (neuron.index < range.count).then_some(range.start + neuron.index)
    }

    /// The activation pattern of each input.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn patterns(&self) -> Result<Vec<ActivationPattern>> {
        patterns(&self.trace)
    }

    /// Whether each input lies exactly on the boundary of a neuron (`z = 0`), where several patterns are
    /// feasible.
    pub fn on_boundary(&self) -> Vec<bool> {
        self.pre_activations
            .iter()
            .map(|row| row.contains(&0.0))
            .collect()
    }

    /// For each input, how many neurons' sides rounding leaves undecided: `|z|` is at most a bound of its error. Their
    /// distance is 0 unless their gradient certainly is. All 0 where errors are not bounded ([`crate::Guarantee::Estimate`]).
    pub fn undecided(&self) -> Vec<usize> {
        let Some(rounding) = &self.rounding else {
            return vec![0; self.batch()];
        };
        let inputs = self.clear.iter().zip(rounding.values().iter());
        let count = |(clear, errors): (&[f64], &[f64])| {
            let both = clear.iter().zip(errors);
            both.filter(|(z, error)| is_open(**z) && **error > 0.0)
                .count()
        };
        inputs.map(count).collect()
    }

    /// What is known of the neurons' values.
    pub(crate) fn values(&self) -> Values<'_> {
        Values {
            computed: &self.pre_activations,
            clear: &self.clear,
            local: self.rounding.as_ref().and_then(|rounding| rounding.local()),
        }
    }

    /// [`Linearization::clear`], infinite for a neuron at 0 that does not depend on the input near it: it limits nothing.
    pub(crate) fn clear_of_constants(&self) -> Result<std::borrow::Cow<'_, Rows>> {
        let mut clear = std::borrow::Cow::Borrowed(&self.clear);
        let Some(rounding) = &self.rounding else {
            return Ok(clear);
        };
        for input in 0..self.batch() {
            if !self.clear[input].contains(&0.0) {
                continue;
            }
            let own = rounding.only(input)?;
            let errors = &own.gradients()?[0];
            for (z, error) in clear.to_mut().row_mut(input).iter_mut().zip(errors) {
                if *z == 0.0 && *error == 0.0 {
                    *z = f64::INFINITY;
                }
            }
        }
        Ok(clear)
    }

    /// A bound of the error of the l1 norm of each neuron's gradient at one input; 0 where errors are not bounded.
    pub(crate) fn gradient_errors(&self, input: usize) -> Result<std::borrow::Cow<'_, [f64]>> {
        match &self.rounding {
            Some(rounding) => Ok((&rounding.gradients()?[input]).into()),
            None => Ok(vec![0.0; self.neurons()].into()),
        }
    }

    /// Whether a gradient with this bound of its error certainly is 0, whatever was computed.
    pub(crate) fn is_surely_0(&self, error: f64) -> bool {
        self.rounding.is_some() && error == 0.0
    }

    /// The same without bounds of rounding errors, where absolute values alone say nothing of an input.
    pub(crate) fn by_absolute_values(self) -> Self {
        let rounding = self.rounding.as_ref();
        match rounding.is_some_and(|rounding| rounding.needs_lengths()) {
            true => Self {
                clear: plain(&self.pre_activations),
                rounding: None,
                ..self
            },
            false => self,
        }
    }

    /// The linearisation at input number `input` alone.
    pub(crate) fn only(&self, input: usize) -> Result<Self> {
        Ok(Self {
            trace: self.trace.narrow(input, 1)?,
            inputs: self.inputs.narrow(0, input, 1)?,
            pre_activations: self.pre_activations.only(input),
            clear: self.clear.only(input),
            rounding: match &self.rounding {
                Some(rounding) => Some(Arc::new(rounding.only(input)?)),
                None => None,
            },
            by_lengths: Arc::new(vec![self.by_lengths[input].clone()]),
            within: self
                .within
                .as_ref()
                .map(|within| Arc::new(within.only(input))),
            prepared: Arc::clone(&self.prepared),
            watch: self.watch.clone(),
            budget: self.budget,
            ranges: self.ranges.clone(),
        })
    }

    /// Pushes tangents and reads the neurons' answers row by row on the host.
    ///
    /// `tangents(range)` makes the tangents `[1 or b, k, in...]` number `range` of the inputs of a chunk;
    /// `visit(result, first position, tangent, row)` sees the row of each neuron range, for each input and tangent.
    pub(crate) fn push_rows<R: Send>(
        &self,
        count: usize,
        results: &mut [R],
        tangents: impl Fn(Range<usize>, Range<usize>) -> Result<Tensor>,
        visit: impl Fn(&mut R, usize, usize, &[f64]) + Sync,
    ) -> Result<()> {
        for chunk in self.budget.chunks(self.network(), self.batch(), count) {
            let trace = self.trace.narrow(chunk.inputs.start, chunk.inputs.len())?;
            let results = &mut results[chunk.inputs.clone()];
            let mut failure = None;
            let first = chunk.tangents.start;
            trace.push(&tangents(chunk.inputs, chunk.tangents)?, |node, rows| {
                let own = self.ranges.binary_search_by_key(&node, |range| range.node);
                let start = own.map_or(0, |own| self.ranges[own].start);
                let read =
                    host::for_each_row(&rows, results, |r, k, row| visit(r, start, first + k, row));
                failure = failure.take().or(read.err());
                Ok(())
            })?;
            failure.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Input axes `range` as tangents `[1, len, in...]`.
    pub(crate) fn axes(&self, range: Range<usize>) -> Result<Tensor> {
        axes(self.network(), range)
    }
}
