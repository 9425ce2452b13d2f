//! A missing or broken GPU driver costs one clear line, nothing else.

use std::process::Command;

#[test]
fn without_a_usable_driver_wgpu_falls_back_to_the_cpu_with_one_line() {
    for (variable, value) in [("VK_DRIVER_FILES", "/nonexistent/driver.json"), ("VK_DRIVER_FILES", env!("CARGO_MANIFEST_PATH"))] {
        let output = Command::new(env!("CARGO_BIN_EXE_golden"))
            .args(["--device", "wgpu", "frame_counts"])
            .env(variable, value)
            .env("VK_ICD_FILENAMES", value)
            // Mesa would otherwise answer through OpenGL.
            .env("__EGL_VENDOR_LIBRARY_FILENAMES", value)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let lines: Vec<_> = errors.lines().filter(|line| line.contains("running on the CPU")).collect();
        assert_eq!(lines.len(), 1, "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}
