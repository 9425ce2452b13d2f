//! See `caracal_tests::fuzz::cluster_session`.
#![no_main]

use std::sync::LazyLock;

use caracal_shared::session::cluster::Settings;
use caracal_tests::fuzz::session::cluster_settings;

static SETTINGS: LazyLock<Settings> = LazyLock::new(cluster_settings);

libfuzzer_sys::fuzz_target!(|data: &[u8]| caracal_tests::fuzz::cluster_session(data, &SETTINGS));
