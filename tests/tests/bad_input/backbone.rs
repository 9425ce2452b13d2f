//! Wrong configs, checkpoints and input rows of the language model.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::embedding::{EmbeddingError, Features};
use caracal_cluster::backbone::fp8::quantize_blocks;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_cluster::backbone::{BackboneConfig, CodecEmbedding, LongCatFlash};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::layers::Embedding;
use caracal_kernels::{LoadError, Weights};
use caracal_tests::random_backbone::{Tensors, parse, small_config, write_checkpoint};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Fails unless every word is in the error's text.
fn says(error: impl std::fmt::Display, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

fn open(change: impl FnOnce(&mut Value, &mut Tensors)) -> Result<(BackboneConfig, LongCatFlash), LoadError> {
    let folder = TempDir::new().unwrap();
    write_checkpoint(folder.path(), &small_config(json!({})), change).unwrap();
    LongCatFlash::open(folder.path(), &Device::flex(), false)
}

fn find<'t>(tensors: &'t mut Tensors, name: &str) -> &'t mut (String, StoredDtype, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|t| t.0 == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_config_says_which_field_is_wrong() {
    let refused = |changes: Value| parse(&small_config(changes)).unwrap_err();
    says(refused(json!({ "hidden_size": 0 })), &["config.json", "hidden_size", "0, expected 1 to"]);
    says(refused(json!({ "hidden_size": 1u64 << 40 })), &["hidden_size", "1099511627776"]);
    says(refused(json!({ "hidden_size": -3 })), &["hidden_size", "-3"]);
    says(refused(json!({ "num_layers": "two" })), &["num_layers", "two"]);
    says(refused(json!({ "qk_rope_head_dim": 7 })), &["qk_rope_head_dim", "even"]);
    says(refused(json!({ "moe_topk": 10 })), &["moe_topk", "at most n_routed_experts + zero_expert_num = 9"]);
    says(refused(json!({ "rope_theta": 0 })), &["rope_theta", "positive"]);
    says(refused(json!({ "rms_norm_eps": -1e-5 })), &["rms_norm_eps", "positive"]);
    says(refused(json!({ "norm_topk_prob": true })), &["norm_topk_prob", "true, but only false"]);
    says(refused(json!({ "router_bias": true })), &["router_bias"]);
    says(refused(json!({ "tie_word_embeddings": true })), &["tie_word_embeddings"]);
    says(refused(json!({ "attention_method": "GQA" })), &["attention_method", "GQA", "MLA"]);
    says(refused(json!({ "zero_expert_type": "drop" })), &["zero_expert_type", "drop", "identity"]);
    says(refused(json!({ "hidden_act": "gelu" })), &["hidden_act", "gelu", "silu"]);
    says(refused(json!({ "head_dim": 8 })), &["head_dim", "8", "6"]);
    says(refused(json!({ "num_hidden_layers": 2 })), &["num_hidden_layers", "2", "4"]);
    says(refused(json!({ "rope_scaling": { "type": "yarn" } })), &["rope_scaling", "yarn", "null"]);
    says(refused(json!({ "sliding_window": 4096 })), &["sliding_window", "unknown key", "4096"]);
    let fp8 = |changes: Value| {
        let mut config = json!({ "quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic", "fmt": "e4m3" });
        changes.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
        json!({ "quantization_config": config })
    };
    assert!(parse(&small_config(fp8(json!({ "ignored_layers": [], "modules_to_not_convert": [] })))).is_ok());
    says(refused(fp8(json!({ "quant_method": "awq" }))), &["quantization_config.quant_method", "awq"]);
    says(refused(fp8(json!({ "fmt": "e5m2" }))), &["quantization_config.fmt", "e5m2"]);
    says(refused(fp8(json!({ "activation_scheme": "static" }))), &["activation_scheme", "static"]);
    says(refused(fp8(json!({ "weight_block_size": [128, 0] }))), &["weight_block_size"]);
    says(refused(fp8(json!({ "bits": 4 }))), &["bits", "unknown key"]);
}

#[test]
fn every_size_of_the_model_must_be_in_the_config() {
    let config = small_config(json!({}));
    let optional = ["mla_scale_q_lora", "mla_scale_kv_lora"];
    for key in config.as_object().unwrap().keys() {
        let mut less = config.clone();
        less.as_object_mut().unwrap().remove(key);
        match parse(&less) {
            Ok(_) => assert!(optional.contains(&key.as_str()), "{key} may be left out"),
            Err(error) => says(error, &["config.json", key, "missing"]),
        }
    }
    says(BackboneConfig::parse(Path::new("x/config.json"), "{ \"hidden_size\": ").unwrap_err(), &["x/config.json"]);
}

