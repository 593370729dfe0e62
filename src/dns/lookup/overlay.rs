//! DNS as it would be after a record is published, so that a proposed record can be checked before it is shown.

use super::answer::{Answer, Data, DnsQuestion, Lookup, QueryType, Txt};

/// Answers like another lookup, except for one name and type.
pub struct Overlay<'a> {
    below: &'a dyn Lookup,
    question: DnsQuestion,
    records: Vec<Data>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay")
            .field("question", &self.question)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// DNS with these records in place of all records of this name and type.
    pub fn new(below: &'a dyn Lookup, name: &str, kind: QueryType, records: Vec<Data>) -> Self {
        Self { below, question: DnsQuestion::new(name, kind), records }
    }

    /// DNS with this TXT record in place of those for which `is_replaced` is true; the other TXT records of the name
    /// stay.
    pub fn txt(below: &'a dyn Lookup, name: &str, text: &str, is_replaced: impl Fn(&str) -> bool) -> Self {
        let there = below.txt(name).found().unwrap_or_default();
        let mut records: Vec<Data> =
            there.into_iter().filter(|txt| !is_replaced(&txt.text())).map(Data::Text).collect();
        records.push(Data::Text(Txt { strings: text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect() }));
        Self::new(below, name, QueryType::Txt, records)
    }
}

impl Lookup for Overlay<'_> {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if *question == self.question { Answer::Found(self.records.clone()) } else { self.below.ask(question) }
    }

    fn announce(&self, questions: &[DnsQuestion]) {
        self.below.announce(questions);
    }
}
