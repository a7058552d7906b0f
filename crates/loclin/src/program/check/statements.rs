//! Statements about balls, part by part.

use std::sync::Arc;

use anyhow::Context;
use candle_core::DType;
use loclin_data::{Data, Part};
use loclin_models::ModelFile;
use loclin_regions::{Budget, Guarantee, Linearizer, Norm};

use super::outcome::{Failure, Outcome};
use crate::program::progress::Bar;
use crate::program::proofs::{Proofs, Statement};
use crate::program::tensors;

/// Looks at every statement again and adds to the outcome what does not hold.
///
/// # Errors
/// Inputs that the data do not have or the network does not take.
pub(super) fn check(
    proofs: &Proofs,
    model: &ModelFile,
    data: &Data,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let norm: Norm = proofs.norm.parse()?;
    let bar = Bar::count("checking", proofs.statements.len() as u64);
    let indices: Vec<usize> = proofs.statements.iter().map(|own| own.index).collect();
    for Part { positions, inputs } in data.tables(&indices)? {
        let network = model.raw(inputs.input_shape())?;
        let linearizer = Linearizer::new(&network, Budget::default())?;
        let domain = outcome.domain.as_ref();
        let domain = domain.map(|domain| domain.of_shape(network.input_shape()));
        let domain = domain.transpose()?.map(Arc::new);
        for (at, position) in positions.iter().enumerate() {
            let statement = &proofs.statements[*position];
            let x = tensors::inputs(&inputs, &[at], DType::F64, network.device())?;
            let mut here = linearizer.at(&x)?;
            if let Some(domain) = &domain {
                let named = || {
                    let (result, line) = (outcome.result.display(), position + 1);
                    let (data, index) = (data.name(), statement.index);
                    format!("{result}: statement {line}: {data}, input {index}")
                };
                here = here.within(Arc::clone(domain)).with_context(named)?;
            }
            let around = here.surroundings(0, norm)?;
            let found = around.check(statement.eps, &statement.question()?, &statement.proof());
            let cause = match found {
                Err(error) => Some(error.to_string()),
                Ok(most) if most > statement.proved => Some(format!(
                    "its parts prove {most} at most, the statement says {}",
                    statement.proved
                )),
                Ok(_) => None,
            };
            let is_estimate = around.guarantee() != Guarantee::Proved;
            outcome.not_claimed += usize::from(is_estimate);
            outcome.checked += 1;
            outcome
                .failures
                .extend(cause.map(|cause| failure(*position, statement, cause)));
            bar.advance(1);
        }
    }
    Ok(())
}

fn failure(position: usize, statement: &Statement, cause: String) -> Failure {
    Failure {
        line: position as u64 + 1,
        index: statement.index,
        cause,
        printed: Some(statement.proved),
        ..Failure::default()
    }
}
