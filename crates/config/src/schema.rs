//! The JSON Schema of a configuration file, for editors.

use schemars::generate::SchemaSettings;

use crate::raw::ConfigSpec;

/// The JSON Schema (2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ConfigSpec>().to_value()
}
