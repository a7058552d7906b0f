//! A network at one input: pre-activations, sides and gradients.

use super::boxed::{self, Ways};
use super::dyadic::Dyadic;
use super::error::{ExactError, Result};
use super::network::{Exact, ExactNode, Map};
use super::number::{Number, Total};
use super::selection::{Place, Selected};
use crate::Domain;
use std::cmp::Ordering;

/// A network at one input, without rounding.
#[derive(Debug)]
pub struct ExactPoint<'a> {
    network: &'a Exact,
    input: Vec<Dyadic>,
    /// How far the input may move within the domain, if there is one.
    ways: Option<Ways>,
    neurons: Vec<Neuron>,
    /// For each piecewise-linear node.
    selected: Vec<Option<Selected>>,
    output: Vec<Number>,
}

#[derive(Debug)]
struct Neuron {
    node: usize,
    place: Place,
    value: Number,
}

impl Exact {
    /// Evaluates the network at an input, its numbers row by row.
    ///
    /// # Errors
    /// An input of another size, or with a number that is not finite.
    pub fn at(&self, x: &[f64]) -> Result<ExactPoint<'_>> {
        self.evaluate(x, None)
    }

    /// Evaluates the affine map of an activation pattern at an input: `pieces` holds for each of [`Exact::neuron_ranges`] the piece of
    /// each unit, as [`loclin_models::ActivationRecord::pieces`] numbers them.
    ///
    /// The pattern is the input's, or one of several that are, exactly if each neuron's value is on the side that the pattern
    /// says (Lemma 2), or 0. Then values, gradients and radii are those of the network.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::exact::Exact;
    ///
    /// let config = Mlp { inputs: vec![1], hidden: vec![2], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let exact = Exact::new(&network, 1000)?;
    /// let here = exact.at(&[0.3])?;
    /// let pieces = [0, 1].map(|neuron| u32::from(here.side(neuron).unwrap().is_ge()));
    /// let on_pattern = exact.at_pattern(&[0.3], &[pieces.to_vec()])?;
    /// assert_eq!(on_pattern.output(), here.output());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Exact::at`], and pieces that the network does not have.
    pub fn at_pattern(&self, x: &[f64], pieces: &[Vec<u32>]) -> Result<ExactPoint<'_>> {
        let expected = self.units();
        let fits = |(own, pieces): (&Vec<usize>, &Vec<u32>)| {
            let mut both = own.iter().zip(pieces);
            own.len() == pieces.len() && both.all(|(most, piece)| (*piece as usize) < *most)
        };
        if expected.len() != pieces.len() || !expected.iter().zip(pieces).all(fits) {
            return Err(ExactError::Pattern);
        }
        self.evaluate(x, Some(pieces))
    }

    /// On the pieces of a pattern, or on those that the input is on.
    fn evaluate(&self, x: &[f64], pieces: Option<&[Vec<u32>]>) -> Result<ExactPoint<'_>> {
        let expected = self.nodes[0].size;
        if x.len() != expected {
            let found = x.len();
            return Err(ExactError::Input { expected, found });
        }
        let number = |(i, value): (usize, &f64)| {
            let not_finite = || ExactError::NotFinite {
                place: format!("number {i} of the input"),
                value: *value,
            };
            Dyadic::of(*value).ok_or_else(not_finite)
        };
        let input = x.iter().enumerate().map(number);
        let input = input.collect::<Result<Vec<Dyadic>>>()?;
        let numbers = input.iter().cloned().map(Number::exact);
        let mut values: Vec<Vec<Number>> = vec![numbers.collect()];
        let (mut neurons, mut selected) = (Vec::new(), vec![None]);
        let mut pieces = pieces.map(|all| all.iter());
        for (node, exact) in self.nodes.iter().enumerate().skip(1) {
            let mut own = Vec::new();
            let (value, found) = match (&exact.map, &exact.operands[..]) {
                (Map::Affine(matrix), operands) => {
                    let entries: Vec<&Number> = operands.iter().flat_map(|i| &values[*i]).collect();
                    (matrix.apply(&entries), None)
                }
                (Map::Selects(choices), [operand]) => {
                    let operand = &values[*operand];
                    let (value, found) = match pieces.as_mut().and_then(Iterator::next) {
                        Some(pieces) => choices.apply_pieces(operand, pieces, &mut own),
                        None => choices.apply(operand, &mut own),
                    };
                    (value, Some(found))
                }
                _ => (Vec::new(), None),
            };
            neurons.extend(
                own.into_iter()
                    .map(|(place, value)| Neuron { node, place, value }),
            );
            selected.push(found);
            values.push(value);
        }
        Ok(ExactPoint {
            network: self,
            input,
            ways: None,
            neurons,
            selected,
            output: values.pop().unwrap_or_default(),
        })
    }
}

