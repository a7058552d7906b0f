//! Where an input is in its region.

/// Where an input is in its region, as far as that is known.
///
/// ```
/// use loclin_regions::Position;
/// assert_eq!(Position::Tie.name(), "tie");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// Inside: a ball around it is, too.
    Inside,
    /// Exactly where the slope of an activation changes. The radius is 0.
    Boundary,
    /// Where several entries of a maximum are equally large. The radius is 0.
    Tie,
    /// Rounding leaves open on which side of a neuron's boundary it is, and exact arithmetic was not affordable or knows no more
    /// than bounds (of quotients, which a standardization makes). The radius that is claimed is 0; the true one may be larger.
    Undecided,
}

impl Position {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inside, Self::Boundary, Self::Tie, Self::Undecided];

    /// A short name for machines: `inside`, `boundary`, `tie`, `undecided`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Boundary => "boundary",
            Self::Tie => "tie",
            Self::Undecided => "undecided",
        }
    }
}
