//! The demo's report: one HTML file with everything inside it.
//!
//! [`render`] turns plain numbers into a page without scripts or external
//! resources: styles are inline, charts are inline SVG that follows the
//! reader's light or dark setting, pictures are PNG data URIs. [`text_table`]
//! is the terminal's version of the same table. Nothing here knows of tensors
//! or networks, and nothing here touches the file system. [`figure`] makes
//! single figures as SVG and PNG.

mod axis;
mod digits;
mod distributions;
mod edges;
mod explanation;
pub(crate) mod figure;
mod format;
mod page;
mod png;
mod table;
mod toy;

#[cfg(test)]
mod tests;

pub(crate) use explanation::{Explanation, Panel, Picture};
pub(crate) use format::significant;
pub(crate) use page::render;
pub(crate) use table::text_table;

/// Everything the page shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// The page's title; the first heading.
    pub(crate) title: String,
    /// What the certified inputs are, in the plural ("held-out digits").
    pub(crate) inputs: String,
    /// The unit of every radius of `networks` and `digits` ("pixel units in [0, 1]").
    pub(crate) unit: String,
    /// What the drawn gradients are gradients of ("the predicted digit's score").
    pub(crate) gradient_of: String,
    /// How the numbers were made: machine, seed, data, element type, ...
    pub(crate) settings: Vec<(String, String)>,
    /// The compared networks. The first one is the baseline of every ratio.
    pub(crate) networks: Vec<NetworkSummary>,
    /// Single inputs, with the gradients of every network.
    pub(crate) digits: Vec<DigitRow>,
    /// Single inputs, with everything that is known of their gradients.
    pub(crate) explanations: Vec<Explanation>,
    /// Two-dimensional classifiers whose regions can be drawn.
    pub(crate) toy: Vec<ToyPanel>,
    /// Shell commands that make the numbers again, one a line.
    pub(crate) commands: Vec<String>,
}

/// One network, certified on many inputs: a row of the paper's Table 1.
#[derive(Debug, Clone)]
pub(crate) struct NetworkSummary {
    /// "vanilla", "ROLL", ...
    pub(crate) name: String,
    /// The objective's settings in words ("λ = 2, C = 0.25, γ = 100"); may be empty.
    pub(crate) settings: String,
    /// Share of correct predictions on the certified inputs, in `[0, 1]`.
    pub(crate) accuracy: f64,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub(crate) clr_lower: usize,
    /// Upper bound on the number of complete linear regions (Lemma 7).
    pub(crate) clr_upper: usize,
    /// Number of certified inputs.
    pub(crate) points: usize,
    /// Certified radii, one entry per norm, the same norms for every network.
    pub(crate) radii: Vec<NormRadii>,
    /// Wall-clock seconds of training.
    pub(crate) training_seconds: f64,
}

/// Certified radii of one network in one norm.
#[derive(Debug, Clone)]
pub(crate) struct NormRadii {
    /// The norm's order: "1", "2" or "inf".
    pub(crate) norm: String,
    /// Lower quartile.
    pub(crate) p25: f64,
    /// Median.
    pub(crate) p50: f64,
    /// Upper quartile.
    pub(crate) p75: f64,
    /// Maximum.
    pub(crate) p100: f64,
    /// The radius at every input, in any order; may hold zeros and infinities.
    pub(crate) values: Vec<f64>,
}

/// One input image with what each network says about it.
#[derive(Debug, Clone)]
pub(crate) struct DigitRow {
    /// Position of the input in its data set.
    pub(crate) index: usize,
    /// Pixels in `[0, 1]`, row by row from the top, `side * side` of them.
    pub(crate) pixels: Vec<f32>,
    /// Width and height of the picture in pixels.
    pub(crate) side: usize,
    /// The true class.
    pub(crate) label: usize,
    /// One reading per network, in the order of [`Report::networks`].
    pub(crate) readings: Vec<DigitReading>,
}

/// One network's prediction, gradient and certified radii at one input.
#[derive(Debug, Clone)]
pub(crate) struct DigitReading {
    /// The predicted class.
    pub(crate) prediction: usize,
    /// The signed input gradient, laid out like [`DigitRow::pixels`].
    pub(crate) gradient: Vec<f32>,
    /// Certified l1 radius.
    pub(crate) eps_1: f64,
    /// Certified l2 radius.
    pub(crate) eps_2: f64,
    /// Certified l-infinity radius.
    pub(crate) eps_inf: f64,
    /// The neuron whose boundary limits the l2 radius ("layers.2, neuron 117").
    pub(crate) limiting_neuron: String,
}

/// One panel of the paper's Figure 1: a binary classifier on the plane.
#[derive(Debug, Clone)]
pub(crate) struct ToyPanel {
    /// Short name of the objective ("distance (Eq. 4)").
    pub(crate) title: String,
    /// A sentence under the panel; may be empty.
    pub(crate) caption: String,
    /// The visible rectangle `[x0, x1, y0, y1]`.
    pub(crate) viewport: [f64; 4],
    /// The linear regions inside the viewport: convex polygons in either
    /// orientation, without repeating the first corner.
    pub(crate) cells: Vec<Vec<[f64; 2]>>,
    /// The training points.
    pub(crate) points: Vec<ToyPoint>,
    /// Predicted probability of the `true` class on a regular grid.
    pub(crate) heat: HeatMap,
    /// Share of correct predictions on `points`, in `[0, 1]`.
    pub(crate) accuracy: f64,
    /// Median of the points' radii.
    pub(crate) median_radius: f64,
}

/// One training point of a [`ToyPanel`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToyPoint {
    /// Where it is.
    pub(crate) x: [f64; 2],
    /// Its class.
    pub(crate) label: bool,
    /// Certified l2 radius, in the units of the plane.
    pub(crate) radius: f64,
    /// Gradient of the classifier's score with respect to `x`.
    pub(crate) gradient: [f64; 2],
}

/// Values in `[0, 1]` at the centres of a `rows * cols` grid over a viewport.
#[derive(Debug, Clone)]
pub(crate) struct HeatMap {
    /// Number of grid rows.
    pub(crate) rows: usize,
    /// Number of grid columns.
    pub(crate) cols: usize,
    /// Row-major values; row 0 is the *lowest* `y`, column 0 the lowest `x`.
    pub(crate) values: Vec<f32>,
}
