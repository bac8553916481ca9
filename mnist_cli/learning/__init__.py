"""The softmax regression in TensorFlow: the compiled loop, devices and checkpoints."""
