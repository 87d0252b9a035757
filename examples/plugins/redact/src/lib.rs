//! A plugin for both walls that takes secrets out of JSON.
//!
//! Its entry `redact` is called with `{"fields": ["password"], "document": ..}`, and answers with the
//! document, in which every field of such a name, however deep, is `"***"`. Names come out in the order
//! of the alphabet.

#![forbid(unsafe_code)]

use ringbox_guest::{Error, Host, Plugin, Reply, Status};
use serde_json::Value;

struct Redact;

impl Plugin for Redact {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Redact {
    /// What isn't text at all is answered before it gets here.
    fn redact(&self, asked: &str) -> Reply<'static> {
        match redacted(asked) {
            Ok(document) => Reply::ok(document.into_bytes()),
            Err(reason) => Reply::new(Status::Invalid, reason.into_bytes()),
        }
    }
}

fn redacted(asked: &str) -> Result<String, String> {
    let mut asked: Value = serde_json::from_str(asked).map_err(|error| error.to_string())?;
    let fields = asked["fields"].as_array().ok_or("`fields` has to be a list of names")?;
    let names: Option<Vec<_>> = fields.iter().map(|name| name.as_str().map(String::from)).collect();
    let names = names.ok_or("each of `fields` has to be a name")?;
    let document = asked.get_mut("document").ok_or("there is no `document`")?;
    redact(document, &names);
    Ok(document.to_string())
}

/// A document is read only up to a depth, so this goes no deeper.
fn redact(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if names.contains(name) {
                    *value = "***".into();
                } else {
                    redact(value, names);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, names)),
        _ => {}
    }
}

ringbox_guest::plugin! {
    type: Redact,
    name: "redact",
    entries: { "redact" => Redact::redact },
}
