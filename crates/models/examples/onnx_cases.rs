//! Reads ONNX models with known outputs and says which are right.
//!
//! Usage: `onnx_cases FOLDER`. Every folder in it holds `model.onnx`, the input `x.npy` (with the batch), the output `y.npy`
//! and a file `tolerance`; a line for each goes to stdout: its name, `right`, `refused` or `wrong`, and why.
#![allow(clippy::print_stdout, reason = "its result")]

use candle_core::{DType, Device, Tensor};
use loclin_models::{Module, onnx};
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: onnx_cases FOLDER")?;
    let mut cases: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    cases.sort();
    for case in cases.iter().filter(|case| case.join("model.onnx").exists()) {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let found = match onnx::load(&case.join("model.onnx"), DType::F64, &Device::Cpu) {
            Err(cause) => format!("refused\t{cause}"),
            Ok(model) => match difference(case, &model.network) {
                Ok((found, allowed)) if found <= allowed => format!("right\t{found:e}"),
                Ok((found, _)) => format!("wrong\toff by {found:e}"),
                Err(cause) => format!("wrong\t{cause}"),
            },
        };
        println!("{name}\t{}", found.replace('\n', " "));
    }
    Ok(())
}

/// The largest difference from the right output, relative where that is above 1, and what is allowed.
fn difference(case: &Path, network: &loclin_models::Network) -> Result<(f64, f64), Box<dyn Error>> {
    let read = |name: &str| -> Result<Tensor, Box<dyn Error>> {
        Ok(Tensor::read_npy(case.join(name))?.to_dtype(DType::F64)?)
    };
    let (x, y) = (read("x.npy")?, read("y.npy")?);
    // Without a batch all of it is one input.
    let x = match x.dims() == network.input_shape() {
        true => x.unsqueeze(0)?,
        false => x,
    };
    let found = network.forward(&x)?.flatten_all()?.to_vec1::<f64>()?;
    let right = y.flatten_all()?.to_vec1::<f64>()?;
    if found.len() != right.len() {
        return Err(format!("{} numbers instead of {}", found.len(), right.len()).into());
    }
    let pairs = found.iter().zip(&right);
    let most = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    let most = most.fold(0.0, |most, next| if next <= most { most } else { next });
    Ok((
        most,
        fs::read_to_string(case.join("tolerance"))?.trim().parse()?,
    ))
}
