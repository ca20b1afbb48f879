//! The JSON Schema of a configuration file, for editors.

use schemars::generate::SchemaSettings;

use crate::raw::ConfigSpec;

/// The JSON Schema (2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ConfigSpec>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::KEYS;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/schema.json");

    /// Set `PORTCULLIS_BLESS=1` to write the file anew after a change that is meant.
    #[test]
    fn the_schema_is_the_golden_one() {
        let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("PORTCULLIS_BLESS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).unwrap();
            std::fs::write(GOLDEN, &text).unwrap();
        }
        let golden = std::fs::read_to_string(GOLDEN).unwrap();
        assert!(
            text == golden,
            "the schema changed: look at it with PORTCULLIS_BLESS=1 and git diff"
        );
    }

    #[test]
    fn the_schema_knows_the_keys_that_the_loader_knows() {
        let schema = schema();
        let properties = schema["properties"].as_object().unwrap();
        let mut known: Vec<&str> = KEYS.to_vec();
        known.sort_unstable();
        let mut described: Vec<&str> = properties.keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(described, known);
        assert_eq!(schema["required"], serde_json::json!(["listeners"]));
        assert_eq!(schema["additionalProperties"], false);
    }
}
