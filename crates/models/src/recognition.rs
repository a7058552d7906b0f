//! What a network is recognised as.

use crate::{chain, network::Network, recurrence, structure::Structure};

impl Network {
    /// What was recognised in the graph: found once for each network, and shared by its clones.
    ///
    /// The parameters in it are the network's own. The `i`-th of [`crate::Trace::records`] is layer `i` of a chain and
    /// time step `i` of a recurrence, with one neuron and one selected slope for each unit.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters, architectures::{Rnn, RnnConfig}};
    ///
    /// let vars = || Parameters::seeded(0).builder(DType::F64, &Device::Cpu);
    /// let config = Mlp { inputs: vec![2, 2], hidden: vec![3, 5], outputs: 1, negative_slope: 0.0 };
    /// let raw = config.build(vars())?.standardized(&[0.5], &[0.25])?;
    /// let chain = raw.structure().chain().unwrap();
    /// assert_eq!(chain.scale, 4.0);
    /// assert_eq!(chain.weights[1].dims(), [5, 3]);
    /// assert_eq!(chain.activations[1].slopes, [0.0, 1.0]);
    /// assert_eq!(raw.structure().to_string(), "fully connected chain, hidden layers: 2");
    ///
    /// let config = RnnConfig { inputs: 2, hidden: 4, outputs: 3, negative_slope: 0.1 };
    /// let network = Rnn::new(config, vars())?.network(6)?;
    /// let recurrence = network.structure().recurrence().unwrap();
    /// assert_eq!((recurrence.steps, recurrence.input.dims()), (6, &[4, 2][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn structure(&self) -> &Structure {
        self.known_structure().get_or_init(|| {
            let nodes = self.nodes();
            let recurrence = || recurrence::of_nodes(nodes).map(Structure::Recurrence);
            chain::of_nodes(nodes)
                .map(Structure::Chain)
                .or_else(recurrence)
                .unwrap_or(Structure::General)
        })
    }
}
