//! The geometry of the charts: coordinates of lines, columns and bars in units of a view box. The templates write the
//! markup, including classes, patterns and dark mode; a dozen shapes need no library.

use serde::Serialize;
use std::fmt::Write as _;

/// A small chart next to a number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sparkline {
    /// For terminals: one character per period.
    pub(crate) text: String,
    /// A description for screen readers.
    pub(crate) description: String,
    width: u32,
    height: u32,
    /// A line, with gaps without data; empty if it has columns.
    path: String,
    /// Where the line ends.
    end: Option<(String, String)>,
    /// Where the median is.
    median: Option<String>,
    /// The ends of the axis of a line.
    axis: Option<(String, String)>,
    columns: Vec<Rectangle>,
}

/// A rectangle.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rectangle {
    x: String,
    y: String,
    width: String,
    height: String,
    /// The class that colors it.
    class: &'static str,
}

/// A part of a bar: its start and length in percent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BarPart {
    x: String,
    width: String,
    /// The class that colors it.
    class: &'static str,
}

/// Columns of parts on top of each other, and a line of shares above them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StackedColumns {
    columns: Vec<Rectangle>,
    labels: Vec<(String, String)>,
    /// The largest sum, at the top of the axis.
    most: String,
    /// Half of it.
    half: String,
}

/// Shares over time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShareLine {
    path: String,
    points: Vec<(String, String)>,
    /// The range of earlier shares: its top and height.
    band: Option<(String, String)>,
    /// The share at the bottom of the axis, in percent.
    low: u32,
    labels: Vec<(String, String)>,
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The width of the large charts, and their height without the labels.
const LARGE: (f64, f64) = (480.0, 150.0);
/// Their left margin, for the axis.
const MARGIN: f64 = 44.0;

