//! The numbers that figures and pages are made of; plain data, without a reference to any other crate of the family.

use crate::picture::Picture;
use crate::stats::Percentiles;

/// Everything the page shows.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The page's title; the first heading.
    pub title: String,
    /// What the certified inputs are, in the plural ("held-out digits").
    pub inputs: String,
    /// The unit of every radius of `networks` and `digits` ("pixel units in [0, 1]").
    pub unit: String,
    /// What the drawn gradients are gradients of ("the predicted digit's score").
    pub gradient_of: String,
    /// How the numbers were made: machine, seed, data, element type, ...
    pub settings: Vec<(String, String)>,
    /// The compared networks. The first one is the baseline of every ratio.
    pub networks: Vec<NetworkSummary>,
    /// What the numbers mean, a sentence each.
    pub facts: Vec<String>,
    /// Which layers limit the radii, the most frequent first.
    pub layers: Vec<LayerCount>,
    /// Single inputs picked out of all, such as those with the smallest radii.
    pub selections: Vec<Selection>,
    /// Single inputs, with the gradients of every network.
    pub digits: Vec<DigitRow>,
    /// Single inputs, with everything that is known of their gradients.
    pub explanations: Vec<Explanation>,
    /// Single inputs, with what can change in balls around them.
    pub bounds: Vec<Explanation>,
    /// Two-dimensional classifiers whose regions can be drawn.
    pub toy: Vec<ToyPanel>,
    /// Shell commands that make the numbers again, one a line.
    pub commands: Vec<String>,
}

impl Report {
    /// What radii are called in front of the word: certified unless a network's are not proved.
    pub(crate) fn certified(&self) -> &'static str {
        let is_claim = |network: &NetworkSummary| network.guarantee != "proved";
        match self.networks.iter().any(is_claim) {
            true => "",
            false => "certified ",
        }
    }
}

/// One network, certified on many inputs: a row of the paper's Table 1.
#[derive(Debug, Clone)]
pub struct NetworkSummary {
    /// "vanilla", "ROLL", ...
    pub name: String,
    /// The objective's settings in words ("λ = 2, C = 0.25, γ = 100"); may be empty.
    pub settings: String,
    /// Share of correct predictions on the certified inputs, in `[0, 1]`.
    pub accuracy: f64,
    /// Lower bound on the number of complete linear regions (Lemma 7).
    pub clr_lower: usize,
    /// Upper bound on the number of complete linear regions (Lemma 7).
    pub clr_upper: usize,
    /// What is claimed of the radii and of both bounds: "proved", "estimate", ...; the page calls radii certified only where all are
    /// "proved".
    pub guarantee: String,
    /// Number of certified inputs.
    pub points: usize,
    /// Certified radii, one entry per norm, the same norms for every network.
    pub radii: Vec<NormRadii>,
    /// Wall-clock seconds of training.
    pub training_seconds: f64,
}

/// How many inputs a layer's neurons limit.
#[derive(Debug, Clone)]
pub struct LayerCount {
    /// The layer.
    pub name: String,
    /// How many inputs.
    pub inputs: usize,
}

/// Some inputs out of many.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What they have in common ("The smallest radii").
    pub heading: String,
    /// The inputs.
    pub inputs: Vec<PickedInput>,
}

/// One input of a selection.
#[derive(Debug, Clone)]
pub struct PickedInput {
    /// Its file or number.
    pub name: String,
    /// What is known of it, a line each.
    pub lines: Vec<String>,
    /// It, where it is an image.
    pub picture: Option<Picture>,
}

/// Certified radii of one network in one norm.
#[derive(Debug, Clone)]
pub struct NormRadii {
    /// The norm's order: "1", "2" or "inf".
    pub norm: String,
    /// Lower quartile.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// Upper quartile.
    pub p75: f64,
    /// Maximum.
    pub p100: f64,
    /// The radius at every input, in any order; may hold zeros and infinities.
    pub values: Vec<f64>,
}

impl NormRadii {
    /// Of the radii at every input; `None` if there are none or one is not a number.
    pub fn of(norm: String, values: Vec<f64>) -> Option<Self> {
        let [p25, p50, p75, p100] = Percentiles::of(&values)?.all();
        Some(Self {
            norm,
            p25,
            p50,
            p75,
            p100,
            values,
        })
    }
}

