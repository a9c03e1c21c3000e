//! A value in the file, which becomes the value of an option by the option's own parser.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::builder::{BoolishValueParser, PathBufValueParser, TypedValueParser};
use toml::de::DeValue;

use crate::args::environment::in_one_line;
use crate::units;

/// The value as it would be typed, or what is wrong with it.
pub(super) type ValueTexts = Result<Vec<String>, String>;

/// A value in a file.
pub(super) struct Value<'v> {
    pub(super) toml: &'v DeValue<'v>,
    /// The file's directory, from which paths are taken.
    pub(super) directory: &'v Path,
    /// The command whose error messages the parsers make.
    pub(super) command: &'v Command,
}

impl Value<'_> {
    /// One value.
    pub(super) fn one<P: TypedValueParser>(
        &self,
        parser: P,
        field: &mut impl From<P::Value>,
    ) -> ValueTexts {
        let text = text(self.single()?)?;
        *field = self.parse(&parser, &text)?.into();
        Ok(vec![text])
    }

    /// One value or an array of them; what is in quotes may be several too, with commas between.
    pub(super) fn many<P: TypedValueParser>(
        &self,
        parser: P,
        field: &mut Vec<P::Value>,
    ) -> ValueTexts {
        let texts = self.texts()?;
        let values = texts.iter().map(|text| self.parse(&parser, text));
        *field = values.collect::<Result<_, _>>()?;
        Ok(texts)
    }

    /// An option that is on or off.
    pub(super) fn switch(&self, field: &mut bool) -> ValueTexts {
        match self.toml {
            DeValue::Boolean(is_on) => {
                *field = *is_on;
                Ok(vec![is_on.to_string()])
            }
            _ => Err("write true or false".to_owned()),
        }
    }

    /// An option that takes `true` and the like for a value.
    pub(super) fn boolean(&self, field: &mut bool) -> ValueTexts {
        match self.toml {
            DeValue::Boolean(_) => self.switch(field),
            _ => self.one(BoolishValueParser::new(), field),
        }
    }

    /// A mode, whose digits are octal.
    pub(super) fn mode(&self, field: &mut u32) -> ValueTexts {
        let text = match self.single()? {
            DeValue::Integer(number) if number.radix() == 8 => number.as_str().to_owned(),
            DeValue::Integer(_) => {
                return Err("a mode is octal; write it like \"0660\" or 0o660".to_owned());
            }
            other => text(other)?,
        };
        *field = self.parse(&units::mode, &text)?;
        Ok(vec![text])
    }

    /// A file.
    pub(super) fn path(&self, field: &mut Option<PathBuf>) -> ValueTexts {
        let text = text(self.single()?)?;
        let path = self.directory.join(self.parse(&PathBufValueParser::new(), &text)?);
        let written = vec![path.display().to_string()];
        *field = Some(path);
        Ok(written)
    }

    /// An address to listen at.
    pub(super) fn address(&self, field: &mut Option<String>) -> ValueTexts {
        let address = self.resolved(text(self.single()?)?)?;
        *field = Some(address.clone());
        Ok(vec![address])
    }

    /// Several of them.
    pub(super) fn addresses(&self, field: &mut Vec<String>) -> ValueTexts {
        let addresses = self.texts()?.into_iter().map(|address| self.resolved(address));
        *field = addresses.collect::<Result<_, _>>()?;
        Ok(field.clone())
    }

    /// The address; the path of a Unix socket is taken from the directory.
    fn resolved(&self, address: String) -> Result<String, String> {
        match address.strip_prefix("unix:") {
            Some(path) if !path.is_empty() && !path.starts_with('@') => {
                let path = self.directory.join(path).into_os_string().into_string();
                let path =
                    path.map_err(|_| "the file's directory is not valid UTF-8".to_owned())?;
                Ok(format!("unix:{path}"))
            }
            _ => Ok(address),
        }
    }

    fn parse<P: TypedValueParser>(&self, parser: &P, text: &str) -> Result<P::Value, String> {
        let parsed = parser.parse_ref(self.command, None, OsStr::new(text));
        // The key stands in front already.
        parsed.map_err(|error| in_one_line(&error).replace(" for '...'", ""))
    }

    fn single(&self) -> Result<&DeValue<'_>, String> {
        match self.toml {
            DeValue::Array(_) => Err("this takes one value, not an array".to_owned()),
            value => Ok(value),
        }
    }

    fn texts(&self) -> ValueTexts {
        let texts = match self.toml {
            DeValue::Array(values) => values.iter().map(|value| text(value.get_ref())).collect(),
            value => text(value).map(|text| vec![text]),
        };
        Ok(texts?.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect())
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
