//! Kernels of two tensors, by their type of number.

/// Runs a kernel in the number type of its operands.
macro_rules! dispatch {
    ($kernel:path, $geometry:expr, $a:expr, $a_layout:expr, $b:expr, $b_layout:expr) => {
        match $a {
            CpuStorage::F32(_) => {
                let (a, b) = (
                    $crate::product::slice_of::<f32>($a, $a_layout),
                    $crate::product::slice_of::<f32>($b, $b_layout),
                );
                let values = a.and_then(|a| $kernel($geometry, a, b?));
                CpuStorage::F32(values.map_err(candle_core::Error::wrap)?)
            }
            CpuStorage::F64(_) => {
                let (a, b) = (
                    $crate::product::slice_of::<f64>($a, $a_layout),
                    $crate::product::slice_of::<f64>($b, $b_layout),
                );
                let values = a.and_then(|a| $kernel($geometry, a, b?));
                CpuStorage::F64(values.map_err(candle_core::Error::wrap)?)
            }
            _ => candle_core::bail!("convolution of neither f32 nor f64"),
        }
    };
}

pub(super) use dispatch;
