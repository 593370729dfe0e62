//! Which customer owns a domain, if an operator manages the domains of several; and rows divided by owner.

use super::{Rows, Text, Words};
use std::collections::HashMap;
use std::sync::Arc;

/// The customers of an operator by their domains. A domain belongs to the customer that lists it, or the nearest domain
/// above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// In canonical form.
    by_domain: HashMap<Text, usize>,
}

impl Owners {
    /// Built from pairs of a canonical domain and the number of its owner.
    pub fn new<'a>(domains: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        Self { by_domain: domains.into_iter().map(|(domain, owner)| (domain.into(), owner)).collect() }
    }

    /// The number of the customer that owns a canonical domain.
    ///
    /// ```
    /// let owners = dmarquet::model::Owners::new([("example.com", 0), ("shop.example.com", 1)]);
    /// assert_eq!(owners.owner_of("mail.example.com"), Some(0));
    /// assert_eq!(owners.owner_of("a.shop.example.com"), Some(1));
    /// assert_eq!(owners.owner_of("badexample.com"), None);
    /// ```
    pub fn owner_of(&self, domain: &str) -> Option<usize> {
        if self.by_domain.is_empty() {
            return None;
        }
        let mut rest = domain;
        loop {
            if let Some(owner) = self.by_domain.get(rest) {
                return Some(*owner);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// The rows of each wanted customer, by number. Rows of others are left out, and so is every word that occurs in
    /// none of the customer's rows: nothing reaches another customer.
    pub fn divide(&self, rows: &Rows, wanted: impl Fn(usize) -> bool) -> Vec<(usize, Rows)> {
        let owner_of = |domain: &Text| self.owner_of(domain).filter(|owner| wanted(*owner));
        let by_code: Vec<Option<usize>> = rows.policy_domain.dictionary.iter().map(owner_of).collect();
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (row, code) in rows.policy_domain.codes.iter().enumerate() {
            order.extend(by_code.get(*code as usize).copied().flatten().map(|owner| (owner, row)));
        }
        order.sort_unstable();
        let mut words = WordsOfSome::default();
        let of_one = |rows_of: &[(usize, usize)]| (rows_of[0].0, words.some(rows, rows_of));
        order.chunk_by(|a, b| a.0 == b.0).map(of_one).collect()
    }
}

/// The names of sources that a customer does not see: they would tell it of other customers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WithheldNames {
    /// Whose it is.
    pub customer: usize,
    /// The domains of all customers.
    pub owners: Arc<Owners>,
    /// The organizational domains of all customers.
    pub organizations: Arc<Owners>,
    /// Those of this customer.
    pub own: Owners,
}

impl WithheldNames {
    /// Whether this is the name of a server's owner that nobody sees but the operator: it is a customer's domain.
    pub fn has_origin(&self, name: &str) -> bool {
        self.organizations.owner_of(&name.to_ascii_lowercase()).is_some()
    }

    /// Whether this is a host name below a domain of another customer.
    pub fn has_host(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self.owners.owner_of(&name) {
            Some(owner) => owner != self.customer,
            None => self.organizations.owner_of(&name).is_some() && self.own.owner_of(&name).is_none(),
        }
    }
}

/// The words used by one customer's rows, with new codes. The tables are reused for the next customer: with hundreds of
/// customers, allocating them each time would cost more than the rows.
#[derive(Default)]
struct WordsOfSome {
    /// The new code by column and old code.
    known: Vec<Vec<u32>>,
}

impl WordsOfSome {
    fn some(&mut self, rows: &Rows, of: &[(usize, usize)]) -> Rows {
        fn pick<T: Copy>(values: &[T], of: &[(usize, usize)]) -> Vec<T> {
            if values.is_empty() { Vec::new() } else { of.iter().map(|(_, row)| values[*row]).collect() }
        }
        let mut some = Rows {
            len: of.len(),
            day: pick(&rows.day, of),
            source: pick(&rows.source, of),
            count: pick(&rows.count, of),
            flags: pick(&rows.flags, of),
            cause: pick(&rows.cause, of),
            ..Rows::default()
        };
        self.known.resize_with(rows.words().len(), Vec::new);
        for ((all, words), known) in rows.words().into_iter().zip(some.words_mut()).zip(&mut self.known) {
            known.resize(all.dictionary.len(), Words::NULL);
            words.codes = pick(&all.codes, of);
            let mut used = Vec::new();
            for code in words.codes.iter_mut().filter(|code| (**code as usize) < all.dictionary.len()) {
                let new = &mut known[*code as usize];
                if *new == Words::NULL {
                    *new = u32::try_from(used.len()).unwrap_or(Words::NULL);
                    used.push(*code);
                }
                *code = *new;
            }
            words.dictionary = used.iter().map(|code| all.dictionary[*code as usize].clone()).collect();
            // Reset for the next customer without clearing the whole dictionary.
            used.iter().for_each(|code| known[*code as usize] = Words::NULL);
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(of: &[&str]) -> Words {
        let mut words = Words::default();
        for word in of {
            let known = words.dictionary.iter().position(|known| known == word).unwrap_or_else(|| {
                words.dictionary.push((*word).into());
                words.dictionary.len() - 1
            });
            words.codes.push(u32::try_from(known).unwrap());
        }
        words
    }

    #[test]
    fn each_customer_gets_its_own_rows_and_words_only() {
        let owners = Owners::new([("a.example", 0), ("b.example", 1), ("b.a.example", 1), ("c.example", 2)]);
        let rows = Rows {
            len: 5,
            day: vec![1, 2, 3, 4, 5],
            policy_domain: words(&["a.example", "b.example", "x.b.a.example", "nobody.example", "x.a.example"]),
            dkim_selector: words(&["of-a", "of-b", "of-b", "of-nobody", "shared"]),
            org_name: Words { codes: vec![0, Words::NULL, 1, 1, 0], dictionary: vec!["one".into(), "two".into()] },
            ..Rows::default()
        };
        let divided = owners.divide(&rows, |owner| owner < 2);
        assert_eq!(
            divided.iter().map(|(owner, rows)| (*owner, rows.day.clone())).collect::<Vec<_>>(),
            [(0, vec![1, 5]), (1, vec![2, 3])]
        );
        assert_eq!(divided[0].1.dkim_selector, words(&["of-a", "shared"]));
        assert_eq!(divided[1].1.dkim_selector, words(&["of-b", "of-b"]));
        assert_eq!(divided[1].1.org_name, Words { codes: vec![Words::NULL, 0], dictionary: vec!["two".into()] });
        assert!(divided[0].1.cause.is_empty(), "a column that was not read stays unread");
    }
}
