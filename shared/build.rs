//! The code of `proto/caracal.proto`, made at build time without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/caracal.proto");
    let definition = protox::compile(["caracal.proto"], ["proto"])?;
    // Units live for one encoding: boxing their kinds would only add allocations.
    prost_build::Config::new().type_attribute(".", "#[allow(missing_docs, clippy::large_enum_variant)]").compile_fds(definition)?;
    Ok(())
}
