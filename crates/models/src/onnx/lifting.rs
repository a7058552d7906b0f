//! Constants beside values that depend on the input.

use super::{
    constant::Constant, dims::padded, message::Node, translator::Translator, value::Dynamic,
};
use crate::{error::Result, sparse_rows::SparseRows, spec::OperatorSpec};

impl<'a> Translator<'a> {
    /// A constant that broadcasts to a value, without the batch, for an operator on one input.
    pub(super) fn fitted(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
        constant: &Constant,
    ) -> Result<Constant> {
        if constant.len() == 1 {
            return Ok(constant.reshape(vec![1]));
        }
        let mut shape = padded(&constant.shape, value.full.len());
        let mut constant = constant.clone();
        if let Some(batch) = value.batch {
            if shape[batch] != 1 {
                constant = self.first_of_equal(node, &constant.reshape(shape.clone()), batch)?;
            }
            shape.remove(batch);
        }
        let kept = shape.len().min(constant.shape.len()).max(1);
        let shape = shape.split_off(shape.len().saturating_sub(kept));
        Ok(constant.reshape(match shape.is_empty() {
            true => vec![1],
            false => shape,
        }))
    }

    /// The first entry along the batch, if all are the same.
    fn first_of_equal(
        &mut self,
        node: &Node<'a>,
        constant: &Constant,
        batch: usize,
    ) -> Result<Constant> {
        let n = constant.shape[batch];
        self.spend(node, constant.len())?;
        let one = node.check(constant.resample(batch, &SparseRows::copies(n, [Some(0)])))?;
        let again = node.check(one.broadcast_to(&constant.shape))?;
        match again.as_floats() == constant.as_floats() {
            true => Ok(one),
            false => Err(node.error(
                "has a constant that is not the same for all inputs of the batch that the file fixes",
            )),
        }
    }

    /// A constant that broadcasts to a value as another value of its shape.
    pub(super) fn lifted_beside(
        &mut self,
        node: &Node<'a>,
        constant: &Constant,
        value: &Dynamic,
    ) -> Result<Dynamic> {
        let mut shape = value.full.clone();
        if let Some(batch) = value.batch {
            shape[batch] = padded(&constant.shape, shape.len())[batch];
        }
        self.spend(node, shape.iter().product())?;
        let constant = node.check(constant.broadcast_to(&shape))?;
        Ok(Dynamic {
            full: value.full.clone(),
            ..self.lifted(node, &constant, value.batch)?
        })
    }

    /// A constant as a value of the network, with the batch at a place of its shape.
    pub(super) fn lifted(
        &mut self,
        node: &Node<'a>,
        constant: &Constant,
        batch: Option<usize>,
    ) -> Result<Dynamic> {
        let full = constant.shape.clone();
        let constant = match batch {
            Some(batch) if full[batch] != 1 => self.first_of_equal(node, constant, batch)?,
            _ => constant.clone(),
        };
        let count = constant.len();
        self.spend(node, count)?;
        // Zero times a number of the input.
        let input = self.reshaped(node, 0, &[self.input_size()])?;
        let spec = OperatorSpec::Slice {
            axis: 0,
            start: 0,
            length: 1,
        };
        let one = self.add(node, ".one", &spec, &[], &[input])?;
        let rows = SparseRows::copies(1, vec![None; count]);
        let spec = OperatorSpec::Resample { axis: 0, rows };
        let made = self.add(node, ".zero", &spec, &[], &[one])?;
        let shift = self.parameter(node, &constant.reshape(vec![count]), false)?;
        let spec = OperatorSpec::Translate { shape: vec![count] };
        let made = self.add(node, ".constant", &spec, &[("shift", shift)], &[made])?;
        let flat = Dynamic {
            node: made,
            full: vec![count],
            batch: None,
            integer: false,
        };
        self.seen_as(node, &flat, full, batch)
    }
}
