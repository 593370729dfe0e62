//! The sources and the documentation: who may import what, and that pages match the program.

mod docs;
mod layering;
