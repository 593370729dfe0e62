//! Rows of the ledger with any content. A damaged file, or one changed by another program, may have any value in any
//! column, so the tables here are those of the ledger without types and keys.

use crate::model::{Cursor, ReportHead};
use crate::store::disk::layout::Layout;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::quota::{self, Quota};
use crate::store::ledger::status::{self, ReportTotals};
use crate::store::read::store::Store;
use crate::store::tables::filter::Filter;
use jiff::civil::date;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, Transaction, params_from_iter};
use std::path::Path;

/// The store folder of this target: it does not exist, so that no path in a row leads to a file.
const NOWHERE: &str = "/nonexistent/dmarquet";

/// The tables; those of a group are read together.
const GROUPS: [&[&str]; 10] = [
    &["reports"],
    &["totals"],
    &["reporters"],
    &["folders", "pending", "done"],
    &["files"],
    &["rejected"],
    &["conflicts"],
    &["lookups"],
    &["batches"],
    &["tls_reports", "tls_policies", "tls_failures"],
];

/// A row of each table as the store would write it: the default of each column.
const PLAIN: &str = r#"
INSERT INTO batches VALUES (1, 1795600000000, 1, 2);
INSERT INTO files VALUES ('records/month=2026-11/00000001.parquet', 'records', '2026-11', 1, 2, 1, 9000, NULL);
INSERT INTO reports VALUES (1, x'000102030405060708090a0b0c0d0e0f',
    x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 20773, 1794787200000, 1794873599000,
    'Receiver One', 'd@example.net', NULL, 'id-1', '["two records"]', NULL, '1.0', 'example.com', 'reject', 'none', NULL,
    'r', 's', 100, '1:d', NULL, NULL, 2, 7, 5, 'm > INBOX > 7 > r.xml', 'r.xml', '<1@example.net>', NULL, 'example.net',
    NULL, 'pass', 1795600000000, 1795600000000, '[{"code":"period.swapped","detail":"begin is after end"}]', 1);
INSERT INTO totals VALUES ('2026-11', 1, 2, 7, 5);
INSERT INTO reporters VALUES ('Receiver One', 1, 1794873599000, 1795600000000);
INSERT INTO rejected VALUES (x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'm > INBOX > 9', 'a.gz',
    'expected XML, found none', 1795600000000, 1795600000000, 9, 'rejected/00-a.gz');
INSERT INTO conflicts VALUES (x'000102030405060708090a0b0c0d0e0f',
    x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'm > INBOX > 8', NULL, 'Receiver One', 'id-1',
    'example.com', 1795600000000, 1795600000000, 'conflicts/00.xml');
INSERT INTO folders VALUES ('m', 'INBOX', 7, 12, 1795600000000);
INSERT INTO pending VALUES ('m', 'INBOX', 7, 9, 'done');
INSERT INTO done VALUES ('m', 'INBOX', 14, 16);
INSERT INTO tls_reports VALUES (0, x'000102030405060708090a0b0c0d0e0f',
    x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 20773, 1794787200000, 1794873599000,
    'Receiver One', NULL, 'id-1', 1, 1, 'm > INBOX > 7 > r.json', 'r.json', '<1@example.net>', NULL, 'example.net', NULL,
    'pass', 1795600000000, 1795600000000, NULL, 1);
INSERT INTO tls_policies VALUES (0, 0, 'sts', 'example.com', 'version: STSv1', 'mx.example.com', 7, 2);
INSERT INTO tls_failures VALUES (0, 0, 0, 'certificate-expired', '192.0.2.7', 'mx.example.com', NULL, '192.0.2.8', 2, NULL, NULL);
INSERT INTO lookups VALUES ('192.0.2.7', 'ptr', '{"names":["mx.example.net"],"confirmed":true}', 1795600000000, 1795686400000);
"#;

/// A table: how to insert a row, and the default of each column.
struct Table {
    name: &'static str,
    columns: Vec<String>,
    insert: String,
    plain: Vec<Value>,
}

/// A store whose ledger is in memory and takes any value anywhere.
struct LooseLedger {
    store: Store,
    groups: Vec<Vec<Table>>,
}

impl LooseLedger {
    fn new() -> Self {
        let strict = in_memory();
        strict.make_tables().expect("the ledger's tables");
        strict.connection.execute_batch(PLAIN).expect("rows of the ledger");
        let loose = in_memory();
        let table = |name: &'static str| {
            let columns = columns(&strict.connection, name);
            let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
            let make = format!("CREATE TABLE {name} ({})", quoted.join(", "));
            loose.connection.execute_batch(&make).expect("the same table without types");
            let marks = vec!["?"; columns.len()].join(", ");
            Table { name, insert: format!("INSERT INTO {name} VALUES ({marks})"), plain: plain(&strict, name), columns }
        };
        let groups = GROUPS.iter().map(|group| group.iter().copied().map(table).collect()).collect();
        // The status, the quota and the progress of a mailbox look at these too.
        let others = "CREATE TABLE intents (path PRIMARY KEY, step, generation);
            CREATE TABLE uidls (mailbox, uidl, octets, pending)";
        loose.connection.execute_batch(others).expect("two tables");
        let store = Store { layout: Layout::new(Path::new(NOWHERE)), ledger: Some(loose), folder: false };
        Self { store, groups }
    }

    fn ledger(&self) -> &Ledger {
        self.store.ledger.as_ref().expect("it was made with one")
    }
}

