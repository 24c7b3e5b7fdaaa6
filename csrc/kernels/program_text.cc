#include "kernels/program_text.h"

#include "kernels/program_plan.h"

namespace kerascnn {
namespace {

const char* KindText(const Program& program, const ProgramInstruction& op, const MapShape& x) {
  switch (op.kind) {
    case ProgramKind::kConv:
    case ProgramKind::kConvInt8:
      if (op.int8) return "int8";
      if (IsGrouped(program, op, x)) return "grouped";
      return program.constants[op.filter].extents[2] == x.channels ? "conv" : "depthwise";
    case ProgramKind::kPool:
      return "pool";
    case ProgramKind::kMean:
      return "mean";
    case ProgramKind::kPass:
      return "pass";
    case ProgramKind::kConcat:
      return "concat";
    case ProgramKind::kSoftmax:
      return "softmax";
    case ProgramKind::kFlatten:
      return "flatten";
    case ProgramKind::kNorm:
      return "norm";
    case ProgramKind::kAttention:
      return "attention";
    case ProgramKind::kReshape:
      return "reshape";
    case ProgramKind::kCrop:
      return "crop";
    case ProgramKind::kStack:
      return "stack";
    case ProgramKind::kTranspose:
      return "transpose";
    case ProgramKind::kPatches:
      return "patches";
  }
  return "";
}

const char* ActivationText(Activation activation) {
  switch (activation) {
    case Activation::kLinear:
      return "";
    case Activation::kRelu:
      return " relu";
    case Activation::kRelu6:
      return " relu6";
    case Activation::kSilu:
      return " silu";
    case Activation::kHardSwish:
      return " hard_silu";
    case Activation::kHardSigmoid:
      return " hard_sigmoid";
    case Activation::kSigmoid:
      return " sigmoid";
    case Activation::kGelu:
      return " gelu";
    case Activation::kGeluTanh:
      return " gelu_tanh";
    case Activation::kTanh:
      return " tanh";
  }
  return "";
}

std::string ShapeText(const MapShape& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" + std::to_string(shape.channels);
}

// The first value that an instruction reads.
const MapShape& Source(const ProgramInstruction& op, const std::vector<MapShape>& shapes) {
  return shapes[op.x >= 0 ? op.x : op.parts.empty() ? 0 : op.parts[0]];
}

}  // namespace

std::string ProgramText(const Program& program, const std::vector<MapShape>& shapes, int64_t number) {
  const ProgramInstruction& op = program.instructions[number];
  const MapShape& x = Source(op, shapes);
  std::string text = KindText(program, op, x);
  const ProgramWindow& w = op.window;
  if (op.kind == ProgramKind::kConv || op.kind == ProgramKind::kPool || op.kind == ProgramKind::kPatches) {
    text += " " + std::to_string(w.height) + "x" + std::to_string(w.width);
    if (w.stride_y > 1 || w.stride_x > 1) text += "/" + std::to_string(w.stride_y);
    if (w.stride_y != w.stride_x) text += "x" + std::to_string(w.stride_x);
  }
  text += " " + ShapeText(x) + " > " + ShapeText(shapes[number + 1]);
  if (op.gate >= 0) text += " gate";
  if (op.kind == ProgramKind::kConv && op.scale >= 0) text += " norm";
  if (op.residual >= 0) text += " residual";
  return text + ActivationText(op.activation);
}

int64_t ProgramMultiplyAdds(const Program& program, const std::vector<MapShape>& shapes, int64_t number) {
  const ProgramInstruction& op = program.instructions[number];
  const MapShape &x = Source(op, shapes), &y = shapes[number + 1];
  if (op.kind == ProgramKind::kConv) {
    const std::vector<int64_t>& w = program.constants[op.filter].extents;
    return y.elements() * w[0] * w[1] * w[2];
  }
  if (op.kind != ProgramKind::kAttention) return 0;
  return 2 * x.pixels() * (op.side > 0 ? op.side * op.side : x.pixels()) * y.channels;
}

}  // namespace kerascnn
