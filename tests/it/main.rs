//! The program tested as a program, in one binary: each further integration test would link polars again.

mod golden;
mod journey;
mod layering;
mod properties;
mod readers;
mod replay;
mod workdir;
