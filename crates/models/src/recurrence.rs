//! Recurrences, recognised in a graph.

use crate::{Network, Node, chain::parameter, operators::OperatorSpec};
use candle_core::Tensor;

/// A network that is a recurrence `h_t = phi(U x_t + b + W h_{t-1})` over the rows `x_t` of its input `[T, C]`, with an
/// activation of two pieces for each unit, and at most one linear layer that reads the last state.
///
/// A time step has no part in the gradients of the states before it, so a push of all axes is half the work that the
/// graph suggests. Biases and the read-out have no part in the gradients of neurons, so they are not here.
#[derive(Debug, Clone)]
pub struct Recurrence {
    /// `T`, the number of time steps.
    pub steps: usize,
    /// `U`, `[H, C]`, as the network holds it.
    pub input: Tensor,
    /// `W`, `[H, H]`, as the network holds it; `None` for a single step.
    pub recurrent: Option<Tensor>,
}

impl Network {
    /// The recurrence this network is, if it is one: a graph as [`crate::architectures::RnnConfig::spec`] builds it.
    ///
    /// The `t`-th piecewise-linear node is step `t`, so that [`crate::Trace::records`] lists the steps in order, each with
    /// one constraint and one selected slope for each unit.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Parameters, architectures::{Rnn, RnnConfig}};
    ///
    /// let config = RnnConfig { inputs: 2, hidden: 4, outputs: 3, negative_slope: 0.1 };
    /// let rnn = Rnn::new(config, Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
    /// let recurrence = rnn.network(6)?.recurrence().unwrap();
    /// assert_eq!((recurrence.steps, recurrence.input.dims()), (6, &[4, 2][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recurrence(&self) -> Option<Recurrence> {
        let nodes = self.nodes();
        let [steps, _] = *self.input_shape() else {
            return None;
        };
        let (mut encoder, mut recurrent): (Option<&Node>, Option<&Node>) = (None, None);
        let mut cursor = Cursor { nodes, next: 1 };
        let mut state = None;
        for t in 0..steps {
            let step = cursor.take(&[0])?;
            match nodes[step].operator.spec()? {
                OperatorSpec::Select { axis: 0, index } if index == t => {}
                _ => return None,
            }
            let mut z = cursor.take_same(&[step], &mut encoder)?;
            if let Some(state) = state {
                let fed = cursor.take_same(&[state], &mut recurrent)?;
                z = match cursor.take(&[z, fed]) {
                    Some(sum) if matches!(nodes[sum].operator.spec()?, OperatorSpec::Add) => sum,
                    _ => return None,
                };
            }
            let activation = cursor.take(&[z])?;
            match nodes[activation].operator.spec()? {
                OperatorSpec::Activation { breakpoints, .. } if breakpoints.len() == 1 => {}
                _ => return None,
            }
            state = Some(activation);
        }
        match nodes.get(cursor.next..)? {
            [] => {}
            [output]
                if output.operands == [state?]
                    && matches!(output.operator.spec()?, OperatorSpec::Linear { .. }) => {}
            _ => return None,
        }
        let recurrent = match recurrent {
            Some(node) => Some(parameter(node, "weight")?.clone()),
            None => None,
        };
        Some(Recurrence {
            steps,
            input: parameter(encoder?, "weight")?.clone(),
            recurrent,
        })
    }
}

/// A walk along the nodes in their order.
struct Cursor<'a> {
    nodes: &'a [Node],
    next: usize,
}

impl<'a> Cursor<'a> {
    /// The next node, if it reads just these.
    fn take(&mut self, operands: &[usize]) -> Option<usize> {
        let index = self.next;
        self.next += 1;
        (self.nodes.get(index)?.operands == operands).then_some(index)
    }

    /// The next node, if it reads just these and is the linear layer `known`, which it becomes if there is none.
    fn take_same(&mut self, operands: &[usize], known: &mut Option<&'a Node>) -> Option<usize> {
        let index = self.take(operands)?;
        let node = &self.nodes[index];
        let same = match known {
            Some(known) => known.operator.identity() == node.operator.identity(),
            None => matches!(node.operator.spec()?, OperatorSpec::Linear { .. }),
        };
        known.get_or_insert(node);
        same.then_some(index)
    }
}
