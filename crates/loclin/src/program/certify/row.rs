//! A row of the table of margins.

use loclin_regions::Guarantee;

/// One input's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it stands in a file; 0 for one that is in none.
    pub line: u64,
    /// The input's number.
    pub index: usize,
    /// Its file, where it is one.
    pub file: Option<String>,
    /// Its label, where it has one.
    pub label: Option<u32>,
    /// Its class by the network.
    pub prediction: u32,
    /// What the label is called, where classes have names.
    pub label_name: Option<String>,
    /// What the prediction is called.
    pub prediction_name: Option<String>,
    /// Its radius for each norm.
    pub radii: Vec<f64>,
    /// Upper bounds of the true radii, where they were asked for.
    pub upper: Vec<f64>,
    /// What is claimed of the radii.
    pub guarantee: Guarantee,
    /// The node of the limiting neuron and its number, where one limits the l2 margin, or that of the first norm.
    pub limiting: Option<(String, usize)>,
    /// Where that neuron is in its layer; empty where that is not known. Older tables do not say it.
    pub place: String,
    /// The output of the predicted class. Older tables do not say it.
    pub score: Option<f64>,
    /// Why that radius is 0: `boundary`, `tie` or `undecided`; else `inside`. Older tables do not say it.
    pub position: Option<String>,
}

impl Row {
    /// The limiting neuron in words, such as `layer1.0.relu, channel 3, row 5, column 7`.
    pub fn limit(&self) -> Option<String> {
        let (layer, neuron) = self.limiting.as_ref()?;
        Some(match &self.place[..] {
            "" => format!("{layer}, neuron {neuron}"),
            place => format!("{layer}, {place}"),
        })
    }

    /// Whether it claims something of an evaluation in another type.
    pub fn is_deployed(&self) -> bool {
        matches!(self.guarantee, Guarantee::Deployed { .. })
    }

    /// Whether no radius is larger than the true one, if only with a probability.
    pub fn claims(&self) -> bool {
        self.guarantee != Guarantee::Estimate
    }
}
