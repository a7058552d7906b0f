//! Files of earlier versions: their metadata key and their name of the negative slope.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

use candle_core::{DType, Device};
use loclin_models::{
    Mlp, Model, ModelFile, Parameters,
    architectures::{ConvNetConfig, Rnn, RnnConfig, ScoRnnConfig},
    pytorch::{Architecture, Layer},
};

/// A model file with parts of its header replaced; what follows the header stays.
fn with_header(bytes: &[u8], changes: &[(&str, &str)]) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header = String::from_utf8(header.to_vec()).unwrap();
    for (new, old) in changes {
        assert!(header.contains(new), "{header}");
        header = header.replace(new, old);
    }
    // safetensors aligns the data.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

#[test]
fn networks_of_earlier_versions_load() {
    let config = Mlp {
        inputs: vec![2],
        hidden: vec![3],
        outputs: 1,
        negative_slope: 0.1,
    };
    let vars = Parameters::seeded(1);
    let network = config
        .build(vars.builder(DType::F32, &Device::Cpu))
        .unwrap();
    let normalization = None;
    let bytes = Model {
        network,
        normalization,
    }
    .to_bytes()
    .unwrap();
    let old = with_header(&bytes, &[("{\"loclin\":", "{\"roll\":")]);
    let read = |bytes: &[u8]| Model::from_bytes(bytes, DType::F32, &Device::Cpu);
    // Written again, it is a new file.
    assert_eq!(read(&old).unwrap().to_bytes().unwrap(), bytes);
    let other = with_header(&bytes, &[("{\"loclin\":", "{\"other\":")]);
    let error = read(&other).unwrap_err().to_string();
    assert!(error.contains("`loclin`"), "{error}");
}

#[test]
fn recurrences_of_earlier_versions_load() {
    let config = RnnConfig {
        inputs: 2,
        hidden: 3,
        outputs: 1,
        negative_slope: 0.1,
    };
    let vars = Parameters::seeded(1);
    let rnn = Rnn::new(config, vars.builder(DType::F32, &Device::Cpu)).unwrap();
    let bytes = ModelFile::Recurrent(rnn).to_bytes().unwrap();
    let changes = [("{\"loclin\":", "{\"roll\":"), ("negative_slope", "leak")];
    let old = with_header(&bytes, &changes);
    let read = ModelFile::from_bytes(&old, DType::F32, &Device::Cpu).unwrap();
    assert_eq!(read.to_bytes().unwrap(), bytes);
}

#[test]
fn descriptions_of_earlier_versions_are_read() {
    fn both<T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(new: &str) {
        let read = |text: &str| serde_json::from_str::<T>(text).unwrap();
        assert_eq!(read(new), read(&new.replace("negative_slope", "leak")));
    }
    both::<Architecture>(r#"{"kind": "fc", "negative_slope": 0.25}"#);
    both::<Layer>(r#"{"layer": "leaky_relu", "negative_slope": 0.25}"#);
    both::<ConvNetConfig>(
        r#"{"input_shape": [1, 8, 8], "channels": [2], "kernel": 3, "pooling": "average", "outputs": 2,
            "negative_slope": 0.25}"#,
    );
    both::<Architecture>(
        r#"{"kind": "convnet", "input_shape": [1, 8, 8], "channels": [2], "kernel": 3, "pooling": "max",
            "outputs": 2, "negative_slope": 0.25}"#,
    );
    both::<ScoRnnConfig>(
        r#"{"inputs": 2, "hidden": 4, "negative": 2, "outputs": 2, "negative_slope": 0.25}"#,
    );
    both::<RnnConfig>(r#"{"inputs": 2, "hidden": 4, "outputs": 2, "negative_slope": 0.25}"#);
}