#[test]
fn keys_that_published_files_carry_for_others_are_accepted() {
    let published = json!({
        "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "attention_bias": false, "attention_dropout": 0.0,
        "attention_method": "MLA", "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "tie_word_embeddings": false, "use_cache": true,
        "zero_expert_type": "identity", "head_dim": 6, "rope_scaling": null, "norm_topk_prob": false, "num_hidden_layers": 4, "torch_dtype": "bfloat16",
    });
    let config = parse(&small_config(published)).unwrap();
    assert_eq!(config.latent_norm_eps, 1e-6);
}

#[test]
fn a_checkpoint_says_which_tensor_is_missing_misshapen_or_out_of_place() {
    let name = "model.layers.1.self_attn.0.kv_b_proj.weight";
    assert!(open(|_, _| {}).is_ok());
    says(open(|_, t| t.retain(|t| t.0 != name)).unwrap_err(), &[name, "missing", "nearest"]);
    says(open(|_, t| find(t, name).2.reverse()).unwrap_err(), &[name, "[19, 48]", "[48, 19]"]);
    says(open(|config, _| config["num_layers"] = json!(1)).unwrap_err(), &["have no place", "model.layers.1."]);
    says(open(|config, _| config["num_layers"] = json!(3)).unwrap_err(), &["model.layers.2.", "missing"]);
    let nan = |t: &mut Tensors| find(t, name).3[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    says(open(|_, t| nan(t)).unwrap_err(), &[name, "NaN", "element 10"]);
    let integers = |t: &mut Tensors| find(t, name).1 = StoredDtype::I32;
    says(open(|_, t| integers(t)).unwrap_err(), &[name, "I32", "bf16"]);
    let foreign = ("lm_head.bias".to_string(), StoredDtype::F32, vec![1], vec![0; 4]);
    says(open(|_, t| t.push(foreign)).unwrap_err(), &["lm_head.bias", "have no place"]);
    // The MTP head is not read here, and some writers store rows of experts that have none.
    let mtp = ("model.mtp.norm.weight".to_string(), StoredDtype::F32, vec![1], vec![0; 4]);
    let zero = ("model.layers.0.mlp.experts.8.gate_proj.weight".to_string(), StoredDtype::F32, vec![1], vec![0; 4]);
    assert!(open(|_, t| t.extend([mtp, zero])).is_ok());
    let beyond = ("model.layers.0.mlp.experts.9.gate_proj.weight".to_string(), StoredDtype::F32, vec![1], vec![0; 4]);
    says(open(|_, t| t.push(beyond)).unwrap_err(), &["experts.9.", "have no place"]);
}

/// Stores one matrix in FP8 and says so in the config.
fn store_in_fp8(config: &mut Value, tensors: &mut Tensors, name: &str) {
    config["quantization_config"] = json!({ "quant_method": "fp8", "weight_block_size": [16, 32] });
    let (_, dtype, shape, bytes) = find(tensors, name);
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let quantized = quantize_blocks(&values, shape[1], [16, 32]);
    let scales_shape = vec![shape[0].div_ceil(16), shape[1].div_ceil(32)];
    (*dtype, *bytes) = (StoredDtype::F8E4m3, quantized.codes);
    tensors.push((
        format!("{name}_scale_inv"),
        StoredDtype::F32,
        scales_shape,
        quantized.scales.iter().flat_map(|s| s.to_le_bytes()).collect(),
    ));
}

#[test]
fn fp8_tensors_need_their_scales_and_the_config() {
    let name = "model.layers.0.mlps.1.up_proj.weight";
    let scales = "model.layers.0.mlps.1.up_proj.weight_scale_inv";
    let fp8 = |change: &dyn Fn(&mut Value, &mut Tensors)| {
        open(|config, tensors| {
            store_in_fp8(config, tensors, name);
            change(config, tensors);
        })
    };
    assert!(fp8(&|_, _| {}).is_ok());
    says(fp8(&|_, t| t.retain(|t| t.0 != scales)).unwrap_err(), &[scales, "missing"]);
    says(fp8(&|config, _| config["quantization_config"] = Value::Null).unwrap_err(), &[name, "float8_e4m3fn", "quantization_config"]);
    says(fp8(&|config, _| config["quantization_config"]["weight_block_size"] = json!([8, 32])).unwrap_err(), &[scales, "shape"]);
    says(fp8(&|_, t| find(t, name).3[7] = 0xFF).unwrap_err(), &[name, "NaN", "element 7"]);
    says(fp8(&|_, t| find(t, scales).3[0..4].copy_from_slice(&f32::INFINITY.to_le_bytes())).unwrap_err(), &[scales, "inf"]);
    says(open(|_, t| t.push((scales.to_string(), StoredDtype::F32, vec![4, 2], vec![0; 32]))).unwrap_err(), &[scales, "not float8_e4m3fn"]);
    let table = "model.embed_tokens.weight";
    says(open(|config, t| store_in_fp8(config, t, table)).unwrap_err(), &[table, "F8E4m3"]);
}

#[test]
fn a_sharded_checkpoint_is_the_same_model_and_a_broken_index_says_where() {
    let folder = TempDir::new().unwrap();
    let mut all = Tensors::new();
    write_checkpoint(folder.path(), &small_config(json!({})), |_, tensors| all.clone_from(tensors)).unwrap();
    let logits = |folder: &Path| -> Result<Vec<f32>, LoadError> {
        let (_, model) = LongCatFlash::open(folder, &Device::flex(), false)?;
        let hidden = model.offline(model.embed_tokens.forward(&[1, 5, 9]), 1, &mut Unwatched);
        Ok(model.text_logits(hidden, &mut Unwatched).into_data().try_into_vec().unwrap())
    };
    let whole = logits(folder.path()).unwrap();
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (first, second) = all.split_at(all.len() / 2);
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (name, part) in names.iter().zip([first, second]) {
        write_safetensors(&folder.path().join(name), part).unwrap();
    }
    let index = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut map: serde_json::Map<String, Value> =
            first.iter().map(|t| (t.0.clone(), json!(names[0]))).chain(second.iter().map(|t| (t.0.clone(), json!(names[1])))).collect();
        change(&mut map);
        std::fs::write(folder.path().join("model.safetensors.index.json"), json!({ "metadata": {}, "weight_map": map }).to_string())
            .unwrap();
    };
    index(&|_| {});
    assert_eq!(logits(folder.path()).unwrap(), whole);
    let last = &all[all.len() - 1].0;
    index(&|map| map[last] = json!(names[0]));
    says(logits(folder.path()).unwrap_err(), &[names[0], last, "index.json says that it is there"]);
    index(&|map| map[last] = json!("../model.safetensors"));
    says(logits(folder.path()).unwrap_err(), &[last, "outside the folder"]);
    index(&|map| map[last] = json!("model-00003-of-00002.safetensors"));
    says(logits(folder.path()).unwrap_err(), &["model-00003-of-00002.safetensors", "cannot be read"]);
    std::fs::write(folder.path().join(names[1]), b"not a tensor file").unwrap();
    index(&|_| {});
    says(logits(folder.path()).unwrap_err(), &[names[1], "not a usable safetensors file"]);
}

