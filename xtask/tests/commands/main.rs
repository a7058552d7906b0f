//! The workspace's own commands as a user meets them.

#![allow(
    clippy::unwrap_used,
    reason = "what tests share states expectations too"
)]

mod bench;
#[path = "../../../crates/loclin/tests/commands/fixture.rs"]
#[allow(dead_code, reason = "the product's tests use the rest")]
mod fixture;
#[path = "../../../crates/loclin/tests/commands/refusal.rs"]
#[allow(dead_code, reason = "the product's tests use the rest")]
mod refusal;
mod reproduce;
mod reproduce_all;
mod small;
mod stability;
