//! What the page and the terminal's table promise.

use base64::Engine;
use proptest::prelude::*;

use super::axis::LogAxis;
use super::format::{at_least, at_most, power_of_ten, seconds, significant};
use super::{
    DigitReading, DigitRow, HeatMap, NetworkSummary, NormRadii, Report, ToyPanel, ToyPoint, png,
    render, text_table,
};

/// The error and its causes.
fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", causes(source)),
        None => error.to_string(),
    }
}

fn network(name: &str, scale: f64) -> NetworkSummary {
    let radii = ["1", "2", "inf"].into_iter().map(|norm| NormRadii {
        norm: norm.to_owned(),
        p25: 0.5 * scale,
        p50: scale,
        p75: 2.0 * scale,
        p100: 40.0 * scale,
        values: (1..=500).map(|i| scale * f64::from(i) / 250.0).collect(),
    });
    NetworkSummary {
        name: name.to_owned(),
        settings: "C = 1".to_owned(),
        accuracy: 0.974,
        clr_lower: 498,
        clr_upper: 500,
        guarantee: "proved".to_owned(),
        points: 500,
        radii: radii.collect(),
        training_seconds: 83.0,
    }
}

fn report(names: [&str; 2]) -> Report {
    let reading = |scale: f32| DigitReading {
        prediction: 3,
        gradient: (0..16).map(|i| scale * (i as f32 - 8.0)).collect(),
        eps_1: 0.02,
        eps_2: 0.002,
        eps_inf: 0.0001,
        limiting_neuron: "layers.2, neuron 7".to_owned(),
    };
    let panel = ToyPanel {
        title: "vanilla".to_owned(),
        caption: String::new(),
        viewport: [-1.0, 1.0, -1.0, 1.0],
        cells: vec![
            vec![[-1.0, -1.0], [0.0, -1.0], [0.0, 1.0], [-1.0, 1.0]],
            vec![[0.0, -1.0], [1.0, -1.0], [1.0, 1.0], [0.0, 1.0]],
        ],
        points: vec![ToyPoint {
            x: [0.5, 0.5],
            label: true,
            radius: 0.1,
            gradient: [1.0, 2.0],
        }],
        heat: HeatMap {
            rows: 2,
            cols: 3,
            values: vec![0.0, 0.5, 1.0, 0.2, 0.4, 0.9],
        },
        accuracy: 1.0,
        median_radius: 0.1,
    };
    Report {
        title: "Where the gradient is constant".to_owned(),
        inputs: "digits".to_owned(),
        unit: "pixel units".to_owned(),
        gradient_of: "the predicted score".to_owned(),
        settings: vec![("seed".to_owned(), "7".to_owned())],
        networks: vec![network(names[0], 1e-3), network(names[1], 5e-3)],
        digits: vec![DigitRow {
            index: 42,
            pixels: vec![0.5; 16],
            side: 4,
            label: 3,
            readings: vec![reading(1.0), reading(0.1)],
        }],
        toy: vec![panel],
        commands: vec!["cargo xtask demo".to_owned()],
        ..Report::default()
    }
}