#[test]
fn input_rows_are_checked_before_anything_is_looked_up() {
    let device = Device::flex();
    let weights = Weights::random(1, &device);
    let embedding = CodecEmbedding::load(&weights, 4, 50, 8).unwrap();
    let text = Embedding::load(&weights.at("text"), 20, 8).unwrap();
    let silent = |rows: usize| vec![3u32; 4 * rows];
    let prompt = |ids: &[u32], codes: &[u32], features: &[Features]| embedding.prompt(&text, ids, codes, features);
    assert_eq!(prompt(&[1, 2], &silent(2), &[]).unwrap().dims(), [2, 8]);
    assert_eq!(prompt(&[1, 20], &silent(2), &[]).unwrap_err(), EmbeddingError::TextId { position: 1, id: 20, entries: 20 });
    let mut codes = silent(2);
    codes[6] = 50;
    let error = prompt(&[1, 2], &codes, &[]).unwrap_err();
    assert_eq!(error, EmbeddingError::Code { position: 1, codebook: 2, code: 50, entries: 50 });
    says(error, &["code 50 of codebook 2 at position 1", "below 50"]);
    says(prompt(&[1, 2], &silent(1), &[]).unwrap_err(), &["4 codes for 2 positions", "8"]);
    let features = |rows: usize, width: usize| Features {
        placeholder: 7,
        rows: Tensor::from_data(TensorData::new(vec![0.5f32; rows * width], [rows, width]), (&device, DType::F32)),
    };
    says(prompt(&[7, 1, 7], &silent(3), &[features(1, 8)]).unwrap_err(), &["1 encoder rows for 2 placeholders of id 7"]);
    says(prompt(&[7, 1], &silent(2), &[features(1, 9)]).unwrap_err(), &["width 9", "takes 8"]);
    assert!(prompt(&[7, 1], &silent(2), &[features(1, 8)]).is_ok());
    assert_eq!(embedding.decode(&text, &[Some(20)], &[None; 4]).unwrap_err(), EmbeddingError::TextId { position: 0, id: 20, entries: 20 });
    assert_eq!(
        embedding.decode(&text, &[None], &[None, None, None, Some(99)]).unwrap_err(),
        EmbeddingError::Code { position: 0, codebook: 3, code: 99, entries: 50 }
    );
    says(embedding.decode(&text, &[None], &[None]).unwrap_err(), &["1 codes for 1 positions", "4"]);
}
