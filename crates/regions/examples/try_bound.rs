use candle_core::{DType, Device, Tensor};
use loclin_models::onnx;
use loclin_regions::reduced::{Limits, Question, one_output};
use loclin_regions::*;
use std::time::{Duration, Instant};
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "lipbab" => {
            for (name, d, hi) in [
                ("iris_4_5_5_3", 4, 1.0),
                ("sd_10_15_10_3", 10, 0.1),
                ("sd_10_20_15_10_3", 10, 0.1),
                ("sd_10_30_30_30_3", 10, 0.1),
            ] {
                let net = onnx::load(
                    std::path::Path::new(&format!("/work/shared/nets/lipbab/{name}.onnx")),
                    DType::F64,
                    &Device::Cpu,
                )?
                .network;
                let x = Tensor::full(hi / 2.0, (1, d), &Device::Cpu)?;
                let here = Linearization::new(&net, &x, Budget::default())?
                    .within(Domain::uniform(d, 0.0, hi)?)?;
                let around = here.surroundings(0, Norm::LINF)?;
                for p in [1.0, 2.0, f64::INFINITY] {
                    let t = Instant::now();
                    let b = around.bound(
                        hi,
                        &Question::Operator {
                            norm: Norm::new(p)?,
                        },
                        Limits {
                            time: Some(Duration::from_secs(60)),
                            parts: 10_000_000,
                        },
                    )?;
                    println!(
                        "{name} {p} found {:.9} proved {:.9} units {} parts {} {:?} {:?}",
                        b.found,
                        b.proved,
                        b.units,
                        b.parts,
                        b.guarantee,
                        t.elapsed()
                    );
                }
            }
        }
        "mnist256" => {
            let net = onnx::load(
                std::path::Path::new(&"/work/shared/nets/mnistfc/mnist-net_256x2.onnx"),
                DType::F64,
                &Device::Cpu,
            )?
            .network;
            let secs: f64 = args[2].parse()?;
            let rows = std::fs::read_to_string("/work/shared/reference/auto_lirpa_mnist256x2.csv")?;
            let bytes = std::fs::read("/work/shared/reference/mnist20.npy")?;
            let head = u16::from_le_bytes([bytes[8], bytes[9]]) as usize + 10;
            println!("{}", String::from_utf8_lossy(&bytes[10..head]));
            let xs: Vec<f32> = bytes[head..]
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            let shape = [&[1], net.input_shape()].concat();
            for row in rows.lines().skip(1) {
                let f: Vec<f64> = row.split(',').map(|v| v.parse().unwrap_or(0.0)).collect();
                let i = f[0] as usize;
                let x: Vec<f64> = xs[i * 784..][..784].iter().map(|v| *v as f64).collect();
                let t0 = Instant::now();
                let here = Linearization::new(
                    &net,
                    &Tensor::from_vec(x, &shape[..], &Device::Cpu)?,
                    Budget::default(),
                )?;
                let here = if args.len() > 3 {
                    here.within(Domain::uniform(784, 0.0, 1.0)?)?
                } else {
                    here
                };
                let t1 = Instant::now();
                let around = here.surroundings(0, Norm::LINF)?;
                let q = Question::Change {
                    weights: one_output(10, f[1] as usize),
                    norm: Norm::L1,
                };
                let limits = if secs == 0.0 {
                    Limits {
                        time: None,
                        parts: 1,
                    }
                } else {
                    Limits {
                        time: Some(Duration::from_secs_f64(secs)),
                        parts: 10_000_000,
                    }
                };
                let t2 = Instant::now();
                let b = around.bound(f[2], &q, limits)?;
                println!(
                    "{i} eps {:.5} lirpa {:.5} ratio {:.6} found {:.5} proved {:.5} units {} parts {} exact {} lin {:?} sur {:?} bound {:?} of {}s",
                    f[2],
                    f[3],
                    b.proved / f[3],
                    b.found,
                    b.proved,
                    b.units,
                    b.parts,
                    b.is_exact(),
                    t1 - t0,
                    t2 - t1,
                    t2.elapsed(),
                    f[5]
                );
            }
        }
        "demo" => {
            // demo MODEL TIMES SECS COUNT
            let net = loclin_models::Model::load(std::path::Path::new(&args[2]), DType::F64, &Device::Cpu)?.raw()?;
            let (times, secs, count): (f64, f64, usize) = (args[3].parse()?, args[4].parse()?, args[5].parse()?);
            let bytes = std::fs::read("/tmp/mnist200.npy")?;
            let head = u16::from_le_bytes([bytes[8], bytes[9]]) as usize + 10;
            let xs: Vec<f32> = bytes[head..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let shape = [&[1], net.input_shape()].concat();
            let (mut exact, mut total) = (0, 0.0);
            for i in 0..count {
                let x: Vec<f64> = xs[i * 784..][..784].iter().map(|v| *v as f64).collect();
                let here = Linearization::new(&net, &Tensor::from_vec(x, &shape[..], &Device::Cpu)?, Budget::default())?.within(Domain::uniform(784, 0.0, 1.0)?)?;
                let margin = here.margins(&[Norm::LINF], Method::Auto)?[0].radius[0];
                let out = here.trace().output().flatten_all()?.to_vec1::<f64>()?;
                let class = (0..10).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap();
                let around = here.surroundings(0, Norm::LINF)?;
                let q = Question::Change { weights: one_output(10, class), norm: Norm::L1 };
                let t2 = Instant::now();
                let root = around.bound(times * margin, &q, Limits { time: None, parts: 1 })?;
                let b = around.bound(times * margin, &q, Limits { time: Some(Duration::from_secs_f64(secs)), parts: 10_000_000 })?;
                let t = t2.elapsed().as_secs_f64();
                total += t; exact += usize::from(b.is_exact());
                println!("{i} margin {margin:.2e} units {} root {:.4} found {:.4} proved {:.4} parts {} exact {} {t:.2}s", b.units, root.proved, b.found, b.proved, b.parts, b.is_exact());
            }
            println!("exact {exact} of {count}, {total:.1} s");
        }
        _ => {}
    }
    Ok(())
}
