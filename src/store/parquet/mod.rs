//! Encodes rows as Parquet and decodes them. No length in a file is trusted before it is checked.

pub(crate) mod arrays;
pub(crate) mod checked_read;
mod column_types;
pub(crate) mod cut;
pub(crate) mod decode;
pub(crate) mod dictionary;
pub(crate) mod encode;
pub(crate) mod footer;
pub(crate) mod nested;
pub(crate) mod pages;
pub(crate) mod rows;
pub(crate) mod table_columns;
pub(crate) mod table_file;
