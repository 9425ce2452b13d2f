use burn::tensor::Device;
use caracal_edge::Streaming;
use caracal_edge::codec::*;
use caracal_kernels::Weights;
use std::path::Path;
fn cpu() -> f64 {
    std::fs::read_dir("/proc/self/task").unwrap().map(|e| std::fs::read_to_string(e.unwrap().path().join("schedstat")).unwrap().split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9).sum()
}
fn main() {
    let fields = serde_json::json!({
        "codec_dimension": 1024, "semantic_dim": 1280, "decoder_dim": 1536, "codec_dec_ratios": [8, 6, 6, 5],
        "decoder_type": "24k", "codec_codebooks": 3, "codec_codebook_size": 90, "codec_codebook_search_dim": 8, "semantic_token_nums": 8192,
    });
    let config = DecoderConfig::from_value(Path::new("b"), fields).unwrap();
    let d = AudioDecoder::load(&Weights::random(1, &Device::flex()), &config).unwrap();
    let ids = CodecIds::new(&config);
    let f: Vec<CodecFrame> = (0..100).map(|t| ids.frame(t * 79 % 8192, &[t * 81 % 8100, t * 7, 8099 - t]).unwrap()).collect();
    let mut s = d.start();
    d.step(&mut s, f[..8].to_vec());
    let t = cpu();
    for x in &f[8..25] { d.step(&mut s, vec![x.clone()]); }
    println!("17 frames one by one: {:.3} s cpu", cpu() - t);
    let t = cpu();
    d.step(&mut s, f[25..42].to_vec());
    println!("17 frames at once: {:.3} s cpu", cpu() - t);
    // parts
    let t = std::cell::Cell::new(cpu());
    let mut acc: std::collections::BTreeMap<String, f64> = Default::default();
    let mut see = |n: &str, _x: burn::tensor::Tensor<2>| { let now = cpu(); *acc.entry(n.into()).or_default() += now - t.get(); t.set(now); };
    d.offline_traced(&f[..32], &mut Trace::to(&mut see));
    for (n, v) in acc { println!("{n:20} {:.1} ms per frame", v * 1e3 / 32.0); }
}
