//! GGUF tensors in formats that candle multiplies slowly → in one that it multiplies quickly. Pure
//! but for the reader.

use std::io::{Cursor, Read, Seek};

use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result};

/// Formats whose products candle computes without vector instructions: five times slower than 8-bit.
fn is_slow(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1)
}

/// The same model with its slow tensors as `Q8_0`, whose rounding is finer than theirs, in memory;
/// `None` if it has none. It takes up to twice the memory of the file.
///
/// # Errors
/// If a tensor can't be read.
pub(super) fn quicken<R: Read + Seek>(
    content: &Content,
    reader: &mut R,
) -> Result<Option<(Content, Cursor<Vec<u8>>)>> {
    if !content.tensor_infos.values().any(|info| is_slow(info.ggml_dtype)) {
        return Ok(None);
    }
    let mut tensors = Vec::with_capacity(content.tensor_infos.len());
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(reader, name, &Device::Cpu)?;
        let tensor = if is_slow(tensor.dtype()) {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let metadata: Vec<(&str, &Value)> =
        content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors)?;
    file.set_position(0);
    let content = Content::read(&mut file)?;
    Ok(Some((content, file)))
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;

    use super::*;

    fn file(dtype: GgmlDType) -> (Vec<f32>, Cursor<Vec<u8>>) {
        let values: Vec<f32> = (0..256).map(|n| (n as f32 * 0.37).sin()).collect();
        let tensor = Tensor::from_vec(values.clone(), (4, 64), &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&tensor, dtype).unwrap();
        let mut file = Cursor::new(Vec::new());
        let context = Value::U32(2048);
        gguf_file::write(&mut file, &[("llama.context_length", &context)], &[("w", &tensor)])
            .unwrap();
        file.set_position(0);
        (tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap(), file)
    }

    #[test]
    fn slow_tensors_keep_their_values_and_the_rest_its_place() {
        for dtype in [GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1] {
            let (before, mut slow) = file(dtype);
            let content = Content::read(&mut slow).unwrap();
            let (content, mut quick) = quicken(&content, &mut slow).unwrap().unwrap();
            assert!(matches!(content.metadata["llama.context_length"], Value::U32(2048)));
            let tensor = content.tensor(&mut quick, "w", &Device::Cpu).unwrap();
            assert_eq!((tensor.dtype(), tensor.shape().dims()), (GgmlDType::Q8_0, &[4, 64][..]));
            let after = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
            for (a, b) in before.iter().zip(after.to_vec1::<f32>().unwrap()) {
                assert!((a - b).abs() <= 1.1 / 254.0, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_quick_is_left_alone() {
        let (_, mut quick) = file(GgmlDType::Q8_0);
        let content = Content::read(&mut quick).unwrap();
        assert!(quicken(&content, &mut quick).unwrap().is_none());
    }
}
