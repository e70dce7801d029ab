//! The config that a command line gives: a file, the environment and options, of which the later wins.
//!
//! It is apart from the config itself, which knows nothing of files and of the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use mite_core::Config;
use toml::{Table, Value};

const PREFIX: &str = "MITE_CONF_";

/// `--config`, then the environment's `MITE_CONF_key`, then `--add-to-config` and `--set`.
pub(crate) fn of(arguments: &ArgMatches) -> Result<Config, String> {
    let mut config = Config::new();
    if let Some(path) = arguments.get_one::<PathBuf>("config") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("failed to read the config {}: {error}", path.display()))?;
        add_file(&mut config, path, &text)?;
    }
    add_environment(&mut config, std::env::vars_os())?;
    for option in ["add-to-config", "set"] {
        for (key, value) in arguments.get_many::<(String, String)>(option).into_iter().flatten() {
            config.set(key.as_str(), value);
        }
    }
    Ok(config)
}

/// What the environment alone says.
pub(crate) fn of_environment() -> Result<Config, String> {
    let mut config = Config::new();
    add_environment(&mut config, std::env::vars_os())?;
    Ok(config)
}

fn add_file(config: &mut Config, path: &Path, text: &str) -> Result<(), String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        format!("the config {} is no TOML: {} (line {line})", path.display(), error.message().replace('\n', ", "))
    })?;
    for (key, value) in table {
        let value = readable(value).map_err(|what| {
            format!("the config {}: {key:?} has {what}, which no config can hold: write it as text", path.display())
        })?;
        config.set(key, value);
    }
    Ok(())
}

/// The same value with dates as text, which TOML's serde form hides in a map.
fn readable(value: Value) -> Result<Value, &'static str> {
    Ok(match value {
        Value::Datetime(date) => Value::String(date.to_string()),
        Value::Float(float) if !float.is_finite() => return Err("a number that is not finite"),
        Value::Array(values) => Value::Array(values.into_iter().map(readable).collect::<Result<_, _>>()?),
        Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| readable(value).map(|value| (key, value)));
            Value::Table(entries.collect::<Result<_, _>>()?)
        }
        other => other,
    })
}

fn add_environment(
    config: &mut Config,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), String> {
    for (name, value) in variables {
        // A name that is no Unicode is none of ours.
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).filter(|key| !key.is_empty()) else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| format!("the environment's {PREFIX}{key} is no Unicode text"))?;
        config.set(key, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Config, String> {
        let mut config = Config::new();
        add_file(&mut config, Path::new("load.toml"), text)?;
        Ok(config)
    }

    #[test]
    fn a_file_has_values_of_any_type() {
        let text =
            "app_url = \"http://app\"\nrate = 0.5\nusers = 3\nsizes = [1, 2]\nsince = 2026-01-02\n[limits]\np99 = 7\n";
        let config = from_file(text).unwrap();
        assert_eq!(config.get::<String>("app_url").unwrap(), "http://app");
        assert_eq!(config.get::<f64>("rate").unwrap().to_string(), "0.5");
        assert_eq!(config.get::<u8>("users").unwrap(), 3);
        assert_eq!(config.get::<Vec<u8>>("sizes").unwrap(), [1, 2]);
        assert_eq!(config.get::<String>("since").unwrap(), "2026-01-02");
        let limits = config.get::<std::collections::BTreeMap<String, u8>>("limits").unwrap();
        assert_eq!(limits["p99"], 7);
    }

    #[test]
    fn a_file_that_is_wrong_is_told_with_its_line() {
        let told = from_file("a = 1\nb = = 2\n").unwrap_err();
        assert!(told.starts_with("the config load.toml is no TOML: ") && told.ends_with("(line 2)"), "{told}");
        let told = from_file("a = [1.0, nan]").unwrap_err();
        assert_eq!(
            told,
            "the config load.toml: \"a\" has a number that is not finite, which no config can hold: write it as text"
        );
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut config = from_file("url = \"file\"\nother = 1").unwrap();
        let variables = [("MITE_CONF_url", "environment"), ("MITE_CONF_", "no key"), ("PATH", "/bin")];
        add_environment(&mut config, variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        assert_eq!(config.get::<String>("url").unwrap(), "environment");
        assert_eq!(config.keys().collect::<Vec<_>>(), ["other", "url"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let variable = [("MITE_CONF_url".into(), OsString::from_vec(vec![0xff]))];
        let told = add_environment(&mut Config::new(), variable).unwrap_err();
        assert_eq!(told, "the environment's MITE_CONF_url is no Unicode text");
    }
}
