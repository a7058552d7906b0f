//! Random graphs and inputs: no radius that is called proved exceeds the exact one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loclin_regions::{Budget, Guarantee, Linearization, Margins, Method, Norm};
use loclin_tests::exact::{Drawn, Graph, Plan, assert_radius_at_most};

fuzz_target!(|bytes: &[u8]| {
    // A network that the library or the oracle refuses, because a number overflows or a shape does not fit, is no finding.
    let Ok(drawn) = Plan::of_bytes(bytes).draw() else { return };
    let Some((margins, graph)) = found(&drawn) else { return };
    let Ok(point) = graph.at(&drawn.x) else { return };
    for (margins, truth) in margins.iter().zip(&point.radii().norms) {
        if margins.guarantee == Guarantee::Proved {
            assert_radius_at_most(margins.radius[0], truth);
        }
    }
});

/// The library's margins in l1, l2 and l_inf, and the network as the oracle has it.
fn found(drawn: &Drawn) -> Option<(Vec<Margins>, Graph)> {
    let network = drawn.network().ok()?;
    let here = Linearization::new(&network, &drawn.batch().ok()?, Budget::default()).ok()?;
    let margins = here.margins(&[Norm::L1, Norm::L2, Norm::LINF], Method::Auto).ok()?;
    // What the oracle has only nearly is not held against anything.
    Some((margins, Graph::of(&network).ok().filter(|graph| graph.is_exact)?))
}