fn in_memory() -> Ledger {
    let connection = Connection::open_in_memory().expect("memory");
    connection.set_prepared_statement_cache_capacity(64);
    Ledger { connection, path: "ledger.sqlite".into(), generation: None, file: None }
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").expect("a table");
    let names = statement.query_map([table], |row| row.get(0)).expect("its columns");
    names.collect::<Result<_, _>>().expect("names")
}

fn plain(ledger: &Ledger, table: &str) -> Vec<Value> {
    let row = ledger.connection.query_row(&format!("SELECT * FROM {table}"), [], |row| {
        (0..row.as_ref().column_count()).map(|index| row.get(index)).collect()
    });
    row.expect("a row of each table")
}

/// The value of a column. Text is bytes: `SQLite` does not require UTF-8.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Plain(Value),
    Text(Vec<u8>),
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Plain(value) => ToSqlOutput::Borrowed(value.into()),
            Self::Text(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
        })
    }
}

/// Takes values off the front of bytes.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn long(&mut self) -> i64 {
        let mut long = [0; 8];
        let taken = self.take(8);
        long[..taken.len()].copy_from_slice(taken);
        i64::from_le_bytes(long)
    }

    /// The value of a column: one of its own, or the plain one.
    fn cell(&mut self, column: &str, plain: &Value) -> Cell {
        match self.byte() {
            1 => Cell::Plain(Value::Null),
            2 => Cell::Plain(Value::Integer(self.long())),
            3 => Cell::Plain(Value::Integer(i64::from(self.byte().cast_signed()))),
            4 => Cell::Plain(Value::Real(f64::from_bits(self.long().cast_unsigned()))),
            5 => {
                let length = usize::from(self.byte());
                let text = self.take(length).to_vec();
                // A path from the root would lead somewhere.
                if ["path", "file"].contains(&column) && text.starts_with(b"/") {
                    return Cell::Plain(plain.clone());
                }
                Cell::Text(text)
            }
            6 => {
                let length = usize::from(self.byte());
                Cell::Plain(Value::Blob(self.take(length).to_vec()))
            }
            _ => Cell::Plain(plain.clone()),
        }
    }
}

/// As rows of one table, or of those read together: reading gives a value for each row, or a typed error.
pub fn ledger(bytes: &[u8]) {
    thread_local!(static LOOSE: LooseLedger = LooseLedger::new());
    LOOSE.with(|loose| {
        let mut bytes = Bytes(bytes);
        let group = &loose.groups[usize::from(bytes.byte()) % loose.groups.len()];
        let (mut rows, mut sound) = (Vec::new(), true);
        while !bytes.0.is_empty() && rows.len() < 8 {
            let table = match group.len() {
                1 => &group[0],
                more => &group[usize::from(bytes.byte()) % more],
            };
            let number = i64::try_from(rows.len()).expect("few rows");
            let columns = table.columns.iter().zip(&table.plain);
            let cells: Vec<Cell> = columns
                .map(|(column, plain)| match column.as_str() {
                    // The number of the row itself: it is what it is in any file.
                    "id" => Cell::Plain(Value::Integer(number)),
                    _ => bytes.cell(column, plain),
                })
                .collect();
            let insert = loose.ledger().connection.prepare_cached(&table.insert);
            insert.and_then(|mut insert| insert.execute(params_from_iter(&cells))).expect("a table that takes all");
            let mut all = table.columns.iter().zip(&table.plain).zip(&cells);
            sound &= all.all(|((column, plain), cell)| column == "id" || *cell == Cell::Plain(plain.clone()));
            rows.push(cells);
        }
        let reading = Reading { store: &loose.store, rows: &rows, columns: &group[0].columns, sound };
        reading.read(group[0].name);
        for table in group {
            let sql = format!("DELETE FROM {}", table.name);
            let clear = loose.ledger().connection.prepare_cached(&sql);
            clear.and_then(|mut clear| clear.execute([])).expect("a table that can be cleared");
        }
    });
}

/// A read of everything that uses some tables.
struct Reading<'a> {
    store: &'a Store,
    rows: &'a [Vec<Cell>],
    /// The columns of the first of the tables.
    columns: &'a [String],
    /// Everything is as the store would write it.
    sound: bool,
}

