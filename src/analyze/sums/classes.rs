//! Groups rows into classes: two rows are in one class if they agree in every column examined. Work that depends only
//! on these columns is done once per class.

use super::interner::IdMap;

/// How many pairs of a class and a code fit in a plain table: 256 KB.
const PLAIN: usize = 1 << 16;

/// No class yet.
const NEW: u32 = u32::MAX;

/// The classes of some rows.
#[derive(Debug)]
pub(crate) struct Classes {
    of: Vec<u32>,
    first: Vec<usize>,
}

impl Classes {
    /// All rows in one class: no column examined.
    pub(crate) fn one(rows: usize) -> Self {
        Self { of: vec![0; rows], first: if rows > 0 { vec![0] } else { Vec::new() } }
    }

    /// Splits classes by this column: one code per row, or none if it was not read.
    pub(crate) fn split(&mut self, codes: impl Iterator<Item = u32> + Clone) {
        // The code of a missing word is the largest: here it comes before 0.
        let codes = codes.map(|code| code.wrapping_add(1));
        let (least, most) = codes.clone().fold((u32::MAX, 0), |(least, most), code| (least.min(code), most.max(code)));
        if least >= most {
            return;
        }
        let (classes, width) = (self.first.len(), (most - least) as usize + 1);
        let mut firsts = Firsts::default();
        // For few rows, building the table would take longer than it saves.
        let plain = PLAIN.min(4 * self.of.len());
        let rows = self.of.iter_mut().zip(codes).enumerate();
        if width.saturating_mul(classes) <= plain {
            let mut known = vec![NEW; width * classes];
            for (row, (class, code)) in rows {
                let known = &mut known[*class as usize * width + (code - least) as usize];
                if *known == NEW {
                    *known = firsts.next(row);
                }
                *class = *known;
            }
        } else {
            let mut known: IdMap<(u32, u32), u32> = IdMap::default();
            let mut last = None;
            for (row, (class, code)) in rows {
                let pair = (*class, code);
                *class = match last {
                    Some((same, class)) if same == pair => class,
                    _ => *known.entry(pair).or_insert_with(|| firsts.next(row)),
                };
                last = Some((pair, *class));
            }
        }
        self.first = firsts.0;
    }

    /// The class of each row.
    pub(crate) fn per_row(&self) -> &[u32] {
        &self.of
    }

    /// The first row of each class.
    pub(crate) fn firsts(&self) -> &[usize] {
        &self.first
    }
}

/// New classes by their first rows.
#[derive(Default)]
struct Firsts(Vec<usize>);

impl Firsts {
    fn next(&mut self, row: usize) -> u32 {
        self.0.push(row);
        u32::try_from(self.0.len() - 1).expect("a chunk has fewer rows")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(rows: usize, columns: &[&[u32]]) -> Vec<u32> {
        let mut classes = Classes::one(rows);
        columns.iter().for_each(|column| classes.split(column.iter().copied()));
        for (class, first) in classes.firsts().iter().enumerate() {
            assert_eq!(classes.per_row().iter().position(|of| *of as usize == class), Some(*first));
        }
        classes.per_row().to_vec()
    }

    #[test]
    fn rows_are_of_one_class_where_all_columns_agree() {
        const NULL: u32 = u32::MAX;
        assert_eq!(split(4, &[]), [0, 0, 0, 0]);
        assert_eq!(split(4, &[&[5, 5, 5, 5], &[], &[NULL; 4]]), [0, 0, 0, 0]);
        assert_eq!(split(4, &[&[0, NULL, 0, NULL], &[7, 7, 8, 7]]), [0, 1, 2, 1]);
        assert_eq!(split(4, &[&[0, 900, NULL, 900], &[7, 7, 8, 70_000]]), [0, 1, 2, 3]);
        assert!(split(0, &[&[]]).is_empty());
    }

    #[test]
    fn many_codes_are_distinguished_as_few_are() {
        let rows = 3000;
        let far: Vec<u32> = (0..rows).map(|row| (row % 700) * 6_000_000).collect();
        let near: Vec<u32> = (0..rows).map(|row| row % 300).collect();
        let classes = split(rows as usize, &[&near, &far]);
        let expected: std::collections::BTreeSet<_> = near.iter().zip(&far).collect();
        let found: std::collections::BTreeSet<_> = near.iter().zip(&far).zip(&classes).collect();
        assert_eq!(
            (found.len(), classes.iter().max()),
            (expected.len(), Some(&(u32::try_from(expected.len()).unwrap() - 1)))
        );
    }
}
