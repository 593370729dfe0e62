//! An answer as aligned columns, for people.

use crate::cli::terminal::output::clean;
use crate::query::{QueryError, cells};
use polars::prelude::DataFrame;
use std::io::Write;

/// Maximum characters shown of a cell.
const WIDEST: usize = 80;

/// Aligned columns; the first part of the result determines their widths.
pub(super) struct TextTable<'a> {
    out: &'a mut dyn Write,
    widths: Option<Vec<usize>>,
}

impl<'a> TextTable<'a> {
    /// Nothing is written before the first part is.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, widths: None }
    }

    /// Writes a part of the answer.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(super) fn write(&mut self, rows: &DataFrame) -> Result<(), QueryError> {
        let names: Vec<String> = rows.get_column_names().into_iter().map(|name| shown(Some(name.as_str()))).collect();
        let right: Vec<bool> = rows.dtypes().iter().map(polars::prelude::DataType::is_primitive_numeric).collect();
        let lines: Vec<Vec<String>> =
            cells(rows)?.into_iter().map(|row| row.into_iter().map(|cell| shown(cell.as_deref())).collect()).collect();
        if self.widths.is_none() {
            let width = |column: usize| {
                let cells = lines.iter().map(|line: &Vec<String>| line[column].chars().count());
                cells.max().unwrap_or(0).max(names[column].chars().count())
            };
            self.widths = Some((0..names.len()).map(width).collect());
            self.line(&names, &right)?;
        }
        lines.iter().try_for_each(|line| self.line(line, &right))
    }

    fn line(&mut self, cells: &[String], right: &[bool]) -> Result<(), QueryError> {
        let mut line = String::new();
        for ((cell, right), width) in cells.iter().zip(right).zip(self.widths.iter().flatten()) {
            let room = " ".repeat(width.saturating_sub(cell.chars().count()) + 2 * usize::from(!right));
            let (room, gap) = if *right { (room, "  ") } else { (room, "") };
            line.push_str(&if *right { room + cell + gap } else { cell.clone() + &room });
        }
        Ok(writeln!(self.out, "{}", line.trim_end())?)
    }
}

/// A value for display: cleaned, and cut if very long.
fn shown(text: Option<&str>) -> String {
    let Some(text) = text else { return "NULL".to_owned() };
    let clean = clean(text);
    if clean.chars().count() <= WIDEST {
        return clean;
    }
    clean.chars().take(WIDEST - 1).chain(['…']).collect()
}
