// A whole network for inference as one list of instructions: what its numbers mean and what is wrong with them.
//
// A program is a list of integers:
//
//   version, constants, {rank, extents...} of each constant, instructions, {kind, fields, field...} of each
//   instruction.
//
// Constants lie one after the other in one array of floats. Value 0 is the images [batch, height, width, channels];
// instruction i makes value i + 1, and the last one's is the result. A field that names a value or a constant is -1
// where there is none. Heights and widths are not part of a program: one runs on images of any size.
#ifndef KERASCNN_KERNELS_PROGRAM_H_
#define KERASCNN_KERNELS_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/activation.h"
#include "common/shape.h"

namespace kerascnn {

constexpr int64_t kProgramVersion = 1;
constexpr int64_t kProgramLargest = int64_t{1} << 31;  // of extents, strides and such

// The numbers are those of serialized programs and never change.
enum class ProgramKind : int64_t {
  kConv = 1,     // x, filter, bias, residual, gate, scale, shift, activation, window: see kernels/packed_conv2d.h
  kPool = 2,     // x, mean, zeros, window: see MapPool in kernels/map_passes.h
  kMean = 3,     // x: of each channel, over all pixels
  kPass = 4,     // x, residual, gate, scale, shift, activation: see MapPass
  kConcat = 5,   // values, along the channels
  kSoftmax = 6,  // x: over the channels
  kFlatten = 7,  // x: all pixels' channels become those of one pixel
  // Tokens are pixels of a map one pixel wide.
  kNorm = 8,        // x, scale, shift, epsilon: see TokenNorm in kernels/token_passes.h
  kAttention = 9,   // x, heads, scale, side, roll, bias: see kernels/packed_attention.h
  kReshape = 10,    // x, height, width, channels: the same numbers in the same order
  kCrop = 11,       // x, rows cut off above and below, columns left and right, channels before and behind
  kStack = 12,      // token, position, values: rows of a constant, then those of the values; position is added
  kTranspose = 13,  // x, residual: pixels become channels, channels tokens
  kPatches = 14,    // x, order, height, width, strides, padding: see TokenPatches
  kConvInt8 = 15,   // a kConv of one group, whose products are of 8 bits (kernels/packed_int8.h); read as such a kConv
};

constexpr int64_t kProgramKinds = 15;

// In which order the numbers of a window become channels.
enum class PatchOrder : int64_t {
  kRows = 0,      // rows, columns, channels
  kColumns = 1,   // columns, rows, channels
  kChannels = 2,  // channels, rows, columns
};

// Taps, strides, dilations and padding. Padding of -1 on all sides is TensorFlow's "SAME".
struct ProgramWindow {
  int64_t height = 1, width = 1, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  Padding pad_y, pad_x;
  bool same() const { return pad_y.before < 0; }
};

// A value's extents for one image.
struct MapShape {
  int64_t height = 0, width = 0, channels = 0;
  int64_t pixels() const { return height * width; }
  int64_t elements() const { return height * width * channels; }
};

struct ProgramInstruction {
  ProgramKind kind;
  int64_t x = -1, residual = -1, gate = -1;                // values
  int64_t filter = -1, bias = -1, scale = -1, shift = -1;  // constants
  Activation activation = Activation::kLinear;
  ProgramWindow window;
  bool mean = false, zeros = false, int8 = false;
  std::vector<int64_t> parts;             // values
  int64_t token = -1, position = -1;      // constants
  int64_t heads = 1, side = 0, roll = 0;  // of attention
  float number = 0;                       // epsilon of a norm, scale of attention; programs hold its bits
  MapShape extents;                       // of kReshape
  int64_t cut[6] = {};                    // of kCrop
  PatchOrder order = PatchOrder::kRows;
};

struct ProgramConstant {
  std::vector<int64_t> extents;
  int64_t offset = 0, elements = 0;
};

struct Program {
  std::vector<ProgramConstant> constants;
  std::vector<ProgramInstruction> instructions;
  int64_t constant_elements = 0;
};

// Reads a program; what is wrong with it, or "". Safe on any numbers.
std::string ProgramParse(const int64_t* numbers, int64_t count, Program* program);

// The shapes of all values for images of that shape; what is wrong, or "".
std::string ProgramShapes(const Program& program, int64_t batch, MapShape images, std::vector<MapShape>* shapes);

// The values that an instruction reads, in no order; f(value).
template <typename F>
void ForReads(const ProgramInstruction& instruction, F&& f) {
  for (int64_t value : {instruction.x, instruction.residual, instruction.gate}) {
    if (value >= 0) f(value);
  }
  for (int64_t value : instruction.parts) f(value);
}

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_PROGRAM_H_
