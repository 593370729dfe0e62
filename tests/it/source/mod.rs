//! The sources and the documentation: which module may import which, and whether the pages match the program.

mod claims;
mod docs;
mod layering;
