//! Small integers for repeated things, so that adding up hashes and compares integers. IDs follow the order of arrival:
//! nothing may depend on their order without sorting.

use crate::model::{SourceAddress, Text, Words};
use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash},
};

/// A hash table for our keys: fast, and seeded, so that nobody can choose colliding addresses.
pub(crate) type IdMap<K, V> = HashMap<K, V, RandomState>;
/// A set of them.
pub(crate) type IdSet<K> = hashbrown::HashSet<K, RandomState>;

/// Adds the entries of another table.
pub(crate) fn merge<K: Hash + Eq, V: Default>(known: &mut IdMap<K, V>, more: IdMap<K, V>, add: impl Fn(&mut V, V)) {
    for (key, value) in more {
        add(known.entry(key).or_default(), value);
    }
}

/// An item that is its own key, or contains its key.
pub(crate) trait Keyed {
    /// The key type.
    type Key: Hash + Eq + ?Sized;

    /// Its key.
    fn key(&self) -> &Self::Key;
}

impl Keyed for Text {
    type Key = str;

    fn key(&self) -> &str {
        self
    }
}

impl Keyed for SourceAddress {
    type Key = Self;

    fn key(&self) -> &Self {
        self
    }
}

/// IDs 0, 1, 2, ... in the order of arrival. Each item is stored once, densely, beside a table of IDs.
#[derive(Debug, Clone)]
pub(crate) struct Interner<T> {
    items: Vec<T>,
    ids: HashTable<u32>,
    state: RandomState,
    /// Bytes that all words take; other items are not counted.
    bytes: usize,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ids: HashTable::new(), state: RandomState::default(), bytes: 0 }
    }
}

impl<T: Keyed> Interner<T> {
    /// From distinct items, in this order.
    pub(crate) fn of(items: Vec<T>) -> Self {
        let (mut ids, state) = (HashTable::with_capacity(items.len()), RandomState::default());
        let hash = |id: &u32| state.hash_one(items[*id as usize].key());
        for id in (0..).take(items.len()) {
            ids.insert_unique(hash(&id), id, hash);
        }
        Self { items, ids, state, bytes: 0 }
    }

    /// The ID of the item with a key; `new` creates it if necessary.
    pub(crate) fn id(&mut self, key: &T::Key, new: impl FnOnce() -> T) -> u32 {
        let Self { items, ids, state, .. } = self;
        let is = |id: &u32| items[*id as usize].key() == key;
        match ids.entry(state.hash_one(key), is, |id| state.hash_one(items[*id as usize].key())) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                let id = u32::try_from(items.len()).expect("4 billion distinct items do not fit into memory");
                free.insert(id);
                items.push(new());
                id
            }
        }
    }

    /// The ID of the item with a key, if it exists.
    pub(crate) fn find(&self, key: &T::Key) -> Option<u32> {
        let is = |id: &u32| self.items[*id as usize].key() == key;
        self.ids.find(self.state.hash_one(key), is).copied()
    }

    /// The item with an ID of this interner.
    pub(crate) fn get(&self, id: u32) -> &T {
        &self.items[id as usize]
    }

    /// The same, to change what is not its key.
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut T {
        &mut self.items[id as usize]
    }

    /// All items, in the order of their IDs, dropping the table.
    pub(crate) fn into_items(self) -> Vec<T> {
        self.items
    }

    /// All items, in the order of their ids.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }
}

/// Stands for words beyond the bounds: no domain, selector or result is spelled like this.
pub(crate) const OTHER: &str = "(other)";

/// Bytes per word besides its text: the item, and its table entry.
const WORD: usize = size_of::<Text>() + 8;

/// No word: a null, or a column that was not read.
pub(crate) const NONE: u32 = Words::NULL;

impl Interner<Text> {
    /// The id of a word.
    pub(crate) fn word(&mut self, word: &str) -> u32 {
        let before = self.items.len();
        let id = self.id(word, || word.into());
        self.bytes += if self.items.len() > before { word.len() + WORD } else { 0 };
        id
    }

    /// The ID of a known word, else that of [`OTHER`].
    pub(crate) fn known_or_other(&mut self, word: &str) -> u32 {
        self.find(word).unwrap_or_else(|| self.word(OTHER))
    }

    /// Bytes that all words take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text with an ID; empty for [`NONE`].
    pub(crate) fn text(&self, id: u32) -> &str {
        self.items.get(id as usize).map_or("", Text::as_str)
    }
}

/// A column of words whose dictionary is translated into IDs of an interner, each word on first use.
pub(crate) struct InternedColumn<'a> {
    words: &'a Words,
    ids: Vec<Option<u32>>,
}

impl<'a> InternedColumn<'a> {
    /// A column with nothing translated yet.
    pub(crate) fn new(words: &'a Words) -> Self {
        Self { words, ids: vec![None; words.dictionary.len()] }
    }

    /// The ID of a row's word, as `intern` finds it on first use; [`NONE`] if the row has none or the column was not read.
    pub(crate) fn id(&mut self, row: usize, intern: impl FnOnce(&str) -> u32) -> u32 {
        let code = self.words.codes.get(row).copied().unwrap_or(NONE) as usize;
        let (Some(word), Some(id)) = (self.words.dictionary.get(code), self.ids.get_mut(code)) else { return NONE };
        *id.get_or_insert_with(|| intern(word))
    }
}
