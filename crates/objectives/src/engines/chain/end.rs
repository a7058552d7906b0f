//! One end of the chain: `A_b = M D_b G D_b M^T` for every input `b` of a batch, and its derivative.
//!
//! `M` and the symmetric `G` belong to all inputs; only the slopes `D_b` are an input's own. With a reference
//! `D_b = R + E_b` of which most inputs depart in few of `N` units ([`Varying`]), `d` say, `S = M R G`, and
//! `L = M[:, d]`, `K = (S[:, d] + 1/2 L E G[d, d]) E`,
//!
//! `A_b = S R M^T + L K^T + K L^T`,
//!
//! which takes `n^2 d + n d^2` multiply-adds on the `n` rows that an input keeps, instead of `3/2 n^3`. The derivative
//! of `sum_b <C_b, A_b>` with symmetric `C_b` is, with `H = C L`,
//!
//! `dM = 2 (sum_b C_b) M R G R + 2 (sum_b H E) G R + 2 sum_b (C K + H (1/2 E G[d, d] E))`, the last in columns `d`,
//! `dG = R M^T (sum_b C_b) M R + J + J^T + sum_b E L^T H E` with `J = R M^T (sum_b H E)`:
//!
//! a product of `2 n^2 d` for each input, and the rest once for the batch. `L`, `K`, `H` and `C K` are kept transposed, `L^T` above `K^T`,
//! so that one product makes `[H C K]^T = [L K]^T C`.

use super::{
    active::{gather, gather_symmetric, scale_columns_by, scale_rows_by, scatter},
    dense::transposed,
    varying::{Change, Varying},
};
use loclin_tensor::{
    Result,
    product::{Real, View, ViewMut, Write, multiply, multiply_by_all},
};

/// What all inputs share at one end.
pub(super) struct End<T> {
    /// Rows of `M`.
    outer: usize,
    /// The slopes `D_b`.
    pub(super) slopes: Varying<T>,
    /// `M R` on the reference's units.
    reference: Vec<T>,
    /// `M^T` and `S^T` of varying units, and `G` among them.
    m: Vec<T>,
    s: Vec<T>,
    g: Vec<T>,
    /// `S R M^T` and whatever is to be added to every `A_b`.
    base: Vec<T>,
}

/// `[L K]^T` and `1/2 E G[d, d] E` of one input.
#[derive(Debug)]
pub(super) struct Parts<T> {
    lk: Vec<T>,
    g: Vec<T>,
    /// `L K^T`.
    product: Vec<T>,
}

/// Sums over inputs from which the derivatives are made.
pub(super) struct Sums<T> {
    /// `(H E)^T`, varying rows.
    h: Vec<T>,
    /// The transpose of half of the part of `dM` in varying columns.
    m: Vec<T>,
    /// The part of `dG` among varying units.
    g: Vec<T>,
}

impl<T> Parts<T> {
    pub(super) fn new() -> Self {
        let (lk, g, product) = (Vec::new(), Vec::new(), Vec::new());
        Self { lk, g, product }
    }
}

impl<T: Real> Sums<T> {
    /// As slices, to be added up.
    pub(super) fn buffers(&mut self) -> [&mut Vec<T>; 3] {
        [&mut self.h, &mut self.m, &mut self.g]
    }
}

/// Space for the products of one input.
#[derive(Debug)]
pub(super) struct Scratch<T> {
    /// `[H C K]^T`.
    hf: Vec<T>,
    g: Vec<T>,
}

impl<T> Scratch<T> {
    pub(super) fn new() -> Self {
        let (hf, g) = (Vec::new(), Vec::new());
        Self { hf, g }
    }
}

