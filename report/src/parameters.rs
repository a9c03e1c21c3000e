//! The parameters of a load: the part of a report by which it can be repeated.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The parameters of a load in their order: names as in JSON, and values. What was left open is
/// null.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(Vec<(String, Value)>);

impl Parameters {
    /// The value of this parameter; null if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &Value {
        let found = self.0.iter().find(|(each, _)| each == name);
        found.map_or(&Value::Null, |(_, value)| value)
    }

    /// Gives this parameter another value, or adds it as the last one.
    pub fn set(&mut self, name: &str, to: Value) {
        match self.0.iter_mut().find(|(each, _)| each == name) {
            Some((_, value)) => *value = to,
            None => self.0.push((name.to_owned(), to)),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&name[..], value))
    }

    /// Those that have a value, as text on one line.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        let shown = self.iter().map(|(name, value)| (name, text(value)));
        shown.filter(|(_, text)| !text.is_empty())
    }

    /// All, with the names that columns have.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (String, String)> {
        self.iter().map(|(name, value)| (snake_case(name), text(value)))
    }
}

impl<N: Into<String>> FromIterator<(N, Value)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(parameters: I) -> Self {
        Self(parameters.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Keeps the order, which a map of serde_json doesn't.
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of parameters")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Parameters, M::Error> {
                let mut parameters = Parameters::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    parameters.set(&name, value);
                }
                Ok(parameters)
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A value without the marks of JSON, on one line; nothing for null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let escaped = |c: char| match c.is_control() {
                true => c.escape_default().to_string(),
                false => c.to_string(),
            };
            text.chars().map(escaped).collect()
        }
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
impl schemars::JsonSchema for Parameters {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Parameters".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "The parameters of a load by name; what was left open is null.";
        schemars::json_schema!({"description": description, "type": "object"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Parameters {
        Parameters::from_iter([
            ("connectRate", Value::Null),
            ("source", json!(["127.0.0.2", "127.0.0.3"])),
            ("address", json!("a\nb")),
            ("size", json!(32)),
            ("server", Value::Null),
        ])
    }

    #[test]
    fn a_parameter_is_shown_as_it_was_given() {
        let mut parameters = parameters();
        parameters.set("server", json!("127.0.0.1:1"));
        let shown: Vec<String> =
            parameters.shown().map(|(name, text)| format!("{name}={text}")).collect();
        let expected =
            ["source=127.0.0.2,127.0.0.3", r"address=a\nb", "size=32", "server=127.0.0.1:1"];
        assert_eq!(shown, expected);
        assert_eq!(parameters.columns().next(), Some(("connect_rate".to_owned(), String::new())));
    }

    #[test]
    fn parameters_keep_their_order_in_a_file() {
        let written = serde_json::to_string(&parameters()).unwrap();
        assert!(written.starts_with(r#"{"connectRate":null,"source":["#), "{written}");
        assert_eq!(serde_json::from_str::<Parameters>(&written).unwrap(), parameters());
    }
}
