//! What a configuration chooses from.

use crate::program::choice::choice;

choice! {
    /// Kinds of network.
    Architecture {
        /// Fully connected, for inputs of one shape.
        Fc = "fc",
        /// Recurrent with an orthogonal matrix, for sequences of any length (Helfrich et al., 2018).
        ScoRnn = "scornn",
        /// Residual, for images (He et al., 2016); trained with batch statistics, saved with running ones.
        ResNet = "resnet",
    }
}

choice! {
    /// Optimisers.
    Optimizer {
        /// Stochastic gradient descent, with momentum.
        Sgd = "sgd",
        /// Adam.
        Adam = "adam",
        /// Adam that never forgets its largest second moment.
        AmsGrad = "amsgrad",
    }
}

choice! {
    /// How the learning rate falls from `learning_rate`.
    Schedule {
        /// It does not.
        Constant = "constant",
        /// Half a period of a cosine, down to 0 at the end of the last epoch (Loshchilov and Hutter, 2017, without
        /// restarts).
        Cosine = "cosine",
        /// Times `decay` after each of `decay_epochs`.
        Step = "step",
    }
}

choice! {
    /// Which mean of the weights, over the steps since `average_from`, is validated and saved in their place.
    Average {
        /// None: the weights themselves.
        None = "none",
        /// The plain mean (Polyak and Juditsky, 1992).
        Tail = "tail",
        /// The exponential moving average with decay rate `average_decay`.
        Ema = "ema",
    }
}

choice! {
    /// Where the channels of stored arrays are.
    DataLayout {
        /// In the dimension that they have; images know theirs.
        AsStored = "as-stored",
        /// In the first.
        ChannelsFirst = "channels-first",
        /// In the last; they are put first.
        ChannelsLast = "channels-last",
    }
}
