//! Where programs are: mite's own example, which is built if need be, the server, and the other load generators.
//! It is separate because a tool does not care how it came to be here.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mite::prelude::*;

/// See the module.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `examples/load`, built as users build: the default release profile.
    pub(crate) load: PathBuf,
    /// Where `benches/install-peers.sh` puts what it installs.
    pub(crate) peers: PathBuf,
}

impl Programs {
    pub(crate) fn new() -> Result<Self> {
        let load = built_example("load")?;
        // target/release/examples/load
        let target = load.ancestors().nth(3).map(Path::to_path_buf);
        let Some(target) = target else { bail!("{}: no folder of cargo's", load.display()) };
        Ok(Self { load, peers: target.join("peers") })
    }

    /// A program by its name, from the folder of the peers or as the shell finds it.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let folders = [self.peers.join("bin")].into_iter().chain(env::split_paths(&path)).chain(usual);
        folders.map(|folder| folder.join(name)).find(|file| file.is_file())
    }
}

/// The folder of the package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo, as it is for a user: what changes a release build, and what cargo tells of the build that is this one, is taken out
/// of its environment.
pub(crate) fn cargo() -> Command {
    const OURS: [&str; 4] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL", "CARGO_CRATE_NAME"];
    const PARTS: [&str; 3] = ["CARGO_PROFILE_", "CARGO_PKG_", "CARGO_MANIFEST_"];
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OURS.contains(&&*text) || PARTS.iter().any(|part| text.starts_with(part)) {
            command.env_remove(&name);
        }
    }
    command
}

fn built_example(name: &str) -> Result<PathBuf> {
    eprintln!("cargo build --release --example {name}");
    let arguments = ["build", "--release", "--example", name, "--message-format", "json-render-diagnostics"];
    let built = cargo().args(arguments).current_dir(package()).stderr(Stdio::inherit()).output()?;
    ensure!(
        built.status.success(),
        "the example {name}, which is mite's side of it, could not be built: {}",
        built.status
    );
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables = artifacts.filter(|artifact| artifact["target"]["name"] == name);
    let last = executables.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from)).next_back();
    last.ok_or_else(|| Error::msg(format!("cargo did not say where the example {name} is")))
}
