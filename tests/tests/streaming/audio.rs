//! audio: see main.rs.
