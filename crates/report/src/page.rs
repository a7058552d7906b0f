//! The page around the figures.

use maud::{Markup, html};

use crate::data::Report;
use crate::document::{document, section};
use crate::error::Result;
use crate::format::{bracket, ell, percent, printable, times};
use crate::table::{median_ratio, table};
use crate::{digits, distributions, explanation, selection, toy};

/// The whole report as one self-contained HTML document.
///
/// Figures without data are left out. A number that is not there (NaN) reads
/// "–"; a radius that nothing limits reads "∞".
///
/// # Errors
/// When a picture's length does not match its stated size, a digit does not
/// have one reading per network, or a toy panel's viewport is empty.
pub fn render(report: &Report) -> Result<String> {
    let body = html! {
        (header(report))
        main {
            @if !report.toy.is_empty() {
                (section("On the plane, every region can be drawn", html! {
                    "The same objectives on a two-dimensional toy problem. Training for large "
                    "margins moves region boundaries away from the data, so the circles grow and "
                    "neighbouring points share one gradient."
                }, toy::toy(&report.toy)?))
            }
            @if !report.networks.is_empty() {
                (section("The numbers", html! {
                    "Accuracy, the number of complete linear regions (#CLR) that the "
                    (report.inputs) " fall into, and percentiles of the " (report.certified()) "radii in "
                    (report.unit) "."
                }, table(&report.networks)))
                (section("The whole distribution", html! {
                    "A median hides the tails. These curves hold every one of the "
                    (report.inputs) "."
                }, distributions::distributions(report)))
            }
            @if !report.facts.is_empty() {
                (section("What the numbers mean", html! {
                    "In words, for these inputs."
                }, html! { ul { @for fact in &report.facts { li { (fact) } } } }))
            }
            @if !report.layers.is_empty() {
                (section("What limits them", html! {
                    "The neuron that changes sides first ends the ball; it belongs to one of these layers."
                }, selection::layers(&report.layers)))
            }
            @if !report.selections.is_empty() {
                (section("Input by input", html! {
                    "Those at both ends of the distribution."
                }, selection::selections(&report.selections)?))
            }
            @if !report.digits.is_empty() {
                (section("Gradients one by one", html! {
                    "What each network bases its answer on, and how far from the input that "
                    "picture does not change."
                }, digits::digits(report)?))
            }
            @if !report.explanations.is_empty() {
                (section("One input", html! {
                    "What the network looks at, what it looks at in the most misleading image "
                    "nearby, and how near that cannot be."
                }, explanation::explanations(&report.explanations)?))
            }
            @if !report.bounds.is_empty() {
                (section("Beyond the region", html! {
                    "What can change in balls around an input, whatever regions they reach into."
                }, explanation::bounded(&report.bounds)?))
            }
            (method(report))
        }
    };
    let page = document(&report.title, "", body);
    Ok(printable(&page.into_string(), &['\n', '\t']))
}

fn header(report: &Report) -> Markup {
    html! {
        header {
            h1 { (report.title) }
            p.lead {
                "A piecewise-linear network cuts its input space into convex regions; inside one region "
                "its gradient is constant, at the border it changes at once. For each input, the " (report.certified()) "radius "
                "is that of the largest ball around it that stays in one region: no neuron changes sides "
                "anywhere in that ball, so the gradient there is the same."
            }
            (highlights(report))
        }
    }
}

/// The result in three numbers: how much larger the balls are, and at what price.
fn highlights(report: &Report) -> Markup {
    let [first, second, ..] = report.networks.as_slice() else {
        return html! {};
    };
    let l2 = "2";
    html! {
        dl.highlights {
            div {
                dt { "median " (report.certified()) (ell(l2)) " radius, " (second.name) " over " (first.name) }
                dd.accent { (times(median_ratio(&report.networks, 1, l2))) }
            }
            div {
                dt { "accuracy, " (first.name) " and " (second.name) }
                dd { (percent(first.accuracy)) span.arrow { " → " } (percent(second.accuracy)) }
            }
            div {
                dt { "linear regions met by " (second.points) " " (report.inputs) }
                dd {
                    (bracket(first.clr_lower, first.clr_upper)) span.arrow { " → " }
                    (bracket(second.clr_lower, second.clr_upper))
                }
            }
        }
    }
}

fn method(report: &Report) -> Markup {
    html! {
        section.method {
            h2 { "How it was made" }
            p {
                "With every neuron’s sign fixed, the network is affine, and each pre-activation "
                i { "z" } " has a gradient ∇" i { "z" } " with respect to the input. The distance to its "
                "boundary in the norm " (ell("p")) " is |" i { "z" } "| / ‖∇" i { "z" } "‖"
                sub { i { "q" } } " with 1/" i { "p" } " + 1/" i { "q" } " = 1, and the " (report.certified()) "radius "
                "is the smallest such distance over all neurons. It is exact for the region; the "
                "gradient may stay the same even further out. The bounds on #CLR are the number of "
                "different Jacobians and of different activation patterns."
            }
            @if !report.networks.is_empty() {
                p {
                    "What is claimed of the radii and of #CLR: "
                    @for (position, network) in report.networks.iter().enumerate() {
                        @if position > 0 { "; " }
                        (network.name) ", " (network.guarantee)
                    }
                    ". What is proved holds with all rounding of floating-point arithmetic in it."
                }
            }
            p {
                "Method: G.-H. Lee, D. Alvarez-Melis, T. S. Jaakkola, "
                cite { "Towards Robust, Locally Linear Deep Networks" } ", ICLR 2019."
            }
            @if !report.settings.is_empty() {
                h3 { "Settings" }
                dl.facts {
                    @for (name, value) in &report.settings {
                        div { dt { (name) } dd { (value) } }
                    }
                }
            }
            @if !report.commands.is_empty() {
                h3 { "Reproduce" }
                pre tabindex="0" { code { (report.commands.join("\n")) } }
            }
        }
    }
}
