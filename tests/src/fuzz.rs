//! Fuzz targets as plain functions: cargo-fuzz runs them for hours, the test suite over a few thousand mutations.
