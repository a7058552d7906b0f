//! Margins of residual networks by proved bounds, in every norm, against all gradients; and how long they take.

use crate::{built, images};
use loclin_models::{Network, architectures::ResNetConfig};
use loclin_regions::{Budget, Domain, Guarantee, Linearization, Linearizer, Margins, Method, Norm};

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

/// ResNet-18 with max pooling, of another width and another image.
fn resnet(seed: u64, width: usize, side: usize) -> Network {
    let config = ResNetConfig {
        width,
        inputs: [3, side, side],
        ..ResNetConfig::resnet18(5)
    };
    built(config, seed)
}

/// Proved radii are hardly less than those by all gradients, and no more than the nearest of their boundaries is away.
fn check(here: &Linearization, slack: f64) {
    let all = here.margins(&NORMS, Method::All).unwrap();
    let found = here.margins(&NORMS, Method::Bound).unwrap();
    for (found, all) in found.iter().zip(&all) {
        assert_eq!(found.guarantee, Guarantee::Proved);
        same(found, all, &here.upper_bounds(all).unwrap(), slack);
    }
}

fn same(found: &Margins, all: &Margins, upper: &[f64], slack: f64) {
    for (input, radius) in found.radius.iter().enumerate() {
        assert!(
            *radius >= all.radius[input] * (1.0 - slack) && *radius <= upper[input] * (1.0 + 1e-12),
            "l{}: {radius}, {} and at most {}",
            found.norm,
            all.radius[input],
            upper[input]
        );
        // Bounds by absolute values may make another neuron the nearest.
        if *radius <= all.radius[input] * (1.0 + 1e-9) {
            assert_eq!(found.limiting[input], all.limiting[input]);
        }
    }
}

#[test]
fn proved_radii_are_those_of_all_gradients_in_every_norm() {
    for (seed, (width, side)) in [(2, 19), (3, 33), (2, 40)].into_iter().enumerate() {
        let network = resnet(seed as u64, width, side);
        let x = images(seed as u64 + 9, 2, side);
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        check(&here, 1e-4);
        // Balls cut with a domain, and a budget that splits pulls.
        let domain = Domain::uniform(3 * side * side, 0.0, 1.0).unwrap();
        let little = Budget { bytes: 1 << 16 };
        let here = Linearization::new(&network, &x, little).unwrap();
        check(&here.within(domain).unwrap(), 1e-4);
    }
}

/// `SIDE=32 NORM=2 cargo test --workspace --test resnet -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "its result")]
fn time() {
    let number = |name: &str, default: usize| {
        let text = std::env::var(name);
        text.map_or(default, |text| text.parse().unwrap())
    };
    let (side, width) = (number("SIDE", 32), number("WIDTH", 64));
    let norm = std::env::var("NORM").map_or(Norm::L2, |text| text.parse().unwrap());
    let network = resnet(0, width, side);
    let x = images(9, 1, side);
    let start = std::time::Instant::now();
    let tell = move |progress| eprintln!("{progress:?} after {:?}", start.elapsed());
    let linearizer = Linearizer::new(&network, Budget::default()).unwrap();
    let here = linearizer.watched(tell).at(&x).unwrap();
    for method in [Method::Bound, Method::All] {
        if method == Method::All && std::env::var("ALL").is_err() {
            continue;
        }
        let found = here.margins(&[norm], method).unwrap().remove(0);
        println!(
            "{method}: {:?} {:?} {:?} {:?} after {:?}",
            found.radius,
            found.limiting,
            found.guarantee,
            found.work,
            start.elapsed()
        );
    }
}
