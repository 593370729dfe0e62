//! The weeks as bars: as characters, and what an SVG needs to draw them, in whole units of its view box. In: a [`Trend`].
//! Out: a short text, or a [`Chart`] of plain numbers; the template writes the markup.

use crate::present::page::summary::Trend;
use serde::Serialize;

/// Width of a bar with its gap.
const STEP: u64 = 40;

/// Width of a bar.
const BAR: u64 = 28;

/// Height of the drawing.
const HEIGHT: u64 = 80;

/// A bar chart of failing messages on passing ones.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Chart {
    width: u64,
    height: u64,
    bars: Vec<Bar>,
    /// What it shows, for those who cannot see it.
    description: String,
}

/// One period.
#[derive(Debug, Clone, Serialize)]
struct Bar {
    x: u64,
    width: u64,
    pass_y: u64,
    pass_height: u64,
    fail_y: u64,
    fail_height: u64,
    label: String,
    short: String,
    shown: String,
}

/// The chart of a series; null where it has fewer than two periods or no messages.
pub(crate) fn chart(trend: &Trend) -> Option<Chart> {
    let most = trend.points.iter().map(|point| point.messages).max().filter(|most| *most > 0)?;
    if trend.points.len() < 2 {
        return None;
    }
    // Whatever there is shows: one unit at least.
    let scaled = |messages: u64| {
        u64::try_from((u128::from(messages) * u128::from(HEIGHT)).div_ceil(u128::from(most))).unwrap_or(HEIGHT)
    };
    let mut bars = Vec::new();
    for (at, point) in (0_u64..).zip(&trend.points) {
        let fail_height = scaled(point.failing);
        let pass_height = scaled(point.messages).saturating_sub(fail_height);
        let fail_y = HEIGHT - pass_height - fail_height;
        bars.push(Bar {
            x: at * STEP,
            width: BAR,
            pass_y: HEIGHT - pass_height,
            pass_height,
            fail_y,
            fail_height,
            label: point.label.clone(),
            short: point.label.rsplit('-').next().unwrap_or_default().to_owned(),
            shown: point.shown.clone(),
        });
    }
    let said: Vec<String> = trend.points.iter().map(|point| format!("{}: {}", point.label, point.shown)).collect();
    let description = format!("Messages and failures by period. {}.", said.join("; "));
    Some(Chart { width: bars.len() as u64 * STEP, height: HEIGHT, bars, description })
}