impl<T: Real> End<T> {
    /// For `M` `[outer, N]`, row-major, `G` `[N, N]`, and `plus` `[outer, outer]`, which is added to every `A_b`.
    pub(super) fn new(m: &[T], g: &[T], slopes: Varying<T>, plus: Option<&[T]>) -> Result<Self> {
        let inner = g.len().isqrt();
        let outer = m.len() / inner.max(1);
        let rows: Vec<u32> = (0..outer as u32).collect();
        let (kept, varying) = (&slopes.reference[..], &slopes.units[..]);
        let take = |matrix: &[T], rows: &[u32], columns: &[u32]| {
            let mut taken = vec![T::zero(); rows.len() * columns.len()];
            gather(&mut taken, matrix, inner, rows, columns);
            taken
        };
        let mut reference = take(m, &rows, kept);
        scale_columns_by(&mut reference, &slopes.slopes);
        let product = |columns: &[u32]| -> Result<Vec<T>> {
            let (r, n) = (kept.len(), columns.len());
            let right = take(g, kept, columns);
            let mut s = vec![T::zero(); outer * n];
            multiply_by_all(
                ViewMut::new(&mut s, outer, n)?,
                Write::Replace,
                1.0,
                View::new(&reference, outer, r)?,
                View::new(&right, r, n)?,
            )?;
            Ok(s)
        };
        let mut base = match plus {
            Some(plus) => plus.to_vec(),
            None => vec![T::zero(); outer * outer],
        };
        let s = product(kept)?;
        let of_reference = View::new(&reference, outer, kept.len())?;
        multiply_by_all(
            ViewMut::new(&mut base, outer, outer)?,
            Write::Add,
            1.0,
            View::new(&s, outer, kept.len())?,
            of_reference.t(),
        )?;
        let size = [outer, varying.len()];
        Ok(Self {
            outer,
            m: transposed(&take(m, &rows, varying), size),
            s: transposed(&product(varying)?, size),
            g: take(g, varying, varying),
            reference,
            slopes,
            base,
        })
    }

    /// `A_b` on `rows` into the first numbers of `into`.
    pub(super) fn value(
        &self,
        input: usize,
        rows: &[u32],
        into: &mut [T],
        parts: &mut Parts<T>,
    ) -> Result<()> {
        let Change { at, by } = &self.slopes.changes[input];
        let (width, n, d) = (self.slopes.units.len(), rows.len(), at.len());
        let Parts { lk, g, product } = parts;
        let (l, k) = fit(lk, 2 * d * n).split_at_mut(d * n);
        gather(l, &self.m, self.outer, at, rows);
        gather(k, &self.s, self.outer, at, rows);
        gather(fit(g, d * d), &self.g, width, at, at);
        scale_rows_by(k, by, n);
        scale_columns_by(g, by);
        scale_rows_by(g, by, d);
        g.iter_mut().for_each(|value| *value *= T::from_f64(0.5));
        let (l, g) = (View::new(l, d, n)?, View::new(g, d, d)?);
        multiply(ViewMut::new(k, d, n)?, Write::Add, 1.0, g, l)?;
        let (half, k) = (fit(product, n * n), View::new(k, d, n)?);
        multiply(ViewMut::new(half, n, n)?, Write::Replace, 1.0, l.t(), k)?;
        gather_symmetric(into, &self.base, self.outer, rows, half);
        Ok(())
    }

    /// Sums for [`End::pull`], all 0.
    pub(super) fn sums(&self) -> Sums<T> {
        let width = self.slopes.units.len();
        Sums {
            h: vec![T::zero(); self.outer * width],
            m: vec![T::zero(); self.outer * width],
            g: vec![T::zero(); width * width],
        }
    }

