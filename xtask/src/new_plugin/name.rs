//! What a plugin may be called.

use std::str::FromStr;

/// A name that cargo takes for a package, the compiler for its library, and the template for a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Name(String);

/// What crates.io allows.
const LONGEST: usize = 64;

/// Names of crates that are the plugin's already, and the compiler's words.
const TAKEN: &str = "\
    alloc anyhow core pollster proc_macro serde_json std test \
    abstract as async await become box break const continue crate do dyn else enum extern \
    false final fn for gen if impl in let loop macro match mod move mut override priv pub \
    ref return self static struct super trait true try type typeof unsafe unsized use \
    virtual where while yield";

/// The types that the template uses, by these names.
const TYPES: &[&str] =
    &["Duration", "Error", "Host", "Ok", "Plugin", "Request", "Result", "Self", "String"];

impl Name {
    /// As cargo knows it.
    pub(super) fn package(&self) -> &str {
        &self.0
    }

    /// As files are called after it.
    pub(super) fn library(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As a type is.
    pub(super) fn type_name(&self) -> String {
        let words = self.0.split(['-', '_']).filter(|word| !word.is_empty());
        let name: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
        if TYPES.contains(&name.as_str()) { name + "Plugin" } else { name }
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Name, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if !name.chars().all(plain) {
            return Err("it may have lower-case letters, digits, `-` and `_`".to_owned());
        }
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err("it has to begin with a letter".to_owned());
        }
        if name.len() > LONGEST {
            return Err(format!("it may have {LONGEST} characters"));
        }
        let name = Name(name.to_owned());
        let library = name.library();
        if TAKEN.split(' ').any(|taken| taken == library) || library.starts_with("ringbox") {
            return Err("that is the name of something else: choose another".to_owned());
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_is_a_package_a_library_and_a_type() {
        for (name, library, type_name) in [
            ("hello", "hello", "Hello"),
            ("geo-filter_2", "geo_filter_2", "GeoFilter2"),
            ("x--y-", "x__y_", "XY"),
            ("host", "host", "HostPlugin"),
        ] {
            let name: Name = name.parse().unwrap();
            assert_eq!((name.library().as_str(), name.type_name().as_str()), (library, type_name));
        }
    }

    #[test]
    fn what_cargo_or_the_compiler_would_refuse_is_refused() {
        let long = "a".repeat(65);
        for bad in [
            "",
            "-a",
            "1a",
            "_",
            "a b",
            "a/b",
            "../a",
            "a.b",
            "ä",
            "Hello",
            "match",
            "std",
            "ringbox",
            "ringbox-guest",
            "proc-macro",
            &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
