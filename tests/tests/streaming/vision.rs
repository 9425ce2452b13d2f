//! vision: see main.rs.
