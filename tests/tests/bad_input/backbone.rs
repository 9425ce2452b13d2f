//! backbone: see main.rs.
