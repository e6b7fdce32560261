//! Draws what took time in an execution: a line for each span, with a bar where it stands in time.

use std::fmt::Write as _;
use std::fs::File;
use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::out::line;
use crate::config;

/// Columns where nobody says how many there are.
const WIDTH: usize = 100;

/// The narrowest and the widest that bars are drawn.
const BAR: (usize, usize) = (10, 100);

/// The widest that names are written, indentation included.
const NAME_MAX: usize = 40;

/// A block for each eighth of a cell.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// How a waterfall is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    width: usize,
    color: bool,
}

impl Style {
    /// What suits stdout: the terminal's width, and red where it is one.
    pub(super) fn of_stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let plain = config::variable("NO_COLOR").is_some_and(|no| !no.is_empty());
        Self { width: terminal.then(columns).flatten().unwrap_or(WIDTH), color: terminal && !plain }
    }

    fn failed(self, text: &str) -> String {
        if self.color { format!("\x1b[31m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How wide the terminal is, by the variable that people set or by the system's own tool.
fn columns() -> Option<usize> {
    let told = config::variable("COLUMNS").and_then(|columns| columns.parse().ok());
    told.or_else(|| {
        let terminal = Stdio::from(File::open("/dev/tty").ok()?);
        let size = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(size.stdout).ok()?.split_whitespace().nth(1)?.parse().ok().filter(|columns| *columns > 0)
    })
}

/// The spans of each attempt, as `GET /v1/executions/{id}/spans` lists them. Nothing when there are none.
pub(super) fn draw(attempts: &Value, style: Style) -> String {
    let attempts = attempts.as_array().map_or(&[][..], Vec::as_slice);
    attempts.iter().map(|attempt| one(attempt, attempts.len() > 1, style)).collect()
}

fn one(attempt: &Value, several: bool, style: Style) -> String {
    let spans = attempt["spans"].as_array().map_or(&[][..], Vec::as_slice);
    let end =
        spans.iter().map(|span| micros(&span["start_us"]) + micros(&span["duration_us"])).max().unwrap_or(0).max(1);
    let depths = depths(spans);
    let names = spans.iter().zip(&depths).map(|(span, depth)| name(span, *depth)).collect::<Vec<_>>();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    // Beside the bar: two for the indentation, two gaps of two, and nine for the time.
    let bar_width = style.width.saturating_sub(wide + 15).clamp(BAR.0, BAR.1);
    let mut told = if several { format!("\nattempt {}\n", attempt["attempt"]) } else { "\n".to_owned() };
    for index in in_order(spans) {
        let span = &spans[index];
        let bar = bar(micros(&span["start_us"]), span["duration_us"].as_u64(), end, bar_width);
        let time = span["duration_us"].as_u64().map_or_else(|| "not ended".to_owned(), duration);
        let row = format!("  {:<wide$}  {bar}  {time:>9}", names[index]);
        let _ = match span["error"].as_str() {
            Some(why) => writeln!(told, "{}", style.failed(format!("{row}  {}", line(why)).trim_end())),
            None => writeln!(told, "{row}"),
        };
    }
    match attempt["dropped"].as_u64() {
        None | Some(0) => {}
        Some(count) => told += &format!("  … {count} further spans were not kept\n"),
    }
    told
}

/// Parents before what stands in them, each by its start. A list is short enough to be gone through for each span.
fn in_order(spans: &[Value]) -> Vec<usize> {
    let mut order = Vec::with_capacity(spans.len());
    let mut waiting = vec![None];
    while let Some(parent) = waiting.pop() {
        order.extend(parent);
        let children = (0..spans.len()).rev().filter(|child| parent_of(spans, *child) == parent);
        waiting.extend(children.map(Some));
    }
    order
}

/// The span that one stands in. A parent comes before its children, so there is no circle.
fn parent_of(spans: &[Value], child: usize) -> Option<usize> {
    let parent = usize::try_from(spans[child]["parent"].as_u64()?).ok()?;
    (parent < child).then_some(parent)
}

fn depths(spans: &[Value]) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(spans.len());
    for child in 0..spans.len() {
        depths.push(parent_of(spans, child).map_or(0, |parent| depths[parent] + 1));
    }
    depths
}

fn name(span: &Value, depth: usize) -> String {
    let name = line(span["name"].as_str().unwrap_or_default()).into_owned();
    let indent = "  ".repeat(depth.min(8));
    let room = NAME_MAX - indent.len();
    if name.chars().count() <= room {
        return indent + &name;
    }
    indent + &name.chars().take(room - 1).collect::<String>() + "…"
}

/// A bar of `width` cells. One that has not ended reaches the end, and one too short to be seen has a stroke.
fn bar(start: u64, duration: Option<u64>, end: u64, width: usize) -> String {
    let eighths = width as u64 * 8;
    let place = |at: u64| usize::try_from(u128::from(at) * u128::from(eighths) / u128::from(end)).unwrap_or(0);
    let from = (place(start) / 8).min(width - 1);
    let to = place(duration.map_or(end, |duration| start + duration)).clamp(from * 8 + 1, width * 8);
    let cell = |cell: usize| if cell < from { ' ' } else { EIGHTHS[to.saturating_sub(cell * 8).min(8)] };
    (0..width).map(cell).collect()
}

fn micros(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn duration(us: u64) -> String {
    let (value, unit) = match us {
        0..1_000 => return format!("{us} µs"),
        1_000..1_000_000 => (us as f64 / 1e3, "ms"),
        1_000_000..60_000_000 => (us as f64 / 1e6, "s"),
        _ => (us as f64 / 60e6, "min"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drawn(spans: &Value, width: usize, color: bool) -> String {
        draw(&json!([{"attempt": 1, "dropped": 0, "spans": spans}]), Style { width, color })
    }

    #[test]
    fn bars_stand_where_their_spans_stand_in_time() {
        let spans = json!([
            {"name": "turn", "start_us": 0, "duration_us": 1_000_000},
            {"name": "llm.chat", "start_us": 100_000, "duration_us": 500_000, "parent": 0},
            {"name": "session.append", "start_us": 999_999, "duration_us": 1},
            {"name": "late", "start_us": 700_000, "parent": 0},
        ]);
        let drawn = drawn(&spans, 39, false);
        let wanted = "
  turn            ██████████     1.00 s
    llm.chat       █████         500 ms
    late                 ███  not ended
  session.append           ▉       1 µs
";
        assert_eq!(drawn, wanted);
    }

    #[test]
    fn a_failure_is_red_only_where_colour_is_wanted() {
        let spans = json!([{"name": "http\u{1b}[2J", "start_us": 0, "duration_us": 61_000_000, "error": "time\nout"}]);
        let plain = drawn(&spans, 20, false);
        assert_eq!(plain, "\n  http\\u{1b}[2J  ██████████   1.02 min  time\\nout\n");
        assert_eq!(drawn(&spans, 20, true), format!("\n\x1b[31m{}\x1b[0m\n", plain.trim_matches('\n')));
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(draw(&json!([]), Style { width: 80, color: false }), "");
        let attempts = json!([{"attempt": 1, "dropped": 0, "spans": []}, {"attempt": 2, "dropped": 7, "spans": []}]);
        let drawn = draw(&attempts, Style { width: 80, color: false });
        assert_eq!(drawn, "\nattempt 1\n\nattempt 2\n  … 7 further spans were not kept\n");
    }
}
