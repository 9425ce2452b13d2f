//! Spoken sentences for training: synthesisers and augmentation.
