//! What a table is: a name, a version, and columns with types and field ids.

use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, Metadata, TimeUnit};
use polars_utils::pl_str::PlSmallStr;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8.
    Text,
    /// Milliseconds since 1970, UTC.
    Time,
    /// A day.
    Date,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 64-bit floating-point number.
    Float,
    /// True or false.
    Flag,
    /// A list of structs of texts, by the names of their fields.
    Structs(&'static [&'static str]),
}

impl ColumnType {
    /// The type, as named in the documentation.
    pub fn name(self) -> String {
        let name = match self {
            Self::Text => "string",
            Self::Time => "timestamp ms, UTC",
            Self::Date => "date",
            Self::Int => "int32",
            Self::Long => "int64",
            Self::Float => "double",
            Self::Flag => "bool",
            Self::Structs(fields) => return format!("list of {{{}}}", fields.join(", ")),
        };
        name.to_owned()
    }

    /// The Arrow type.
    pub(crate) fn arrow(self) -> ArrowDataType {
        match self {
            Self::Text => ArrowDataType::Utf8View,
            Self::Time => ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Date => ArrowDataType::Date32,
            Self::Int => ArrowDataType::Int32,
            Self::Long => ArrowDataType::Int64,
            Self::Float => ArrowDataType::Float64,
            Self::Flag => ArrowDataType::Boolean,
            Self::Structs(fields) => {
                let text = |name: &&str| Field::new((*name).into(), ArrowDataType::Utf8View, true);
                let fields = ArrowDataType::Struct(fields.iter().map(text).collect());
                ArrowDataType::LargeList(Box::new(Field::new("element".into(), fields, true)))
            }
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name in Parquet, CSV, NDJSON, Arrow.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it is optional.
    pub nullable: bool,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

/// A column, in the lists of the tables.
pub(super) const fn column(name: &'static str, kind: ColumnType, nullable: bool, doc: &'static str) -> TableColumn {
    TableColumn { name, kind, nullable, doc }
}

impl TableColumn {
    /// Its Arrow field.
    pub(crate) fn field(&self) -> Field {
        Field::new(self.name.into(), self.kind.arrow(), self.nullable)
    }
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The name of the table, and of its folder in an export.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// The key of the version of the columns in a file's metadata.
    pub key: &'static str,
    /// The version of the columns.
    pub version: u32,
    /// The columns, in order.
    pub columns: fn() -> Vec<TableColumn>,
}

impl Table {
    /// The Arrow fields, each with the ID that a new Iceberg table gives it: first the columns in order, then the
    /// fields of lists, column by column. With any other IDs, Iceberg refuses to add the file.
    pub(crate) fn fields_with_ids(&self) -> Vec<Field> {
        let columns = (self.columns)();
        let mut last = columns.len();
        let mut next = || {
            last += 1;
            last
        };
        let field = |(column, id): (&TableColumn, usize)| {
            let mut field = column.field();
            if let ArrowDataType::LargeList(element) = &mut field.dtype {
                **element = with_id(std::mem::take(element.as_mut()), next());
                if let ArrowDataType::Struct(members) = &mut element.dtype {
                    for member in members {
                        *member = with_id(std::mem::take(member), next());
                    }
                }
            }
            with_id(field, id)
        };
        columns.iter().zip(1..).map(field).collect()
    }

    /// The names of the columns.
    pub(crate) fn column_names(&self) -> Vec<&'static str> {
        (self.columns)().iter().map(|column| column.name).collect()
    }

    /// The Arrow schema, without IDs.
    pub(crate) fn schema(&self) -> ArrowSchema {
        schema_of((self.columns)().iter().map(TableColumn::field))
    }

    /// The metadata of its files and streams: the version of its columns.
    pub(crate) fn metadata(&self) -> (String, String) {
        (self.key.to_owned(), self.version.to_string())
    }
}

/// The schema of some fields.
pub(crate) fn schema_of(fields: impl Iterator<Item = Field>) -> ArrowSchema {
    fields.map(|field| (field.name.clone(), field)).collect()
}

fn with_id(field: Field, id: usize) -> Field {
    let metadata: Metadata =
        [(PlSmallStr::from_static("PARQUET:field_id"), PlSmallStr::from_string(id.to_string()))].into();
    field.with_metadata(metadata)
}
