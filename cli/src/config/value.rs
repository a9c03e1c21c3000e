//! A value in the file, as the option would be typed.

use std::path::Path;

use clap::Arg;
use toml::de::DeValue;

/// The value as it would be typed, or what is wrong with it.
pub(super) type ValueTexts = Result<Vec<String>, String>;

/// What the value of a switch is called, which has none on the command line.
pub(super) const SWITCH: &str = "SWITCH";

/// A value in a file.
pub(super) struct Value<'v> {
    pub(super) toml: &'v DeValue<'v>,
    /// The file's directory, from which paths are taken.
    pub(super) directory: &'v Path,
}

impl Value<'_> {
    /// What would be typed for this option. What is in quotes may be several values too, with
    /// commas between, if the option takes several.
    pub(super) fn texts(&self, arg: &Arg) -> ValueTexts {
        let name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
        if name == SWITCH {
            return self.switch();
        }
        let texts = match arg.get_value_delimiter() {
            Some(delimiter) => self.several(delimiter)?,
            None => vec![self.single(name)?],
        };
        match name {
            "ADDR" => texts.into_iter().map(|text| self.address(text)).collect(),
            "FILE" => texts.into_iter().map(|text| self.file(text)).collect(),
            _ => Ok(texts),
        }
    }

    /// An option that is on or off.
    fn switch(&self) -> ValueTexts {
        match self.toml {
            DeValue::Boolean(is_on) => Ok(vec![is_on.to_string()]),
            _ => Err("write true or false".to_owned()),
        }
    }

    /// One value of what an option calls by this name. The digits of a mode are octal.
    fn single(&self, name: &str) -> Result<String, String> {
        match (self.toml, name) {
            (DeValue::Array(_), _) => Err("this takes one value, not an array".to_owned()),
            (DeValue::Boolean(is_on), "BOOL") => Ok(is_on.to_string()),
            (DeValue::Integer(number), "MODE") if number.radix() == 8 => {
                Ok(number.as_str().to_owned())
            }
            (DeValue::Integer(_), "MODE") => {
                Err("a mode is octal; write it like \"0660\" or 0o660".to_owned())
            }
            (value, _) => text(value),
        }
    }

    fn several(&self, delimiter: char) -> ValueTexts {
        let texts = match self.toml {
            DeValue::Array(values) => values.iter().map(|value| text(value.get_ref())).collect(),
            value => text(value).map(|text| vec![text]),
        };
        Ok(texts?.iter().flat_map(|text| text.split(delimiter)).map(str::to_owned).collect())
    }

    /// A file, whose path is taken from the directory.
    fn file(&self, path: String) -> Result<String, String> {
        if path.is_empty() {
            return Ok(path);
        }
        let path = self.directory.join(path).into_os_string().into_string();
        path.map_err(|_| "the file's directory is not valid UTF-8".to_owned())
    }

    /// An address; the path of a Unix socket is taken from the directory.
    fn address(&self, address: String) -> Result<String, String> {
        match address.strip_prefix("unix:") {
            Some(path) if !path.is_empty() && !path.starts_with('@') => {
                Ok(format!("unix:{}", self.file(path.to_owned())?))
            }
            _ => Ok(address),
        }
    }
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    let what = match value {
        DeValue::String(text) => return Ok(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            let number = number.map_err(|_| "the number is too large".to_owned());
            return Ok(number?.to_string());
        }
        DeValue::Boolean(_) => {
            return Err("write a value in quotes, not true or false".to_owned());
        }
        DeValue::Array(_) => return Err("nested arrays are not supported".to_owned()),
        DeValue::Float(_) => "a float",
        DeValue::Datetime(_) => "a date",
        DeValue::Table(_) => "a table",
    };
    Err(format!("write text or a whole number, not {what}"))
}