    /// Adds one input's share of the derivatives of `<c, A_b>`, `c` on `rows`, but for that in `sum_b C_b`.
    pub(super) fn pull(
        &self,
        input: usize,
        rows: &[u32],
        c: &[T],
        parts: &Parts<T>,
        sums: &mut Sums<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let Change { at, by } = &self.slopes.changes[input];
        let (width, n, d) = (self.slopes.units.len(), rows.len(), at.len());
        let Scratch { hf, g } = scratch;
        let (c, own) = (View::new(c, n, n)?, View::new(&parts.g, d, d)?);
        let (l, lk) = (View::new(&parts.lk, d, n)?, View::new(&parts.lk, 2 * d, n)?);
        let both = ViewMut::new(fit(hf, 2 * d * n), 2 * d, n)?;
        multiply(both, Write::Replace, 1.0, lk, c)?;
        let (h, f) = hf.split_at_mut(d * n);
        let of_h = View::new(h, d, n)?;
        // `C K + H (1/2 E G E)`.
        multiply(ViewMut::new(f, d, n)?, Write::Add, 1.0, own, of_h)?;
        scatter(&mut sums.m, self.outer, f, at, rows);
        let small = ViewMut::new(fit(g, d * d), d, d)?;
        multiply(small, Write::Replace, 1.0, l, of_h.t())?;
        scale_columns_by(g, by);
        scale_rows_by(g, by, d);
        scatter(&mut sums.g, width, g, at, at);
        scale_rows_by(h, by, n);
        scatter(&mut sums.h, self.outer, h, at, rows);
        Ok(())
    }

    /// `dM` `[outer, N]` and `dG` `[N, N]`, from the sums, `sum_b C_b` and `G`.
    pub(super) fn finish(&self, sums: &Sums<T>, c: &[T], g: &[T]) -> Result<(Vec<T>, Vec<T>)> {
        let inner = g.len().isqrt();
        let (kept, varying) = (&self.slopes.reference[..], &self.slopes.units[..]);
        let (outer, r, v) = (self.outer, kept.len(), varying.len());
        let rows: Vec<u32> = (0..outer as u32).collect();
        let reference = View::new(&self.reference, outer, r)?;
        let h = View::new(&sums.h, v, outer)?.t();

        let mut t = vec![T::zero(); outer * r];
        let c = View::new(c, outer, outer)?;
        multiply_by_all(
            ViewMut::new(&mut t, outer, r)?,
            Write::Replace,
            1.0,
            c,
            reference,
        )?;
        let t = View::new(&t, outer, r)?;

        let mut own = vec![T::zero(); outer * r];
        let mut right = vec![T::zero(); r.max(v) * r];
        for (left, units) in [(t, kept), (h, varying)] {
            gather(&mut right, g, inner, units, kept);
            let right = View::new(&right, units.len(), r)?;
            let own = ViewMut::new(&mut own, outer, r)?;
            multiply_by_all(own, Write::Add, 2.0, left, right)?;
        }
        scale_columns_by(&mut own, &self.slopes.slopes);
        let mut dm = vec![T::zero(); outer * inner];
        scatter(&mut dm, inner, &own, &rows, kept);
        let mut twice = transposed(&sums.m, [v, outer]);
        twice.iter_mut().for_each(|value| *value += *value);
        scatter(&mut dm, inner, &twice, &rows, varying);

        let mut dg = vec![T::zero(); inner * inner];
        scatter(&mut dg, inner, &sums.g, varying, varying);
        let mut product = vec![T::zero(); r * r.max(v)];
        let into = ViewMut::new(&mut product, r, r)?;
        multiply_by_all(into, Write::Replace, 1.0, reference.t(), t)?;
        scatter(&mut dg, inner, &product[..r * r], kept, kept);
        let into = ViewMut::new(&mut product, r, v)?;
        multiply_by_all(into, Write::Replace, 1.0, reference.t(), h)?;
        scatter(&mut dg, inner, &product[..r * v], kept, varying);
        for (row, unit) in kept.iter().enumerate() {
            for (column, other) in varying.iter().enumerate() {
                dg[*other as usize * inner + *unit as usize] += product[row * v + column];
            }
        }
        Ok((dm, dg))
    }
}

/// The first `len` numbers of a buffer that grows as needed.
fn fit<T: Real>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    buffer.resize(len, T::zero());
    buffer
}