impl ExactPoint<'_> {
    /// The same within the domain that inputs come from: distances and radii are those of balls cut with it.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Domain, Norm, exact::Exact};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let exact = Exact::new(&network, 1_000_000)?;
    /// let whole = exact.at(&[0.0, 0.5])?.radii(&[Norm::L2], 1_000_000)?[0];
    /// let cut = exact.at(&[0.0, 0.5])?.within(&Domain::uniform(2, 0.0, 1.0)?)?;
    /// assert!(cut.radii(&[Norm::L2], 1_000_000)?[0].lower >= whole.lower);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A domain of another size, or that the input is not in.
    pub fn within(self, domain: &Domain) -> Result<Self> {
        let ways = Some(boxed::ways(domain, &self.input)?);
        Ok(Self { ways, ..self })
    }

    /// Whether a neuron's value changes somewhere in the domain, or in the whole space; of a gradient between bounds, `surely`
    /// or perhaps.
    pub(crate) fn moves(&self, neuron: usize, surely: bool) -> bool {
        let moves = |(at, g): (usize, &Number)| {
            let has_room = self.ways.as_ref().is_none_or(|ways| {
                let mut both = ways[at].iter();
                both.any(|way| way.as_ref().is_none_or(|way| !way.is_zero()))
            });
            has_room
                && match surely {
                    true => g.sign().is_some_and(Ordering::is_ne),
                    false => g.sign() != Some(Ordering::Equal),
                }
        };
        self.gradient(neuron).iter().enumerate().any(moves)
    }

    /// How far the input may move within the domain, if there is one.
    pub(super) fn ways(&self) -> Option<&Ways> {
        self.ways.as_ref()
    }

    /// The pieces that the input is on, as [`Exact::at_pattern`] takes them; of units whose piece is open the `recorded` one, where it may be
    /// that.
    pub(crate) fn pieces(&self, recorded: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let mut recorded = recorded.iter();
        let mut neurons = 0;
        let of_node = |(node, selected): (&ExactNode, &Option<Selected>)| {
            let (Map::Selects(choices), Some(selected)) = (&node.map, selected) else {
                return None;
            };
            let recorded = recorded.next()?;
            let count = choices.neurons(self.network.nodes[node.operands[0]].size);
            let own = &self.neurons[neurons..neurons + count];
            neurons += count;
            let sides: Vec<Option<Ordering>> = own.iter().map(|own| own.value.sign()).collect();
            Some(choices.pieces(selected, &sides, recorded))
        };
        let nodes = self.network.nodes.iter().zip(&self.selected);
        nodes.filter_map(of_node).collect()
    }

    /// How many neurons there are, in the order of [`loclin_models::Trace::pre_activations`]. Those of a maximum are the differences of the entry that exact
    /// arithmetic selects: another one than floating point did where that was wrong.
    pub fn neurons(&self) -> usize {
        self.neurons.len()
    }

    /// How many multiply-adds the gradients of all neurons take at most.
    pub fn gradients_cost(&self) -> u64 {
        self.network.gradients_cost()
    }

    /// The value of a neuron below [`ExactPoint::neurons`].
    ///
    /// # Panics
    /// A neuron that there is not.
    pub fn pre_activation(&self, neuron: usize) -> &Number {
        &self.neurons[neuron].value
    }

    /// The side of 0 that a neuron is on, [`Ordering::Equal`] for exactly 0; `None` where rounded coefficients leave it
    /// undecided.
    ///
    /// # Panics
    /// A neuron that there is not.
    pub fn side(&self, neuron: usize) -> Option<Ordering> {
        self.pre_activation(neuron).sign()
    }

    /// Whether a neuron is certainly one of the pattern: not where rounded coefficients leave undecided which entry of a group is the
    /// largest.
    pub(super) fn is_certain(&self, neuron: usize) -> bool {
        self.neurons[neuron].place.is_certain()
    }

    /// The node of a neuron, and its number among those of the node.
    ///
    /// # Panics
    /// A neuron that there is not.
    pub fn place(&self, neuron: usize) -> (usize, usize) {
        let node = self.neurons[neuron].node;
        let start = self.neurons.partition_point(|neuron| neuron.node < node);
        (node, neuron - start)
    }

    /// The output, `L` numbers.
    pub fn output(&self) -> &[Number] {
        &self.output
    }

    /// The gradient of a neuron with respect to the input, `D` numbers. Where the piece of a unit below is undecided, it is
    /// between the gradients of all pieces.
    ///
    /// # Panics
    /// A neuron that there is not.
    pub fn gradient(&self, neuron: usize) -> Vec<Number> {
        let nodes = &self.network.nodes;
        let Neuron { node, place, .. } = &self.neurons[neuron];
        let mut sums: Vec<Option<Vec<Total>>> = (0..*node).map(|_| None).collect();
        let operand = nodes[*node].operands[0];
        let mut start = vec![Total::default(); nodes[operand].size];
        place.start(&mut start);
        sums[operand] = Some(start);
        for index in (1..*node).rev() {
            let Some(cotangents) = sums[index].take() else {
                continue;
            };
            let cotangents: Vec<Number> = cotangents.into_iter().map(Total::number).collect();
            let node = &nodes[index];
            let sizes = node.operands.iter().map(|i| nodes[*i].size);
            let mut pulled = vec![Total::default(); sizes.sum()];
            match (&node.map, &self.selected[index]) {
                (Map::Affine(matrix), _) => matrix.pull(&cotangents, &mut pulled),
                (_, Some(selected)) => selected.pull(&cotangents, &mut pulled),
                _ => {}
            }
            let mut pulled = pulled.into_iter();
            for operand in &node.operands {
                let part = pulled.by_ref().take(nodes[*operand].size);
                match &mut sums[*operand] {
                    Some(sum) => {
                        for (sum, term) in sum.iter_mut().zip(part) {
                            sum.add(&term.number());
                        }
                    }
                    none => *none = Some(part.collect()),
                }
            }
        }
        let zeros = || vec![Total::default(); nodes[0].size];
        let input = sums.swap_remove(0).unwrap_or_else(zeros);
        input.into_iter().map(Total::number).collect()
    }
}