/// The document's text and attribute values, after checking that every element
/// that is opened is closed in order.
fn check_structure(page: &str) -> String {
    let (mut open, mut text) = (Vec::new(), String::new());
    for piece in page.split('<').skip(1) {
        let (tag, rest) = piece.split_once('>').expect("a tag ends with >");
        text.push_str(rest);
        let name = tag.split_whitespace().next().expect("a tag has a name");
        assert_eq!(
            tag.matches('"').count() % 2,
            0,
            "unbalanced quotes in <{tag}>"
        );
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "closed out of order"),
            None if matches!(name, "!DOCTYPE" | "meta" | "img") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    text
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_from_outside() {
    let page = render(&report(["vanilla", "ROLL"])).unwrap();
    let text = check_structure(&page);
    for expected in [
        "×5.00",
        "97.4%",
        "498–500",
        "1 min 23 s",
        "layers.2, neuron 7",
    ] {
        assert!(text.contains(expected), "{expected} is missing");
    }
    for foreign in ["<script", "<link", "@import", "http:", "https:", "url("] {
        assert!(!page.contains(foreign), "{foreign} found");
    }
    for (at, _) in page
        .match_indices("src=\"")
        .chain(page.match_indices(" href=\""))
    {
        assert!(
            page[at..]
                .split('"')
                .nth(1)
                .unwrap()
                .starts_with("data:image/png;base64,")
        );
    }
}

#[test]
fn words_from_outside_are_escaped() {
    let hostile = "<b>\"&</title>";
    let mut report = report([hostile, "ROLL"]);
    report.title = hostile.to_owned();
    report.commands = vec![hostile.to_owned()];
    report.settings = vec![(hostile.to_owned(), hostile.to_owned())];
    report.toy[0].title = hostile.to_owned();
    report.digits[0].readings[0].limiting_neuron = hostile.to_owned();
    let page = render(&report).unwrap();
    check_structure(&page);
    assert!(!page.contains("<b>"));
}

#[test]
fn numbers_that_are_not_there_leave_a_readable_page() {
    for value in [0.0, f64::INFINITY, f64::NAN, -1.0] {
        let mut report = report(["vanilla", "ROLL"]);
        for network in &mut report.networks {
            network.accuracy = value;
            network.training_seconds = value;
            for radii in &mut network.radii {
                radii.values.fill(value);
                (radii.p25, radii.p50, radii.p75, radii.p100) = (value, value, value, value);
            }
        }
        for reading in &mut report.digits[0].readings {
            (reading.eps_1, reading.eps_2, reading.eps_inf) = (value, value, value);
            reading.gradient.fill(value as f32);
        }
        let panel = &mut report.toy[0];
        (panel.accuracy, panel.median_radius) = (value, value);
        panel.points[0].radius = value;
        panel.points[0].gradient = [value, value];
        panel.heat.values.fill(value as f32);
        panel
            .cells
            .push(vec![[value, value], [0.0, 0.0], [0.5, 0.5]]);
        let text = check_structure(&render(&report).unwrap());
        let text = text
            .split_once("</style>")
            .map_or(text.as_str(), |(_, body)| body);
        assert!(!text.contains("NaN"), "NaN reached the page for {value}");
        assert!(text_table(&report.networks).lines().count() == 7);
    }
    let mut empty = report(["vanilla", "ROLL"]);
    empty.networks.clear();
    empty.digits.clear();
    empty.toy.clear();
    check_structure(&render(&empty).unwrap());
    assert_eq!(text_table(&[]).lines().count(), 1);
}

#[test]
fn sizes_that_disagree_are_named() {
    let cause = |change: fn(&mut Report)| {
        let mut report = report(["vanilla", "ROLL"]);
        change(&mut report);
        causes(&render(&report).unwrap_err())
    };
    let pixels = cause(|report| report.digits[0].pixels.truncate(15));
    assert!(
        pixels.contains("digit 42") && pixels.contains("4 x 4"),
        "{pixels}"
    );
    let readings = cause(|report| report.digits[0].readings.truncate(1));
    assert!(readings.contains("1 readings for 2 networks"), "{readings}");
    let heat = cause(|report| report.toy[0].heat.rows = 3);
    assert!(
        heat.contains("6 values, expected 3 rows x 3 columns"),
        "{heat}"
    );
    let view = cause(|report| report.toy[0].viewport = [1.0, 1.0, 0.0, 1.0]);
    assert!(
        view.contains("vanilla") && view.contains("x0 < x1"),
        "{view}"
    );
    let huge = cause(|report| report.digits[0].side = usize::MAX);
    assert!(huge.contains("digit 42"), "{huge}");
}

#[test]
fn the_text_table_is_aligned_and_carries_the_ratio() {
    let table = text_table(&[network("vanilla", 1e-3), network("ROLL", 12.34e-3)]);
    let lines: Vec<Vec<char>> = table.lines().map(|line| line.chars().collect()).collect();
    assert_eq!(lines.len(), 7);
    // Right-aligned columns: each ends where its heading ends.
    for heading in ["accuracy", "P25", "P50", "P75", "P100"] {
        let start = table.lines().next().unwrap().find(heading).unwrap();
        let end = start + heading.len();
        for line in &lines[1..] {
            // The last column's heading may be the line's end.
            assert_eq!(line.get(end).copied().unwrap_or(' '), ' ', "{table}");
            if heading != "accuracy" {
                assert!(line[end - 1].is_ascii_digit(), "{table}");
            }
        }
    }
    assert_eq!(table.matches("×12.3").count(), 3, "{table}");
    assert!(table.lines().all(|line| line.trim_end() == line));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_picture_decodes_to_its_pixels(width in 1_usize..9, height in 1_usize..9, seed: u8) {
        let bytes: Vec<u8> = (0..width * height).map(|i| seed.wrapping_add((i * 37) as u8)).collect();
        let shades: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let uri = png::grey(width, height, &shades).unwrap();
        let encoded = uri.strip_prefix("data:image/png;base64,").unwrap();
        let file = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        let picture = image::load_from_memory(&file).unwrap().into_luma8();
        prop_assert_eq!(picture.dimensions(), (width as u32, height as u32));
        prop_assert_eq!(picture.into_raw(), bytes);
    }

    #[test]
    fn three_digits_are_kept(mantissa in 1.0..10.0, exponent in -12..9) {
        let value = mantissa * 10_f64.powi(exponent);
        let read: f64 = significant(value).parse().unwrap();
        // Three significant digits: half a unit of the third, relative to 1.00.
        prop_assert!((read / value - 1.0).abs() <= 0.00501, "{} reads {}", value, read);
    }

    /// A claim in three digits is no stronger than the number, and off by a unit of the last at most.
    #[test]
    fn claims_are_rounded_to_the_safe_side(mantissa in -10.0..10.0, exponent in -300..300) {
        let value = mantissa * 10_f64.powi(exponent);
        let read = |text: String| text.parse::<f64>().unwrap();
        for (bound, up) in [(read(at_most(value)), false), (read(at_least(value)), true)] {
            prop_assert!(if up { bound >= value } else { bound <= value }, "{} of {}", bound, value);
            prop_assert!((bound - value).abs() <= 0.010001 * value.abs(), "{} of {}", bound, value);
        }
    }

    #[test]
    fn a_logarithmic_axis_keeps_order_and_bounds(low in 1e-9..1.0, factor in 1.0..1e6_f64) {
        let axis = LogAxis::new(low, low * factor, 40.0, 300.0).unwrap();
        let (start, end) = (axis.position(low), axis.position(low * factor));
        prop_assert!(40.0 <= start && start <= end && end <= 300.0);
        for tick in axis.ticks() {
            let value = f64::from(tick.digit) * 10_f64.powi(tick.exponent);
            prop_assert!((axis.position(value) - tick.at).abs() < 1e-9);
        }
        prop_assert!(axis.decades(4).len() <= 4);
    }
}

/// The largest and the smallest number have no air on one side, which would be no number.
#[test]
fn an_axis_ends_where_numbers_do() {
    let least = f64::from_bits(1);
    for (low, high) in [
        (1e300, f64::MAX),
        (f64::MAX, f64::MAX),
        (1.7e308, 1.7e308),
        (least, least),
        (least, 1e-320),
    ] {
        let axis = LogAxis::new(low, high, 40.0, 300.0).unwrap();
        let (start, end) = (axis.position(low), axis.position(high));
        assert!(
            40.0 <= start && start <= end && end <= 300.0,
            "{start} to {end}"
        );
        assert!(axis.ticks().len() <= 9 * 14);
    }
}

#[test]
fn a_gradient_is_scaled_by_its_99th_percentile() {
    let gradient: Vec<f32> = (0..=200)
        .map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) })
        .collect();
    let shades = png::gradient_shades(&gradient);
    // numpy.percentile(range(201), 99) is 198.
    for (i, shade) in shades.iter().enumerate() {
        assert!((shade - (i as f32 / 198.0).min(1.0)).abs() < 1e-6);
    }
    // A single bright pixel among zeros still shows.
    let mut lonely = vec![0.0; 784];
    lonely[5] = -3.0;
    assert_eq!(png::gradient_shades(&lonely)[5], 1.0);
}

#[test]
fn numbers_read_as_a_person_writes_them() {
    assert_eq!(significant(9.996), "10.0");
    assert_eq!(significant(999.6), "1000");
    assert_eq!(significant(0.0), "0");
    assert_eq!(significant(f64::NAN), "–");
    assert_eq!(significant(f64::INFINITY), "∞");
    assert_eq!(power_of_ten(-12), "10⁻¹²");
    assert_eq!(seconds(59.97), "1 min 00 s");
}
