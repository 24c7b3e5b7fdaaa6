#include "kernels/program_text.h"

#include <iterator>

#include "kernels/program_plan.h"

namespace kerascnn {
namespace {

// By the numbers of ProgramKind and Activation.
constexpr const char* kKinds[] = {"",     "conv",      "pool",    "mean", "pass",  "concat",    "softmax", "flatten",
                                  "norm", "attention", "reshape", "crop", "stack", "transpose", "patches", "int8"};
constexpr const char* kNames[] = {"",        "relu", "relu6",     "silu", "hard_silu", "hard_sigmoid",
                                  "sigmoid", "gelu", "gelu_tanh", "tanh"};
static_assert(std::size(kKinds) == kProgramKinds + 1 && std::size(kNames) == kActivations, "a name for each");

std::string KindText(const Program& program, const ProgramInstruction& op, const MapShape& x) {
  if (op.kind == ProgramKind::kConv && !op.int8) {
    if (IsGrouped(program, op, x)) return "grouped";
    if (program.constants[op.filter].extents[2] != x.channels) return "depthwise";
  }
  return kKinds[static_cast<int64_t>(op.int8 ? ProgramKind::kConvInt8 : op.kind)];
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
  if (op.activation != Activation::kLinear) text += std::string(" ") + kNames[static_cast<int64_t>(op.activation)];
  return text;
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
