"""What the frameworks' zoos have, told without importing a framework; the catalogue says the same."""

KERAS_NETWORKS = {
    "resnet50": "keras.applications.ResNet50",
    "mobilenet_v2": "keras.applications.MobileNetV2",
}
KERAS_ABSENT = {
    "bert_base": "keras.applications has no BERT, and transformers dropped TensorFlow after version 4"
}

MXNET_NETWORKS = {
    "resnet50": "mxnet.gluon.model_zoo.vision.resnet50_v1",
    "mobilenet_v2": "mxnet.gluon.model_zoo.vision.mobilenet_v2_1_0",
}
MXNET_ABSENT = {
    "bert_base": "MXNet's own zoo has none; its BERT is in gluonnlp, which is not part of this runtime"
}
