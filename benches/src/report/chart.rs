//! Bars of the rates, the bare server's being the longest.

use std::fmt::Write as _;

use super::Row;

const WIDTH: f64 = 760.0;
const BAR: f64 = 22.0;
const NAME: f64 = 180.0;

/// What is Flowgate's, and what is not.
const OURS: &str = "#345";
const OTHERS: &str = "#a9b4bf";

/// The chart as SVG.
pub(super) fn of(rows: &[Row], bare: f64) -> String {
    let mut bars = String::new();
    for (place, row) in rows.iter().enumerate() {
        let ratio = row.rate() / bare;
        let width = ratio * (WIDTH - NAME - 60.0);
        let y = place as f64 * BAR + 4.0;
        let fill = if row.is_other() { OTHERS } else { OURS };
        let _ = writeln!(
            bars,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{NAME:.0}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{ratio:.3}</text>",
            NAME - 8.0,
            y + 12.0,
            row.name(),
            width.max(1.0),
            NAME + width + 6.0,
            y + 12.0,
        );
    }
    let height = rows.len() as f64 * BAR + 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\"><title>Requests per second, of the bare server's</title>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><g fill=\"#345\">\n{bars}</g></svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Topic;

    #[test]
    fn the_chart_has_a_bar_for_each_case() {
        let chart = of(&[Row::of("bare", "it", Topic::Ceilings), Row::of("sync", "it", Topic::Ceilings)], 1.0);
        assert_eq!(chart.matches("<rect x=").count(), 2, "{chart}");
    }
}
