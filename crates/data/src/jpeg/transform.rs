//! From coefficients to samples: libjpeg's accurate integer transform (jidctint.c), after Loeffler, Ligtenberg and
//! Moschytz (1989).

use super::frame::Component;

/// The samples of a channel, `blocks_across * 8` a row; takes the coefficients.
pub(super) fn plane(
    component: &mut Component,
    tables: &[Option<[u16; 64]>; 4],
) -> Result<Vec<u8>, String> {
    let table = tables.get(component.table).copied().flatten();
    let table = table.ok_or("a JPEG image without a quantisation table that it uses")?;
    let stride = 8 * component.blocks_across;
    let mut samples = vec![0; stride * 8 * component.blocks_down];
    let blocks = std::mem::take(&mut component.coefficients);
    for (rows, blocks) in samples
        .chunks_exact_mut(8 * stride)
        .zip(blocks.chunks_exact(component.blocks_across))
    {
        for (at, block) in blocks.iter().enumerate() {
            let sides = inverse(block, &table);
            for (row, side) in rows.chunks_exact_mut(stride).zip(sides.as_chunks::<8>().0) {
                row[8 * at..8 * at + 8].copy_from_slice(side);
            }
        }
    }
    Ok(samples)
}

/// Bits of the constants, and those that the first pass keeps.
const BITS: u32 = 13;
const KEPT: u32 = 2;

fn inverse(block: &[i16; 64], table: &[u16; 64]) -> [u8; 64] {
    let mut work = [0i32; 64];
    for column in 0..8 {
        // Without vertical changes, as most columns of most pictures are, every row is the same.
        if (1..8).all(|row| block[8 * row + column] == 0) {
            let value = i32::from(block[column]).wrapping_mul(table[column].into()) << KEPT;
            (0..8).for_each(|row| work[8 * row + column] = value);
            continue;
        }
        let at = |row: usize| {
            i32::from(block[8 * row + column]).wrapping_mul(table[8 * row + column].into())
        };
        let out = one(
            [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)],
            BITS - KEPT,
        );
        for (row, value) in out.into_iter().enumerate() {
            work[8 * row + column] = value;
        }
    }
    let mut samples = [0; 64];
    for (row, out) in work
        .as_chunks::<8>()
        .0
        .iter()
        .zip(samples.as_chunks_mut::<8>().0)
    {
        let values = one(*row, BITS + KEPT + 3);
        for (sample, value) in out.iter_mut().zip(values) {
            *sample = value.wrapping_add(128).clamp(0, 255) as u8;
        }
    }
    samples
}

/// The transform of 8 numbers, divided by `2^shift` and rounded. What overflows is no picture.
fn one(x: [i32; 8], shift: u32) -> [i32; 8] {
    let times = i32::wrapping_mul;
    let plus = i32::wrapping_add;
    let minus = i32::wrapping_sub;
    // Even part.
    let z1 = times(plus(x[2], x[6]), 4433);
    let tmp2 = minus(z1, times(x[6], 15137));
    let tmp3 = plus(z1, times(x[2], 6270));
    let tmp0 = times(plus(x[0], x[4]), 1 << BITS);
    let tmp1 = times(minus(x[0], x[4]), 1 << BITS);
    let even = [
        plus(tmp0, tmp3),
        plus(tmp1, tmp2),
        minus(tmp1, tmp2),
        minus(tmp0, tmp3),
    ];
    // Odd part.
    let z5 = times(plus(plus(x[7], x[3]), plus(x[5], x[1])), 9633);
    let z1 = times(plus(x[7], x[1]), -7373);
    let z2 = times(plus(x[5], x[3]), -20995);
    let z3 = plus(times(plus(x[7], x[3]), -16069), z5);
    let z4 = plus(times(plus(x[5], x[1]), -3196), z5);
    let odd = [
        plus(times(x[1], 12299), plus(z1, z4)),
        plus(times(x[3], 25172), plus(z2, z3)),
        plus(times(x[5], 16819), plus(z2, z4)),
        plus(times(x[7], 2446), plus(z1, z3)),
    ];
    let rounded = |value: i32| plus(value, 1 << (shift - 1)) >> shift;
    let mut out = [0; 8];
    for i in 0..4 {
        out[i] = rounded(plus(even[i], odd[i]));
        out[7 - i] = rounded(minus(even[i], odd[i]));
    }
    out
}
