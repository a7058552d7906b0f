//! Operators through files, tied to one another, and changed to another dtype.

use super::{strategies, tensor, values};
use candle_core::{DType, Device};
use loclin_models::{Model, Network, NetworkSpec, NodeSpec, Parameters, operators::OperatorSpec};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_operator_survives_its_file(
        case in prop_oneof![strategies::affine(), strategies::piecewise_linear()], seed in any::<u64>(),
    ) {
        let size: usize = case.operands.iter().map(|shape| shape.iter().product::<usize>()).sum();
        let mut nodes = Vec::new();
        let mut start = 0;
        let mut operands = Vec::new();
        let node = |name: String, operator, operands: Vec<String>| NodeSpec { name, operator, operands };
        for (i, shape) in case.operands.iter().enumerate() {
            let length = shape.iter().product();
            nodes.push(node(format!("part{i}"), OperatorSpec::Slice { axis: 0, start, length }, vec!["input".into()]));
            nodes.push(node(format!("operand{i}"), OperatorSpec::Reshape { shape: shape.clone() }, vec![format!("part{i}")]));
            operands.push(format!("operand{i}"));
            start += length;
        }
        nodes.push(node("first".into(), case.spec.clone(), operands.clone()));
        nodes.push(node("again".into(), OperatorSpec::SameAs { node: "first".into() }, operands));
        nodes.push(node("sum".into(), OperatorSpec::Add, vec!["first".into(), "again".into()]));
        nodes.push(node("output".into(), OperatorSpec::Flatten, vec!["sum".into()]));
        let spec = NetworkSpec { input_shape: vec![size], nodes };
        let parameters = Parameters::seeded(seed);
        let network = spec.build(parameters.builder(DType::F64, &Device::Cpu)).unwrap();
        prop_assert_eq!(&network.spec().unwrap(), &spec);
        // Shared parameters are there once, under the first node's name.
        let names: Vec<String> = network.parameters().into_iter().map(|(name, _)| name).collect();
        prop_assert!(names.iter().all(|name| name.starts_with("first.")));
        prop_assert_eq!(names.len(), parameters.len());

        let model = Model { network, normalization: None };
        let bytes = model.to_bytes().unwrap();
        let again = Model::from_bytes(&bytes, DType::F64, &Device::Cpu).unwrap();
        prop_assert_eq!(&again.to_bytes().unwrap(), &bytes);
        let x = tensor(&mut StdRng::seed_from_u64(seed), &[2, size]);
        let output = |network: &Network| values(network.trace(&x).unwrap().output());
        prop_assert_eq!(output(&model.network), output(&again.network));

        // Copies compute the same, and what was shared stays shared.
        for copy in [model.network.detached().unwrap(), model.network.to(DType::F64, &Device::Cpu).unwrap()] {
            prop_assert_eq!(output(&model.network), output(&copy));
            prop_assert_eq!(&copy.spec().unwrap(), &spec);
        }
        let narrow = model.network.to(DType::F32, &Device::Cpu).unwrap();
        prop_assert!(narrow.parameters().iter().all(|(_, parameter)| parameter.dtype() == DType::F32));
        prop_assert_eq!(narrow.trace(&x.to_dtype(DType::F32).unwrap()).unwrap().output().dtype(), DType::F32);
    }
}
