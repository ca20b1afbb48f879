//! What an operator steers Portcullis by: the admin listener.
//!
//! It runs on the control runtime, knows nothing of the data plane, and gets what it shows and
//! does as closures from the binary.

pub mod admin;