/// One input image with what each network says about it.
#[derive(Debug, Clone)]
pub struct DigitRow {
    /// Position of the input in its data set.
    pub index: usize,
    /// Pixels in `[0, 1]`, row by row from the top, `side * side` of them.
    pub pixels: Vec<f32>,
    /// Width and height of the picture in pixels.
    pub side: usize,
    /// The true class.
    pub label: usize,
    /// One reading per network, in the order of [`Report::networks`].
    pub readings: Vec<DigitReading>,
}

/// One network's prediction, gradient and certified radii at one input.
#[derive(Debug, Clone)]
pub struct DigitReading {
    /// The predicted class.
    pub prediction: usize,
    /// The signed input gradient, laid out like [`DigitRow::pixels`].
    pub gradient: Vec<f32>,
    /// Certified l1 radius.
    pub eps_1: f64,
    /// Certified l2 radius.
    pub eps_2: f64,
    /// Certified l-infinity radius.
    pub eps_inf: f64,
    /// The neuron whose boundary limits the l2 radius ("layers.2, neuron 117").
    pub limiting_neuron: String,
}

/// One panel of the paper's Figure 1: a binary classifier on the plane.
#[derive(Debug, Clone)]
pub struct ToyPanel {
    /// Short name of the objective ("distance (Eq. 4)").
    pub title: String,
    /// A sentence under the panel; may be empty.
    pub caption: String,
    /// The visible rectangle `[x0, x1, y0, y1]`.
    pub viewport: [f64; 4],
    /// The linear regions inside the viewport: convex polygons in either
    /// orientation, without repeating the first corner.
    pub cells: Vec<Vec<[f64; 2]>>,
    /// The training points.
    pub points: Vec<ToyPoint>,
    /// Predicted probability of the `true` class on a regular grid.
    pub heat: HeatMap,
    /// Share of correct predictions on `points`, in `[0, 1]`.
    pub accuracy: f64,
    /// Median of the points' radii.
    pub median_radius: f64,
}

/// One training point of a [`ToyPanel`].
#[derive(Debug, Clone, Copy)]
pub struct ToyPoint {
    /// Where it is.
    pub x: [f64; 2],
    /// Its class.
    pub label: bool,
    /// Certified l2 radius, in the units of the plane.
    pub radius: f64,
    /// Gradient of the classifier's score with respect to `x`.
    pub gradient: [f64; 2],
}

/// Values in `[0, 1]` at the centres of a `rows * cols` grid over a viewport.
#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Number of grid rows.
    pub rows: usize,
    /// Number of grid columns.
    pub cols: usize,
    /// Row-major values; row 0 is the *lowest* `y`, column 0 the lowest `x`.
    pub values: Vec<f32>,
}

/// One input and what was found out about it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Which input.
    pub heading: String,
    /// Facts, a sentence each.
    pub lines: Vec<String>,
    /// What can change in balls around it, where that is known; on pages only.
    pub curve: Option<BoundCurve>,
    /// Rows of pictures.
    pub panels: Vec<Vec<Panel>>,
    /// Its numbers, where they are no picture.
    pub numbers: Option<NumberTable>,
}

/// Some numbers of an input, a row each.
#[derive(Debug, Clone)]
pub struct NumberTable {
    /// What the columns are.
    pub header: Vec<String>,
    /// As many cells as the header has.
    pub rows: Vec<Vec<String>>,
}

/// A picture and the words over it.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The words.
    pub title: String,
    /// The picture.
    pub picture: Picture,
    /// Of a picture with signs, the number whose colour is full: a bar of colours is drawn under it.
    pub scale: Option<f64>,
}

/// The answers to a question about balls of several radii.
#[derive(Debug, Clone)]
pub struct BoundCurve {
    /// What is bounded ("change of the gradient").
    pub what: String,
    /// The ball's norm: "1", "2", "inf" or another p.
    pub norm: String,
    /// What is claimed of the upper line: "proved" or "estimate".
    pub claim: String,
    /// Radius, the value found and the bound, radii ascending.
    pub points: Vec<[f64; 3]>,
}
