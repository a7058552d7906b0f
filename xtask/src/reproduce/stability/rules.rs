//! The rules of the experiment, which were written before its run.

use super::change::SAME;
use super::measured::SHARE;
use super::plan::Plan;

pub(super) fn rules(plan: &Plan) -> String {
    let names: Vec<String> = plan
        .rows
        .iter()
        .map(|row| format!("`{}`", row.name))
        .collect();
    let seeds: Vec<String> = plan.seeds.iter().map(u64::to_string).collect();
    let done = plan
        .perturbations
        .iter()
        .map(|perturbation| perturbation.words());
    let done: Vec<String> = done.map(|words| format!("   * {words}")).collect();
    let Plan {
        inputs,
        integrated,
        bounded,
        top,
        samples,
        ..
    } = plan;
    let share = 100.0 * SHARE;
    format!(
        "1. Networks: the rows {} of [Table 1](../table1/README.md), seed {}, as they are trained for that table. Nothing is trained \
         or chosen for this page.\n\
         2. Images: the first {inputs} test images that the network classifies rightly, in the order of the file. How many it \
         classifies wrongly before them is said.\n\
         3. Perturbations act on the 256 levels of a pixel; every result is a level from 0 to 255 again. They are the same for all \
         networks.\n{}\n\
         4. The explanation is the gradient g of the output (logit) of the image's class in raw pixels of [0, 1], in float64; g' is \
         that of the same output at the perturbed image, whatever class the network gives it. Beside it: gradient times input, and, \
         for the first {integrated} images, exact integrated gradients from the black image.\n\
         5. The leading measure is the relative change |g' - g|_2 / |g|_2. Beside it: the cosine of g and g', Spearman's rank \
         correlation of |g| and |g'| over the pixels, the share of the {top} pixels with the largest |g| that are among those of g' \
         too, whether the class changes, and the relative change in l1.\n\
         6. Radii: eps_2 and eps_inf of the image, balls cut with [0, 1], in float64. A perturbed image whose l2 or l_inf distance \
         is less than a proved radius must have the same gradient: such images are counted, and the command fails if the relative \
         change of one is above {SAME:e}. For the first {bounded} images also the l_inf radius within which the gradient is proved to \
         change by at most {share}% in l1 (without branching): the command fails if the gradient of a perturbed image within it \
         changes by more.\n\
         7. Over the images of a network: median and quartiles of the measures, and Spearman's rank correlation of radius and \
         measure; pooled, that over the images of all networks. Intervals hold 95% of {samples} bootstrap samples (seed 0), which \
         draw images: with an image come its pairs in all networks.\n\
         8. The answer within a network, for each perturbation, by eps_2 and the relative change: \"yes\" where the whole interval of \
         the rank correlation is below 0, \"the reverse\" where it is above 0, else \"not shown\". The same correlation over the images \
         that are outside of both proved balls says whether a radius tells more than what it proves.\n\
         9. The answer across networks, for each pair and perturbation: over the images that both classify rightly, the share at \
         which the network with the larger median eps_2 changes less (equal changes count half). \"Yes\" where the whole interval is \
         above 1/2, \"the reverse\" where it is below, else \"not shown\".\n",
        names.join(", "),
        seeds.join(", "),
        done.join("\n"),
    )
}
