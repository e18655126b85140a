#include "formats/onnx/read/schema.h"

namespace modelshrink::onnx {
namespace {

constexpr FieldRule Number(uint32_t number, const char* name, Wire wire = Wire::kVarint) {
  return {.number = number, .name = name, .action = Action::kScalar, .wire = wire};
}

constexpr FieldRule Numbers(uint32_t number, const char* name) {
  return {.number = number,
          .name = name,
          .action = Action::kScalars,
          .wire = Wire::kVarint,
          .repeated = true};
}

constexpr FieldRule Text(uint32_t number, const char* name, bool repeated = false) {
  return {.number = number, .name = name, .action = Action::kTake, .repeated = repeated};
}

constexpr FieldRule ShortText(uint32_t number, const char* name) {
  return {.number = number, .name = name, .action = Action::kTakeIfShort};
}

// Of a message that nobody else looks into: it may be there any number of times.
constexpr FieldRule Optional(uint32_t number, const char* name, Action action) {
  const Wire wire = action == Action::kScalar ? Wire::kVarint : Wire::kBytes;
  return {.number = number, .name = name, .action = action, .wire = wire, .repeated = true};
}

constexpr FieldRule One(uint32_t number, const char* name, MessageKind child) {
  return {.number = number, .name = name, .action = Action::kEnter, .child = child};
}

constexpr FieldRule Many(uint32_t number, const char* name, MessageKind child) {
  return {
      .number = number, .name = name, .action = Action::kEnter, .repeated = true, .child = child};
}

constexpr FieldRule Payload(uint32_t number, const char* name) {
  return {.number = number, .name = name, .action = Action::kLocate, .repeated = true};
}

constexpr FieldRule kModelRules[] = {
    Number(kModelIrVersion, "ir_version"),
    ShortText(kModelProducerName, "producer_name"),
    ShortText(kModelProducerVersion, "producer_version"),
    One(kModelGraph, "graph", kGraphProto),
    Many(kModelOpsetImport, "opset_import", kOperatorSetIdProto),
    Payload(kModelDocString, "doc_string"),
    Many(kModelTrainingInfo, "training_info", kHiddenTrainingInfo),
    Many(kModelFunctions, "functions", kHiddenFunction),
};

constexpr FieldRule kOpsetRules[] = {
    Text(kOpsetDomain, "domain"),
    Number(kOpsetVersion, "version"),
};

constexpr FieldRule kGraphRules[] = {
    Many(kGraphNode, "node", kNodeProto),
    Many(kGraphInitializer, "initializer", kTensorProto),
    Many(kGraphInput, "input", kValueInfoProto),
    Many(kGraphOutput, "output", kValueInfoProto),
    Many(kGraphValueInfo, "value_info", kValueInfoProto),
    Many(kGraphSparseInitializer, "sparse_initializer", kSparseTensorProto),
    Payload(kGraphDocString, "doc_string"),
    Payload(kGraphQuantizationAnnotation, "quantization_annotation"),
};

constexpr FieldRule kNodeRules[] = {
    Text(kNodeInput, "input", true),
    Text(kNodeOutput, "output", true),
    Text(kNodeName, "name"),
    Text(kNodeOpType, "op_type"),
    Many(kNodeAttribute, "attribute", kAttributeProto),
    Text(kNodeDomain, "domain"),
    Payload(kNodeDocString, "doc_string"),
    Payload(kNodeDeviceConfigurations, "device_configurations"),
};

constexpr FieldRule kAttributeRules[] = {
    Text(kAttributeName, "name"),
    Number(kAttributeF, "f", Wire::kFixed32),
    Number(kAttributeI, "i"),
    ShortText(kAttributeS, "s"),
    One(kAttributeT, "t", kTensorProto),
    One(kAttributeG, "g", kGraphProto),
    Numbers(kAttributeInts, "ints"),
    Many(kAttributeTensors, "tensors", kTensorProto),
    Many(kAttributeGraphs, "graphs", kGraphProto),
    Number(kAttributeType, "type"),
    Many(kAttributeSparseTensor, "sparse_tensor", kHiddenSparseTensor),
    Many(kAttributeSparseTensors, "sparse_tensors", kHiddenSparseTensor),
    Payload(kAttributeDocString, "doc_string"),
};

constexpr FieldRule kTensorRules[] = {
    Numbers(kTensorDims, "dims"),
    Number(kTensorDataType, "data_type"),
    Payload(kTensorFloatData, "float_data"),
    Payload(kTensorInt32Data, "int32_data"),
    Payload(kTensorStringData, "string_data"),
    Numbers(kTensorInt64Data, "int64_data"),
    Text(kTensorName, "name"),
    ShortText(kTensorRawData, "raw_data"),
    Payload(kTensorDoubleData, "double_data"),
    Payload(kTensorUint64Data, "uint64_data"),
    Many(kTensorExternalData, "external_data", kEntryProto),
    Number(kTensorDataLocation, "data_location"),
    Payload(kTensorDocString, "doc_string"),
};

constexpr FieldRule kSparseTensorRules[] = {
    One(kSparseValues, "values", kTensorProto),
    Many(kSparseIndices, "indices", kHiddenTensor),
    Numbers(kSparseDims, "dims"),
};

constexpr FieldRule kValueInfoRules[] = {
    Text(kValueInfoName, "name"),
    One(kValueInfoType, "type", kTypeProto),
    Payload(kValueInfoDocString, "doc_string"),
};

constexpr FieldRule kTypeRules[] = {
    One(kTypeTensor, "tensor_type", kTensorTypeProto),
};

constexpr FieldRule kTensorTypeRules[] = {
    Number(kTensorTypeElem, "elem_type"),
    One(kTensorTypeShape, "shape", kTensorShapeProto),
};

constexpr FieldRule kTensorShapeRules[] = {
    Many(kShapeDim, "dim", kDimensionProto),
};

constexpr FieldRule kDimensionRules[] = {
    Number(kDimValue, "dim_value"),
    Text(kDimParam, "dim_param"),
};

constexpr FieldRule kEntryRules[] = {
    Text(kEntryKey, "key"),
    Text(kEntryValue, "value"),
};

constexpr FieldRule kHiddenFunctionRules[] = {
    Many(kFunctionNode, "node", kHiddenNode),
};

constexpr FieldRule kHiddenTrainingInfoRules[] = {
    Many(kTrainingInitialization, "initialization", kHiddenGraph),
    Many(kTrainingAlgorithm, "algorithm", kHiddenGraph),
};

constexpr FieldRule kHiddenGraphRules[] = {
    Many(kGraphNode, "node", kHiddenNode),
    Many(kGraphInitializer, "initializer", kHiddenTensor),
    Many(kGraphSparseInitializer, "sparse_initializer", kHiddenSparseTensor),
};

constexpr FieldRule kHiddenNodeRules[] = {
    Optional(kNodeOutput, "output", Action::kTakeIfShort),
    Many(kNodeAttribute, "attribute", kHiddenAttribute),
};

constexpr FieldRule kHiddenAttributeRules[] = {
    Many(kAttributeT, "t", kHiddenTensor),
    Many(kAttributeG, "g", kHiddenGraph),
    Many(kAttributeTensors, "tensors", kHiddenTensor),
    Many(kAttributeGraphs, "graphs", kHiddenGraph),
    Many(kAttributeSparseTensor, "sparse_tensor", kHiddenSparseTensor),
    Many(kAttributeSparseTensors, "sparse_tensors", kHiddenSparseTensor),
};

constexpr FieldRule kHiddenSparseTensorRules[] = {
    Many(kSparseValues, "values", kHiddenTensor),
    Many(kSparseIndices, "indices", kHiddenTensor),
};

constexpr FieldRule kHiddenTensorRules[] = {
    Numbers(kTensorDims, "dims"),
    Optional(kTensorDataType, "data_type", Action::kScalar),
    Optional(kTensorName, "name", Action::kTakeIfShort),
    Number(kTensorDataLocation, "data_location"),
};

constexpr MessageRule kSchema[] = {
    {"ModelProto", kModelRules},
    {"OperatorSetIdProto", kOpsetRules},
    {"GraphProto", kGraphRules},
    {"NodeProto", kNodeRules},
    {"AttributeProto", kAttributeRules},
    {"TensorProto", kTensorRules},
    {"SparseTensorProto", kSparseTensorRules},
    {"ValueInfoProto", kValueInfoRules},
    {"TypeProto", kTypeRules},
    {"TypeProto.Tensor", kTensorTypeRules},
    {"TensorShapeProto", kTensorShapeRules},
    {"TensorShapeProto.Dimension", kDimensionRules},
    {"StringStringEntryProto", kEntryRules},
    {"FunctionProto", kHiddenFunctionRules},
    {"TrainingInfoProto", kHiddenTrainingInfoRules},
    {"GraphProto", kHiddenGraphRules},
    {"NodeProto", kHiddenNodeRules},
    {"AttributeProto", kHiddenAttributeRules},
    {"SparseTensorProto", kHiddenSparseTensorRules},
    {"TensorProto", kHiddenTensorRules},
};

}  // namespace

std::span<const MessageRule> OnnxSchema() { return kSchema; }

}  // namespace modelshrink::onnx
