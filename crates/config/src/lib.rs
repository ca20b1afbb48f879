//! Portcullis configuration: `raw` (as written) -> `check` (all faults at once) -> `model` (legal
//! by construction), loaded from files and compared by stable name.

mod check;
mod de;
mod inputs;
mod load;
pub mod model;
mod node;
mod overlap;
pub mod quantity;
mod raw;
mod report;
mod schema;

pub use load::{Changes, Delta, Format, Loaded, Loader};
pub use report::{Fault, Place, Report, Severity};
pub use schema::schema;
