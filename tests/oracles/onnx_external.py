"""ONNX models with external data, by Debian's python3-onnx.

split SOURCE TARGET   saves a model with every large value in TARGET's neighbour "weights.bin"
digest MODEL          the name, shape and bytes of every initializer and Constant, as JSON
"""

import hashlib
import json
import sys

import onnx
import onnx.numpy_helper


def split(source, target):
    onnx.save_model(
        onnx.load(source),
        target,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=1024,
        convert_attribute=True,
    )


def constants(graph):
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                yield node.output[0], attribute.t
            for inner in [attribute.g, *attribute.graphs]:
                yield from constants(inner)


def digest(path):
    def of(tensor):
        values = onnx.numpy_helper.to_array(tensor)
        return [list(values.shape), str(values.dtype), hashlib.sha256(values.tobytes()).hexdigest()]

    print(json.dumps(sorted([name, of(tensor)] for name, tensor in constants(onnx.load(path).graph))))


{"split": split, "digest": digest}[sys.argv[1]](*sys.argv[2:])
