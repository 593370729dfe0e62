//! Small integers for things that repeat, so that adding up hashes and compares integers. Ids follow the order of
//! arrival: nothing of them may reach an answer unsorted.

use crate::model::{Text, Words};
use foldhash::fast::RandomState;
use std::{collections::HashMap, hash::Hash};

/// A hash table for keys of ours: fast, and seeded, so that nobody can choose addresses that collide.
pub(crate) type Table<K, V> = HashMap<K, V, RandomState>;

/// Ids 0, 1, 2, ... in the order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Interner<T> {
    ids: Table<T, u32>,
    items: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { ids: Table::default(), items: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The id of an item.
    pub(crate) fn id(&mut self, item: T) -> u32 {
        *self.ids.entry(item).or_insert_with_key(|item| {
            self.items.push(item.clone());
            u32::try_from(self.items.len() - 1).expect("4 billion distinct items do not fit into memory")
        })
    }

    /// The item of an id that this interner gave.
    pub(crate) fn get(&self, id: u32) -> &T {
        &self.items[id as usize]
    }

    /// All items, in the order of their ids.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// For each id of another interner, the id here.
    pub(crate) fn adopt(&mut self, other: &Self) -> Vec<u32> {
        other.items.iter().map(|item| self.id(item.clone())).collect()
    }
}

/// No word: a null, or a column that was not read.
pub(crate) const NONE: u32 = Words::NULL;

impl Interner<Text> {
    /// The text of an id; null for [`NONE`].
    pub(crate) fn text(&self, id: u32) -> Option<&Text> {
        self.items.get(id as usize)
    }
}

/// A column of words with its dictionary translated once a chunk into ids of an interner.
pub(crate) struct Column<'a> {
    codes: &'a [u32],
    ids: Vec<u32>,
}

impl<'a> Column<'a> {
    /// Translate the dictionary.
    pub(crate) fn new(words: &'a Words, texts: &mut Interner<Text>) -> Self {
        Self { codes: &words.codes, ids: words.dictionary.iter().map(|word| texts.id(word.clone())).collect() }
    }

    /// The ids of the dictionary's words, by code.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().copied()
    }

    /// The id of a row's word; [`NONE`] where null, or where the column was not read.
    pub(crate) fn id(&self, row: usize) -> u32 {
        let code = self.codes.get(row).copied().unwrap_or(NONE);
        self.ids.get(code as usize).copied().unwrap_or(NONE)
    }
}
