//! One end of the chain: `A_b = M D_b G D_b M^T` for every input `b` of a batch, and its derivative.
//!
//! `M` and the symmetric `G` belong to all inputs; only the slopes `D_b` are an input's own. With a reference
//! `D_b = R + E_b` of which most inputs depart in few of `N` units ([`Varying`]), `d` say, `S = M R G`, and
//! `L = M[:, d]`, `K = (S[:, d] + 1/2 L E G[d, d]) E`,
//!
//! `A_b = S R M^T + L K^T + K L^T`,
//!
//! which takes `2 n^2 d` multiply-adds on the `n` rows that an input keeps, instead of `3/2 n^3`. The derivative
//! of `sum_b <C_b, A_b>` with symmetric `C_b` is, with `H = C L`,
//!
//! `dM = 2 (sum_b C_b) M R G R + 2 (sum_b H E) G R + 2 sum_b (C K + H (1/2 E G[d, d] E))`, the last in columns `d`,
//! `dG = R M^T (sum_b C_b) M R + J + J^T + sum_b E L^T H E` with `J = R M^T (sum_b H E)`:
//!
//! two products of `n^2 d` for each input, and the rest once for the batch.

use super::{
    active::{gather, scale_columns_by, scale_rows_by, scatter},
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
    /// `M`, `S` and `G` on varying units.
    m: Vec<T>,
    s: Vec<T>,
    g: Vec<T>,
    /// `S R M^T` and whatever is to be added to every `A_b`.
    base: Vec<T>,
}

/// `L`, `K` and `1/2 E G[d, d] E` of one input.
#[derive(Debug)]
pub(super) struct Parts<T> {
    l: Vec<T>,
    k: Vec<T>,
    g: Vec<T>,
}

/// Sums over inputs from which the derivatives are made.
pub(super) struct Sums<T> {
    /// `H E`, varying columns.
    h: Vec<T>,
    /// Half of the part of `dM` in varying columns.
    m: Vec<T>,
    /// The part of `dG` among varying units.
    g: Vec<T>,
}

impl<T> Parts<T> {
    pub(super) fn new() -> Self {
        let (l, k, g) = (Vec::new(), Vec::new(), Vec::new());
        Self { l, k, g }
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
    h: Vec<T>,
    f: Vec<T>,
    g: Vec<T>,
}

impl<T> Scratch<T> {
    pub(super) fn new() -> Self {
        let (h, f, g) = (Vec::new(), Vec::new(), Vec::new());
        Self { h, f, g }
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
        Ok(Self {
            outer,
            m: take(m, &rows, varying),
            s: product(varying)?,
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
        gather(into, &self.base, self.outer, rows, rows);
        let Parts { l, k, g } = parts;
        gather(fit(l, n * d), &self.m, width, rows, at);
        gather(fit(k, n * d), &self.s, width, rows, at);
        gather(fit(g, d * d), &self.g, width, at, at);
        scale_columns_by(k, by);
        scale_columns_by(g, by);
        scale_rows_by(g, by, d);
        g.iter_mut().for_each(|value| *value *= T::from_f64(0.5));
        let (l, g) = (View::new(l, n, d)?, View::new(g, d, d)?);
        multiply(ViewMut::new(k, n, d)?, Write::Add, 1.0, l, g)?;
        let k = View::new(k, n, d)?;
        multiply(ViewMut::new(into, n, n)?, Write::Add, 1.0, l, k.t())?;
        multiply(ViewMut::new(into, n, n)?, Write::Add, 1.0, k, l.t())
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
        let Scratch { h, f, g } = scratch;
        let c = View::new(c, n, n)?;
        let (l, k) = (View::new(&parts.l, n, d)?, View::new(&parts.k, n, d)?);
        let own = View::new(&parts.g, d, d)?;
        multiply(
            ViewMut::new(fit(h, n * d), n, d)?,
            Write::Replace,
            1.0,
            c,
            l,
        )?;
        multiply(
            ViewMut::new(fit(f, n * d), n, d)?,
            Write::Replace,
            1.0,
            c,
            k,
        )?;
        let of_h = View::new(h, n, d)?;
        // `C K + H (1/2 E G E)`.
        multiply(ViewMut::new(f, n, d)?, Write::Add, 1.0, of_h, own)?;
        scatter(&mut sums.m, width, f, rows, at);
        let small = ViewMut::new(fit(g, d * d), d, d)?;
        multiply(small, Write::Replace, 1.0, l.t(), of_h)?;
        scale_columns_by(g, by);
        scale_rows_by(g, by, d);
        scatter(&mut sums.g, width, g, at, at);
        scale_columns_by(h, by);
        scatter(&mut sums.h, width, h, rows, at);
        Ok(())
    }

    /// `dM` `[outer, N]` and `dG` `[N, N]`, from the sums, `sum_b C_b` and `G`.
    pub(super) fn finish(&self, sums: &Sums<T>, c: &[T], g: &[T]) -> Result<(Vec<T>, Vec<T>)> {
        let inner = g.len().isqrt();
        let (kept, varying) = (&self.slopes.reference[..], &self.slopes.units[..]);
        let (outer, r, v) = (self.outer, kept.len(), varying.len());
        let rows: Vec<u32> = (0..outer as u32).collect();
        let reference = View::new(&self.reference, outer, r)?;
        let h = View::new(&sums.h, outer, v)?;

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
        let twice: Vec<T> = sums.m.iter().map(|value| *value + *value).collect();
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
