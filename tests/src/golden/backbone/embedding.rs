//! Input rows: text, four codes, encoder rows.

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::CodecEmbedding;
use caracal_cluster::backbone::embedding::{Features, PADDING_ID};
use caracal_kernels::Weights;
use caracal_kernels::burn::module::Param;
use caracal_kernels::layers::Embedding;

use super::recorder::floats;
use super::{ids, number};
use crate::golden::{Golden, Report, Tolerance};

/// The f32 rule.
const F32: Tolerance = Tolerance::Abs(1e-6);
/// With each addition rounded in the stated order, bf16 is exact.
const BF16: Tolerance = Tolerance::Abs(0.0);

/// A table of a golden in `dtype`.
pub fn table(golden: &Golden, name: &str, device: &Device, dtype: DType) -> Result<Embedding> {
    let shape = golden.shape(name);
    Ok(Embedding { weight: Param::from_tensor(tensor(golden.floats(name)?, [shape[0], shape[1]], device, dtype)) })
}

fn tensor(values: Vec<f32>, shape: [usize; 2], device: &Device, dtype: DType) -> Tensor<2> {
    Tensor::<2>::from_data(TensorData::new(values, shape), (device, DType::F32)).cast(dtype)
}

fn features(golden: &Golden, name: &str, placeholder: u32, device: &Device, dtype: DType) -> Result<Features> {
    let shape = golden.shape(name);
    Ok(Features { placeholder, rows: tensor(golden.floats(name)?, [shape[0], shape[1]], device, dtype) })
}

/// `audio/audio_embedding`; the bf16 half on the CPU, since not every device computes in bf16.
pub fn audio_embedding(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    ensure!(number(golden, "/config/padding_idx")? == PADDING_ID, "the published embedding code compares with the number {PADDING_ID}");
    let (text_ids, codes) = (ids(&golden.integers("in.input_ids")?), ids(&golden.integers("in.codecs")?));
    let placeholder = number(golden, "/config/audio_pad_token")?;
    for (device, dtype, within, want) in
        [(device, DType::F32, F32, "out.embeddings_f32"), (&Device::flex(), DType::BF16, BF16, "out.embeddings_bf16")]
    {
        let codebooks = golden.shape("in.codecs")[1];
        let shape = golden.shape("audio_embeddings.0.weight");
        let weights = Weights::from_checkpoint(golden.tensors(), device, dtype);
        let embedding = CodecEmbedding::load(&weights, codebooks, shape[0], shape[1])?;
        let text = Embedding::load(
            &weights.at("text_embedding.word_embeddings"),
            golden.shape("text_embedding.word_embeddings.weight")[0],
            shape[1],
        )?;
        let features = features(golden, "in.audio_features", placeholder, device, dtype)?;
        let rows = embedding.prompt(&text, &text_ids, &codes, &[features])?;
        report.close(want, &floats(rows), &golden.floats(want)?, within);
    }
    Ok(report)
}

/// `prompt/embed_merge`, in bf16.
pub fn embed_merge(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let dtype = DType::BF16;
    ensure!(number(golden, "/config/pad_id")? == PADDING_ID, "the published embedding code compares with the number {PADDING_ID}");
    let heads = usize::try_from(number(golden, "/config/heads")?).context("a count of heads")?;
    let audio_embeddings =
        (0..heads).map(|head| table(golden, &format!("audio_embedding.{head}"), device, dtype)).collect::<Result<_>>()?;
    let features = [
        features(golden, "audio_features", number(golden, "/config/audio_pad_id")?, device, dtype)?,
        features(golden, "vision_features", number(golden, "/config/image_pad_id")?, device, dtype)?,
    ];
    let text = table(golden, "text_embedding", device, dtype)?;
    let rows =
        CodecEmbedding { audio_embeddings }.prompt(&text, &ids(&golden.integers("ids")?), &ids(&golden.integers("codecs")?), &features)?;
    report.close("merged", &floats(rows), &golden.floats("merged")?, BF16);
    Ok(report)
}