impl Reading<'_> {
    fn read(&self, table: &str) {
        let Self { store, rows, .. } = self;
        let ledger = store.ledger.as_ref().expect("it was made with one");
        match table {
            "reports" => self.reports(),
            "totals" => self.sums(),
            "folders" => self.cursors(),
            "files" => {
                let paths = self.typed(store.parts(&Filter::default()));
                assert!(paths.is_none_or(|paths| paths.len() <= rows.len()));
                let _ = self.typed(store.verify());
            }
            "rejected" => {
                let listed = self.typed(store.rejected());
                assert!(listed.is_none_or(|listed| listed.len() == rows.len()), "each is listed");
                held(ledger, quota::hold_rejected);
            }
            "conflicts" => {
                let listed = self.typed(store.conflicts());
                assert!(listed.is_none_or(|listed| listed.len() == rows.len()), "each is listed");
                held(ledger, |transaction, quota| quota::hold_conflicts(transaction, &store.layout, quota));
            }
            "tls_reports" => {
                let mut policies = 0;
                let read = store.tls_policies(&Filter::default(), &mut |_| policies += 1);
                // Reports that a damaged file gives one id share their policies.
                assert!(self.typed(read).is_none() || policies <= rows.len() * rows.len());
                let _ = self.typed(store.tls_reports_before(date(2026, 11, 30)));
                let _ = self.typed(store.verify());
            }
            "lookups" => {
                assert!(self.typed(store.names()).is_none_or(|names| names.len() <= rows.len()));
                assert!(self.typed(store.networks()).is_none_or(|networks| networks.len() <= rows.len()));
            }
            _ => {}
        }
        let Some(status) = self.typed(status::status(ledger)) else { return };
        let months = || status.months.iter();
        let sum = |of: fn(&ReportTotals) -> i64| months().fold(0_i64, |sum, (_, month)| sum.saturating_add(of(month)));
        assert_eq!(status.totals.messages, sum(|totals| totals.messages));
        assert!(months().map(|(month, _)| *month).is_sorted(), "{:?}", status.months);
        assert_eq!(status.newest_arrival, status.reporters.iter().map(|reporter| reporter.newest_arrival).max());
    }

    /// What was read; `None` for a typed error of the ledger.
    fn typed<T>(&self, read: Result<T, StoreError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(StoreError::Ledger { .. }) if !self.sound => None,
            Err(other) => panic!("expected an error of the ledger, found {other:?} in {:?}", self.rows),
        }
    }

    /// The integers of a column, if each row has one.
    fn integers(&self, column: &str) -> Vec<Option<i64>> {
        let at = self.columns.iter().position(|name| name == column).expect("a column of the table");
        let integer = |row: &Vec<Cell>| if let Cell::Plain(Value::Integer(long)) = row[at] { Some(long) } else { None };
        self.rows.iter().map(integer).collect()
    }

    /// Each report is given, and of a filter those that it asks for.
    fn reports(&self) {
        let read = |filter: &Filter| {
            let mut heads: Vec<ReportHead> = Vec::new();
            self.typed(self.store.heads(filter, &mut |head| heads.push(head))).map(|()| heads)
        };
        let Some(all) = read(&Filter::default()) else { return };
        assert_eq!(all.len(), self.rows.len(), "each report is given");
        let (from, to) = (date(2026, 11, 1), date(2026, 11, 30));
        let filter =
            Filter { from: Some(from), to: Some(to), domains: vec!["example.com".to_owned()], ..Filter::default() };
        let asked =
            |head: &&ReportHead| (from..=to).contains(&head.day) && head.policy.domain.as_str() == "example.com";
        let found = read(&filter).expect("what was read whole is read in part");
        assert_eq!(found.iter().collect::<Vec<_>>(), all.iter().filter(asked).collect::<Vec<_>>());
        let _ = self.typed(self.store.newest_of_mailbox("m"));
        self.sums();
    }

    /// If `verify` reports wrong sums, that is true: the other of the two tables is empty.
    fn sums(&self) {
        let Some(faults) = self.typed(self.store.verify()) else { return };
        let messages: Option<Vec<i64>> = self.integers("messages").into_iter().collect();
        let Some(messages) = messages else { return };
        let sum: i128 = messages.iter().map(|long| i128::from(*long)).sum();
        let told = faults.iter().any(|fault| fault.what.starts_with("kept sum of messages"));
        assert_eq!(told, sum != 0, "{messages:?}: {faults:?}");
    }

    /// The cursors of a mailbox: no more than there are rows, with UIDs in order.
    fn cursors(&self) {
        let Some(cursors) = self.typed(self.store.progress("m").map(|progress| progress.cursors)) else { return };
        assert!(cursors.len() <= self.rows.len());
        for (_, Cursor { pending, done, .. }) in &cursors {
            assert!(pending.len() + done.len() <= self.rows.len());
            assert!(pending.is_sorted_by_key(|(uid, _)| *uid), "{pending:?}");
            assert!(done.is_sorted_by_key(|(first, _)| *first), "{done:?}");
        }
    }
}

/// Applying a quota ends in an answer or an error of `SQLite`, and is rolled back.
fn held(ledger: &Ledger, hold: impl Fn(&Transaction<'_>, Quota) -> rusqlite::Result<()>) {
    let transaction = ledger.connection.unchecked_transaction().expect("no other transaction");
    let _ = hold(&transaction, Quota { bytes: 100, files: 3 });
    transaction.rollback().expect("a transaction can be taken back");
}