fn shown(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[expect(clippy::cast_precision_loss, reason = "a drawing needs no more than 52 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
fn place(at: usize) -> f64 {
    at as f64
}

/// A bar of text: its height among eight.
fn bar(share: f64) -> char {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let at = (share.clamp(0.0, 1.0) * 7.0).round() as usize;
    BARS[at]
}

/// The lower end of an axis of shares: four fifths if all are above, else zero.
fn low_end(shares: impl Iterator<Item = f64>) -> f64 {
    if shares.fold(1.0, f64::min) >= 0.8 { 0.8 } else { 0.0 }
}

/// A line with gaps where data is missing.
fn line(points: &[Option<(f64, f64)>]) -> String {
    let (mut path, mut drawing) = (String::new(), false);
    for point in points {
        if let Some((x, y)) = point {
            let _ = write!(path, "{}{} {}", if drawing { 'L' } else { 'M' }, shown(*x), shown(*y));
        }
        drawing = point.is_some();
    }
    path
}

/// Shares by period; `None` for a period without data.
/// The axis begins at zero if it is `whole`, so that charts of several domains can be compared.
pub(crate) fn share_sparkline(
    shares: &[Option<f64>],
    median: Option<f64>,
    whole: bool,
    description: String,
) -> Option<Sparkline> {
    if shares.iter().flatten().count() < 2 {
        return None;
    }
    let low = if whole { 0.0 } else { low_end(shares.iter().flatten().copied().chain(median)) };
    let (width, height) = (200.0, 48.0);
    let y = |share: f64| 3.0 + (1.0 - (share - low) / (1.0 - low)) * (height - 6.0);
    let step = (width - 40.0) / place(shares.len() - 1);
    let points: Vec<Option<(f64, f64)>> =
        shares.iter().enumerate().map(|(at, share)| share.map(|share| (36.0 + place(at) * step, y(share)))).collect();
    let end = points.last().copied().flatten().map(|(x, y)| (shown(x), shown(y)));
    let text = shares.iter().map(|share| share.map_or(' ', |share| bar((share - low) / (1.0 - low)))).collect();
    Some(Sparkline {
        text,
        description,
        width: 200,
        height: 48,
        path: line(&points),
        end,
        median: median.map(|median| shown(y(median))),
        axis: Some((format!("{:.0}%", low * 100.0), "100%".to_owned())),
        columns: Vec::new(),
    })
}

/// Counts by period; the last one is the requested period.
pub(crate) fn count_sparkline(counts: &[u64], class: &'static str, description: String) -> Option<Sparkline> {
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    if counts.len() < 2 {
        return None;
    }
    let step = 160.0 / place(counts.len());
    let column = |(at, count): (usize, &u64)| {
        let height = if *count > 0 { (float(*count) / float(most) * 38.0).max(1.5) } else { 0.0 };
        Rectangle {
            x: shown(place(at) * step),
            y: shown(40.0 - height),
            width: shown(step - 3.0),
            height: shown(height),
            class: if at + 1 == counts.len() { class } else { "c-other" },
        }
    };
    let character = |count: &u64| if *count == 0 { ' ' } else { bar(float(*count) / float(most)) };
    Some(Sparkline {
        text: counts.iter().map(character).collect(),
        description,
        width: 160,
        height: 40,
        path: String::new(),
        end: None,
        median: None,
        axis: None,
        columns: counts.iter().enumerate().map(column).collect(),
    })
}

/// Parts of a whole, side by side; every nonzero part is visible.
pub(crate) fn part_bar(parts: &[(&'static str, u64)]) -> Vec<BarPart> {
    let there: Vec<&(&'static str, u64)> = parts.iter().filter(|(_, count)| *count > 0).collect();
    let whole: f64 = there.iter().map(|(_, count)| float(*count)).sum();
    let least = 0.6;
    let widths: Vec<f64> = there.iter().map(|(_, count)| (float(*count) / whole * 100.0).max(least)).collect();
    let sum: f64 = widths.iter().sum();
    let mut x = 0.0;
    let draw = |((class, _), width): (&&(&'static str, u64), &f64)| {
        let width = width / sum * 100.0;
        let part = BarPart { x: format!("{x:.2}"), width: format!("{width:.2}"), class };
        x += width;
        part
    };
    there.iter().zip(&widths).map(draw).collect()
}

/// A period of [`stacked`]: its label, and its parts from the bottom up.
pub(crate) struct Stack {
    pub(crate) label: String,
    pub(crate) parts: Vec<(&'static str, u64)>,
}

/// Columns of parts; `None` if there is nothing to compare.
pub(crate) fn stacked(stacks: &[Stack], count: impl Fn(u64) -> String) -> Option<StackedColumns> {
    let sum = |stack: &Stack| stack.parts.iter().fold(0_u64, |sum, (_, part)| sum.saturating_add(*part));
    let most = stacks.iter().map(sum).max().filter(|most| *most > 0)?;
    if stacks.len() < 2 {
        return None;
    }
    let (width, height) = LARGE;
    let step = (width - MARGIN) / place(stacks.len());
    let mut columns = Vec::new();
    for (at, stack) in stacks.iter().enumerate() {
        let (x, mut y) = (MARGIN + place(at) * step + step * 0.1, height);
        for (class, part) in stack.parts.iter().filter(|(_, part)| *part > 0) {
            let tall = (float(*part) / float(most) * (height - 8.0)).max(1.2);
            y -= tall;
            columns.push(Rectangle { x: shown(x), y: shown(y), width: shown(step * 0.8), height: shown(tall), class });
        }
    }
    Some(StackedColumns {
        columns,
        labels: labels(stacks.iter().map(|stack| stack.label.as_str()), |at| MARGIN + (place(at) + 0.5) * step),
        most: count(most),
        half: count(most / 2),
    })
}

/// Every label, or as many as there is room for, the last among them.
fn labels<'a>(labels: impl ExactSizeIterator<Item = &'a str>, x: impl Fn(usize) -> f64) -> Vec<(String, String)> {
    let (all, every) = (labels.len(), labels.len().div_ceil(9));
    let fits = |at: &usize| (all - 1 - at).is_multiple_of(every);
    labels.enumerate().filter(|(at, _)| fits(at)).map(|(at, label)| (shown(x(at)), label.to_owned())).collect()
}

/// Labels and shares by period, with the range of all shares but the last.
pub(crate) fn share_line(shares: &[(String, Option<f64>)]) -> Option<ShareLine> {
    let known: Vec<f64> = shares.iter().filter_map(|(_, share)| *share).collect();
    if known.len() < 2 {
        return None;
    }
    let low = low_end(known.iter().copied());
    let (width, height) = LARGE;
    let y = |share: f64| 8.0 + (1.0 - (share - low) / (1.0 - low)) * (height - 8.0);
    let step = (width - MARGIN) / place(shares.len());
    let x = |at: usize| MARGIN + (place(at) + 0.5) * step;
    let at: Vec<Option<(f64, f64)>> =
        shares.iter().enumerate().map(|(at, (_, share))| share.map(|share| (x(at), y(share)))).collect();
    let before: Vec<f64> = shares[..shares.len() - 1].iter().filter_map(|(_, share)| *share).collect();
    let (top, bottom) = (before.iter().copied().fold(0.0, f64::max), before.iter().copied().fold(1.0, f64::min));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 or 80")]
    let low_percent = (low * 100.0).round() as u32;
    Some(ShareLine {
        path: line(&at),
        points: at.iter().flatten().map(|(x, y)| (shown(*x), shown(*y))).collect(),
        // A range of nearly everything is meaningless.
        band: (before.len() > 1 && top - bottom < 0.5).then(|| (shown(y(top)), shown((y(bottom) - y(top)).max(2.0)))),
        low: low_percent,
        labels: labels(shares.iter().map(|(label, _)| label.as_str()), x),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_without_data_is_a_gap_and_no_zero() {
        let chart = share_sparkline(&[Some(1.0), None, Some(0.9)], None, false, String::new()).unwrap();
        assert_eq!((chart.text.as_str(), chart.path.matches('M').count()), ("█ ▅", 2));
    }

    #[test]
    fn every_part_that_has_data_is_shown() {
        let bar = part_bar(&[("c-pass", 1_000_000), ("c-spoof", 1), ("c-fix", 0)]);
        assert_eq!(bar.len(), 2);
        assert!(bar[1].width.parse::<f64>().unwrap() > 0.5);
        let columns = count_sparkline(&[1_000_000, 1, 0], "c-pass", String::new()).unwrap();
        assert_eq!(columns.text.chars().collect::<Vec<_>>(), ['█', '▁', ' ']);
    }

    #[test]
    fn one_period_is_no_chart() {
        assert!(share_sparkline(&[Some(1.0)], None, false, String::new()).is_none());
        assert!(count_sparkline(&[7], "c-pass", String::new()).is_none());
        assert!(share_line(&[(String::new(), Some(1.0))]).is_none());
    }
}
