//! Packages from the Debian archive, fetched and unpacked without being installed.
//!
//! By an apt with its own folders, so the machine's apt is as it was. Which archive, its settings
//! say; who may sign, its keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cmd;

/// Where Debian keeps the settings of apt.
const SOURCES: &str = "/etc/apt";

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The newest first that are not in the making: the sources are wanted of one release of Rust,
/// which may be in any of them.
const SUITES: &[&str] =
    &["trixie-backports", "trixie", "forky", "sid", "bookworm-backports", "bookworm"];

/// The archive that this machine is set up with.
pub(super) struct Archive {
    url: String,
    folder: PathBuf,
}

/// A package's file.
pub(super) struct Package(PathBuf);

impl Archive {
    /// What is fetched goes to `scratch`.
    pub(super) fn of_this_machine(scratch: &Path) -> Result<Archive> {
        for tool in ["apt-get", "dpkg-deb"] {
            let found = cmd::version_of(tool, &["--version"]).is_some();
            ensure!(
                found,
                "there is no {tool} here, and only Debian's packages are known to have what is \
                 needed: install std for the targets with the tool that installed Rust"
            );
        }
        let url = settings()?.lines().find_map(archive).map(str::to_owned);
        let url = url.context("no Debian archive is named in apt's settings")?;
        let archive = Archive { url, folder: scratch.join("apt") };
        archive.prepare()?;
        Ok(archive)
    }

    /// The first package of one of these names whose version is `wanted`.
    pub(super) fn package(&self, names: &[&str], wanted: impl Fn(&str) -> bool) -> Result<Package> {
        for suite in SUITES {
            println!("looking for {} in {suite}", names.join(" or "));
            let line = format!("deb [signed-by={KEYS}] {} {suite} main\n", self.url);
            fs::write(self.folder.join("sources.list"), line)?;
            if cmd::read(self.apt("apt-get").args(["update", "-qq"])).is_err() {
                // Not every archive has every suite.
                continue;
            }
            for name in names {
                let listed = cmd::read(self.apt("apt-cache").args(["madison", name]))?;
                if let Some(version) = versions(&listed).find(|version| wanted(version)) {
                    return self.fetch(name, version);
                }
            }
        }
        bail!("{} is not in the archive {} as it is needed", names.join(" or "), self.url)
    }

    fn fetch(&self, name: &str, version: &str) -> Result<Package> {
        let folder = self.folder.join("fetched");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let package = format!("{name}={version}");
        cmd::run(self.apt("apt-get").current_dir(&folder).args(["download", "-q", &package]))?;
        let mut files = fs::read_dir(&folder)?;
        let file = files.next().with_context(|| format!("apt fetched no {package}"))??;
        Ok(Package(file.path()))
    }

    fn apt(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        command
    }

    fn prepare(&self) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        fs::write(self.folder.join("status"), "")?;
        let here = self.folder.display();
        let settings = format!(
            "Dir::Etc::sourcelist \"{here}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State \"{here}\";\n\
             Dir::State::lists \"{here}/lists\";\n\
             Dir::State::status \"{here}/status\";\n\
             Dir::Cache \"{here}/cache\";\n\
             Acquire::Languages \"none\";\n\
             APT::Sandbox::User \"root\";\n"
        );
        fs::write(self.folder.join("apt.conf"), settings)?;
        Ok(())
    }
}

impl Package {
    /// What the package would install, into a folder.
    pub(super) fn unpack(&self, into: &Path) -> Result<()> {
        fs::create_dir_all(into)?;
        cmd::run(Command::new("dpkg-deb").arg("-x").arg(&self.0).arg(into))
    }
}

/// All of apt's settings that may name an archive.
fn settings() -> Result<String> {
    let mut files = vec![Path::new(SOURCES).join("sources.list")];
    if let Ok(more) = fs::read_dir(Path::new(SOURCES).join("sources.list.d")) {
        files.extend(more.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    Ok(texts.collect::<Vec<_>>().join("\n"))
}

/// The Debian archive that a line of settings names.
fn archive(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().filter(|_| !line.trim_start().starts_with('#'));
    let url = words.find(|word| word.starts_with("http"))?.trim_end_matches('/');
    url.ends_with("/debian").then_some(url)
}

/// The versions in what `apt-cache madison` prints: `name | version | where`.
fn versions(listed: &str) -> impl Iterator<Item = &str> {
    listed.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::{archive, versions};

    #[test]
    fn the_archive_is_read_from_either_kind_of_settings() {
        let url = concat!("https:", "//example.com/debian");
        assert_eq!(archive(&format!("URIs: {url}/")), Some(url));
        assert_eq!(archive(&format!("deb [arch=amd64] {url} trixie main")), Some(url));
        assert_eq!(archive(&format!("# {url}")), None);
        assert_eq!(archive(&format!("deb {url}-security trixie-security main")), None);
        assert_eq!(archive("Suites: trixie"), None);
    }

    #[test]
    fn versions_are_in_the_second_column() {
        let listed = " rust-src | 1.95.0+dfsg1-1 | somewhere\n rust-src | 1.85.0-2 | else\n";
        assert_eq!(versions(listed).collect::<Vec<_>>(), ["1.95.0+dfsg1-1", "1.85.0-2"]);
        assert_eq!(versions("").count(), 0);
    }
}
