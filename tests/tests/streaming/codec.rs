//! codec: see main.rs.
