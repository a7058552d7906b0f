//! The example program that the documentation shows, compiled from its own source and run.

#[path = "../../examples/locally-linear/src/main.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "a program: its `main` prints"
)]
mod program;

/// The points of its classes are told apart with or without the regulariser, whose regions are larger: about 4
/// times; 2 leaves room for other processors' roundings over 500 steps.
#[test]
fn the_example_makes_regions_larger() {
    let (vanilla_loss, vanilla_radius) = program::train(0.0).unwrap();
    let (roll_loss, roll_radius) = program::train(0.03).unwrap();
    // 0.1 is a probability of about 0.9 for the right class, on average.
    assert!(
        vanilla_loss < 0.1 && roll_loss < 0.1,
        "{vanilla_loss} {roll_loss}"
    );
    assert!(
        roll_radius > 2.0 * vanilla_radius,
        "{roll_radius} {vanilla_radius}"
    );
}
