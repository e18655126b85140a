// The fields of onnx.proto that the reader looks at. All others are skipped and survive by being
// copied.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_SCHEMA_H_
#define MODELSHRINK_FORMATS_ONNX_READ_SCHEMA_H_

#include <span>

#include "formats/onnx/read/scanner.h"

namespace modelshrink::onnx {

enum MessageKind : uint32_t {
  kModelProto,
  kOperatorSetIdProto,
  kGraphProto,
  kNodeProto,
  kAttributeProto,
  kTensorProto,
  kSparseTensorProto,
  kValueInfoProto,
  kTypeProto,
  kTensorTypeProto,
  kTensorShapeProto,
  kDimensionProto,
  kEntryProto,  // StringStringEntryProto
  // What the reader looks into only for values in other files and, in functions, for tensors that
  // stay; these may be any messages that hold graphs, nodes, attributes or tensors.
  kHiddenFunction,
  kHiddenTrainingInfo,
  kHiddenGraph,
  kHiddenNode,
  kHiddenAttribute,
  kHiddenSparseTensor,
  kHiddenTensor,
};

// Field numbers, as in onnx.proto.
enum ModelField : uint32_t {
  kModelIrVersion = 1,
  kModelProducerName = 2,
  kModelProducerVersion = 3,
  kModelDocString = 6,
  kModelGraph = 7,
  kModelOpsetImport = 8,
  kModelTrainingInfo = 20,
  kModelFunctions = 25,
};
enum OpsetField : uint32_t { kOpsetDomain = 1, kOpsetVersion = 2 };
enum GraphField : uint32_t {
  kGraphNode = 1,
  kGraphInitializer = 5,
  kGraphDocString = 10,
  kGraphInput = 11,
  kGraphOutput = 12,
  kGraphValueInfo = 13,
  kGraphQuantizationAnnotation = 14,
  kGraphSparseInitializer = 15,
};
enum NodeField : uint32_t {
  kNodeInput = 1,
  kNodeOutput = 2,
  kNodeName = 3,
  kNodeOpType = 4,
  kNodeAttribute = 5,
  kNodeDocString = 6,
  kNodeDomain = 7,
  kNodeDeviceConfigurations = 10,
};
enum AttributeField : uint32_t {
  kAttributeName = 1,
  kAttributeF = 2,
  kAttributeI = 3,
  kAttributeS = 4,
  kAttributeT = 5,
  kAttributeG = 6,
  kAttributeInts = 8,
  kAttributeTensors = 10,
  kAttributeGraphs = 11,
  kAttributeDocString = 13,
  kAttributeType = 20,
  kAttributeSparseTensor = 22,
  kAttributeSparseTensors = 23,
};
enum TensorField : uint32_t {
  kTensorDims = 1,
  kTensorDataType = 2,
  kTensorFloatData = 4,
  kTensorInt32Data = 5,
  kTensorStringData = 6,
  kTensorInt64Data = 7,
  kTensorName = 8,
  kTensorRawData = 9,
  kTensorDoubleData = 10,
  kTensorUint64Data = 11,
  kTensorDocString = 12,
  kTensorExternalData = 13,
  kTensorDataLocation = 14,
};
// AttributeProto.AttributeType.
enum AttributeType : int32_t {
  kAttributeTypeFloat = 1,
  kAttributeTypeInt = 2,
  kAttributeTypeString = 3,
  kAttributeTypeTensor = 4,
  kAttributeTypeInts = 7,
};
enum SparseTensorField : uint32_t { kSparseValues = 1, kSparseIndices = 2, kSparseDims = 3 };
enum FunctionField : uint32_t { kFunctionNode = 7 };
enum TrainingInfoField : uint32_t { kTrainingInitialization = 1, kTrainingAlgorithm = 2 };
enum EntryField : uint32_t { kEntryKey = 1, kEntryValue = 2 };
enum ValueInfoField : uint32_t {
  kValueInfoName = 1,
  kValueInfoType = 2,
  kValueInfoDocString = 3,
};
enum TypeField : uint32_t { kTypeTensor = 1 };
enum TensorTypeField : uint32_t { kTensorTypeElem = 1, kTensorTypeShape = 2 };
enum TensorShapeField : uint32_t { kShapeDim = 1 };
enum DimensionField : uint32_t { kDimValue = 1, kDimParam = 2 };

// Rules by MessageKind.
std::span<const MessageRule> OnnxSchema();

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_SCHEMA_H_
