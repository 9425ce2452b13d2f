//! The keys of the cluster's configuration file, with every default and its reason.

use std::net::SocketAddr;
use std::path::PathBuf;

use caracal_edge::config::Compute;
use caracal_edge::settings::{Keys, Range, Settings};

/// Looked for in the working folder when no file is named.
pub const CONFIG_FILE: &str = "caracal-cluster.toml";

/// Everything.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterConfig {
    /// Folder of the model.
    pub model: PathBuf,
    /// Which device computes.
    pub compute: Compute,
    /// What is logged: an `EnvFilter` directive.
    pub log: String,
    /// Where edges connect, UDP.
    pub listen: String,
    /// Where metrics are read, TCP; empty: nowhere.
    pub metrics: String,
    /// Folder of certificate, key and device tokens.
    pub state: PathBuf,
    /// Host names of the certificate, parted by spaces.
    pub names: String,
    /// Sessions at most.
    pub sessions: u32,
    /// Positions that a session remembers at most.
    pub context: u32,
    /// Positions of one cache block.
    pub block_tokens: u32,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            model: "models/kitten".into(),
            compute: Compute::Auto,
            log: "info".into(),
            listen: "0.0.0.0:4433".into(),
            metrics: String::new(),
            state: "caracal-state".into(),
            names: "localhost".into(),
            sessions: 8,
            context: 8192,
            block_tokens: 64,
        }
    }
}

impl Settings for ClusterConfig {
    fn describe(&mut self, keys: &mut Keys) {
        keys.key("model", &mut self.model, "Folder of the model, in the published layout.");
        keys.key("compute", &mut self.compute, "What computes: \"auto\" (a GPU if one answers), \"cpu\" or \"wgpu\".");
        keys.key("log", &mut self.log, "What is logged: error, warn, info, debug or trace, also per part: \"info,caracal_cluster=debug\".");
        keys.checked("listen", &mut self.listen, "Address on which edges connect, UDP.", |text| address(text));
        let comment = "Address of the Prometheus metrics, TCP; empty: none are served.";
        keys.checked("metrics", &mut self.metrics, comment, |text| if text.is_empty() { Ok(()) } else { address(text) });
        keys.key("state", &mut self.state, "Folder of certificate, key and device tokens; made at the first start.");
        keys.key("names", &mut self.names, "Host names of this machine in its certificate, parted by spaces.");
        let because = "each keeps its cache in memory, connected or not";
        keys.ranged("sessions", &mut self.sessions, Range { min: 1, max: 65_535, because }, "Sessions at most, connected or not.");
        let because = "a spoken question and its answer have some hundred positions";
        let comment = "Positions that a session remembers at most; the model's context if that is less.";
        keys.ranged("context", &mut self.context, Range { min: 512, max: 1 << 24, because }, comment);
        let because = "a larger block wastes more of the last one of each session";
        keys.ranged("block_tokens", &mut self.block_tokens, Range { min: 1, max: 4096, because }, "Positions of one cache block.");
    }
}

fn address(text: &str) -> Result<(), String> {
    text.parse::<SocketAddr>().map(|_| ()).map_err(|_| "expected an address and a port such as `0.0.0.0:4433`".into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use caracal_edge::settings::{print, read};

    use super::*;

    fn parse(text: &str) -> Result<ClusterConfig, String> {
        read(Path::new(CONFIG_FILE), text).map_err(|e| e.to_string())
    }

    #[test]
    fn printed_defaults_read_as_the_defaults() {
        let text = print(&mut ClusterConfig::default(), "Cluster.");
        assert_eq!(parse(&text).as_ref(), Ok(&ClusterConfig::default()), "{text}");
    }

    #[test]
    fn nonsense_is_refused_with_what_was_meant() {
        for (text, part) in [
            ("sesions = 4", "sessions"),
            ("sessions = 0", "at least 1"),
            ("context = 100", "at least 512"),
            ("listen = \"4433\"", "expected an address and a port"),
            ("metrics = \"here\"", "expected an address and a port"),
            ("compute = \"gpu\"", "expected one of"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.to_lowercase().contains(part), "{text}: {error}");
        }
        assert_eq!(parse("metrics = \"127.0.0.1:9464\"").map(|config| config.metrics), Ok("127.0.0.1:9464".into()));
    }
}
