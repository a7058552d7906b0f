//! The regions of a plane through an input.

use crate::arguments::Array;
use crate::network::Network;
use crate::worker::{How, run};
use anyhow::ensure;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin::models::operators::{Linear, Reshape};
use loclin::models::{Network as Graph, NetworkBuilder, Operator};
use loclin::regions::planar::{Polygon, Viewport, regions};
use pyo3::prelude::*;
use std::collections::HashMap;

/// The regions that meet a rectangle of the plane `x + a u + b v`, as polygons of points `(a, b)`: drawn in floating point.
#[pyfunction]
#[pyo3(signature = (network, origin, directions, viewport, grid, limit, how))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn plane(
    py: Python<'_>,
    network: &Network,
    origin: Array<'_>,
    directions: Array<'_>,
    viewport: [[f64; 2]; 2],
    grid: usize,
    limit: usize,
    how: How,
) -> PyResult<Vec<Polygon>> {
    let (asked, origin, directions) = (network.asked(), origin.tensor()?, directions.tensor()?);
    let [x, y] = viewport;
    run(py, how, move |_| {
        asked.check(&origin)?;
        let of_plane = of_plane(asked.graph(), &origin, &directions)?;
        Ok(regions(&of_plane, Viewport { x, y }, grid, limit)?)
    })
}

/// The network behind the map of a plane's two coordinates to inputs.
fn of_plane(network: &Graph, origin: &Tensor, directions: &Tensor) -> anyhow::Result<Graph> {
    let size = network.input_size();
    ensure!(
        directions.elem_count() == 2 * size,
        "u, v: expected {size} numbers each"
    );
    let weight = directions.reshape((2, size))?.t()?.contiguous()?;
    let bias = origin.reshape(size)?;
    let parameters = HashMap::from([("weight".to_owned(), weight), ("bias".to_owned(), bias)]);
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    let mut builder = NetworkBuilder::new(&[2])?;
    // A name that no node of the network begins with.
    let mut name = "plane".to_owned();
    while network
        .nodes()
        .iter()
        .any(|node| node.name.starts_with(&name))
    {
        name.insert(0, '_');
    }
    let plane = builder.affine(&name, Linear::new(2, size, true, vars)?, &[0])?;
    let shape = Reshape::new(network.input_shape());
    let input = builder.affine(&format!("{name}.shape"), shape, &[plane])?;
    for node in &network.nodes()[1..] {
        // Of the plane's nodes the last one takes the place of the input.
        let operands: Vec<usize> = node.operands.iter().map(|at| at + input).collect();
        let operator: Operator = node.operator.clone();
        builder.add(&node.name, operator, &operands)?;
    }
    Ok(builder.finish(DType::F64, &Device::Cpu)?)
}
