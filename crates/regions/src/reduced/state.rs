//! What is known of the units of a reduced network on a part of the ball: their ranges, and what each may select.

/// A part of the ball: the inputs at which the units select what is allowed.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// For each member at least the range of its value `y` there.
    pub(crate) ranges: Vec<[f64; 2]>,
    /// Whether the unit may select this member.
    pub(crate) allowed: Vec<bool>,
    /// For each unit whether it may stay as it is at the centre.
    pub(crate) stays: Vec<bool>,
}

/// What one unit does on a part of the ball.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// As at the centre.
    Same,
    /// This member.
    Member(usize),
    /// Several are possible.
    Open,
}

impl State {
    /// Of no unit.
    pub(crate) fn empty() -> Self {
        Self {
            ranges: Vec::new(),
            allowed: Vec::new(),
            stays: Vec::new(),
        }
    }

    /// Whether a member can be what its unit selects.
    pub(crate) fn is_possible(&self, member: usize) -> bool {
        self.allowed[member] && self.ranges[member][1] >= 0.0
    }

    /// Whether a unit of these members can be as at the centre: none of them is surely beyond.
    pub(crate) fn can_stay(&self, unit: usize, members: std::ops::Range<usize>) -> bool {
        self.stays[unit]
            && members
                .into_iter()
                .all(|member| self.ranges[member][0] <= 0.0)
    }

    /// What a unit of these members does; `None` if nothing is possible.
    pub(crate) fn selection(
        &self,
        unit: usize,
        members: std::ops::Range<usize>,
    ) -> Option<Selection> {
        let mut possible = members.clone().filter(|member| self.is_possible(*member));
        let first = possible.next();
        match (self.can_stay(unit, members), first, possible.next()) {
            (true, None, _) => Some(Selection::Same),
            (false, Some(member), None) => Some(Selection::Member(member)),
            (false, None, _) => None,
            _ => Some(Selection::Open),
        }
    }

    /// The most that the output of a unit of these members can be beyond that at the centre's selection.
    pub(crate) fn over(&self, members: std::ops::Range<usize>) -> f64 {
        let possible = members.filter(|member| self.is_possible(*member));
        possible.fold(0.0, |most, member| self.ranges[member][1].max(most))
    }
}
