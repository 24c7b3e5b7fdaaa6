// The shapes of the values of a program, and whether its instructions fit them.
#include <algorithm>

#include "common/check.h"
#include "kernels/program.h"

namespace kerascnn {
namespace {

// Sizes after a window along an axis; -1 where a number is too large.
int64_t Output(int64_t size, int64_t window, int64_t stride, int64_t dilation, Padding padding) {
  if (padding.before < 0) return (size + stride - 1) / stride;
  return OutputSize(size, window, stride, dilation, padding);
}

// The shape y of what the instructions for tokens make; others leave it as it is.
std::string TokenShape(const Program& program, const ProgramInstruction& op, const std::vector<MapShape>& shapes,
                       int64_t number, MapShape* y) {
  const auto wrong = [&](const char* rule, MapShape shape) {
    return Say(rule, {number, shape.height, shape.width, shape.channels});
  };
  const MapShape x = shapes[op.parts.empty() ? op.x : op.parts[0]];
  if (op.kind == ProgramKind::kAttention) {
    if (x.channels % 3 != 0 || x.channels / 3 % op.heads != 0) {
      return wrong("Channels must be those of queries, keys and values of all heads. Instruction and its input:", x);
    }
    const bool windows = op.side > 0;
    if (windows ? op.roll >= op.side || x.height % op.side != 0 || x.width % op.side != 0 : op.roll != 0) {
      return wrong("Windows must tile the map and be rolled by less than a side. Instruction and its input:", x);
    }
    const int64_t tokens = windows ? op.side * op.side : x.pixels();
    if (op.bias >= 0 &&
        (!Fits({op.heads, tokens, tokens}) || program.constants[op.bias].elements != op.heads * tokens * tokens)) {
      return wrong("The bias of scores must have one number for each two tokens of each head. Instruction and input:",
                   x);
    }
    y->channels = x.channels / 3;
  }
  if (op.kind == ProgramKind::kReshape) {
    if (!Fits({op.extents.height, op.extents.width, op.extents.channels}) || op.extents.elements() != x.elements()) {
      return wrong("A map must keep its elements when it gets another shape. Instruction and its input:", x);
    }
    *y = op.extents;
  }
  if (op.kind == ProgramKind::kCrop) {
    *y = {x.height - op.cut[0] - op.cut[1], x.width - op.cut[2] - op.cut[3], x.channels - op.cut[4] - op.cut[5]};
    if (y->channels < 1) return wrong("Channels must remain. Instruction and its input:", x);
  }
  if (op.kind == ProgramKind::kStack) {
    const int64_t row = x.width * x.channels;
    y->height = 0;
    for (int64_t part : op.parts) {
      if (shapes[part].width != x.width || shapes[part].channels != x.channels) {
        return wrong("Maps must be of one width to be stacked. Instruction and one of them:", shapes[part]);
      }
      y->height += shapes[part].height;
    }
    if (op.token >= 0) {
      const int64_t elements = program.constants[op.token].elements;
      if (elements % row != 0) return wrong("Tokens must be whole rows. Instruction and map:", x);
      y->height += elements / row;
    }
    if (op.position >= 0 && (!Fits({y->height, row}) || program.constants[op.position].elements != y->height * row)) {
      return wrong("Positions must have the shape of what they are added to. Instruction and shape:", *y);
    }
  }
  if (op.kind == ProgramKind::kTranspose) *y = {x.channels, 1, x.pixels()};
  if (op.kind == ProgramKind::kPatches) {
    if (!Fits({op.window.height, op.window.width, x.channels})) {
      return wrong("A patch must not be as large as that. Instruction and its input:", x);
    }
    y->channels = op.window.height * op.window.width * x.channels;
  }
  return "";
}

}  // namespace

std::string ProgramShapes(const Program& program, int64_t batch, MapShape images, std::vector<MapShape>* shapes) {
  const auto wrong = [](const char* rule, int64_t instruction, MapShape x) {
    return Say(rule, {instruction, x.height, x.width, x.channels});
  };
  shapes->assign(1, images);
  if (images.height > kProgramLargest || images.width > kProgramLargest || images.channels > kProgramLargest) {
    return Say("Images must have fewer than 2^31 rows, columns and channels.",
               {images.height, images.width, images.channels});
  }
  if (batch < 0 || images.height < 1 || images.width < 1 || images.channels < 1) {
    return Say("Images must have pixels.", {batch, images.height, images.width, images.channels});
  }
  // A batch of none may have any extents; their products are formed nevertheless.
  const int64_t images_or_one = std::max<int64_t>(1, batch);
  if (!Fits({images_or_one, images.height, images.width, images.channels, 1 << 10})) {
    return Say("Images must not be as large as that.", {batch, images.height, images.width, images.channels});
  }
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const ProgramInstruction& op = program.instructions[i];
    const int64_t number = static_cast<int64_t>(i);
    const MapShape x = (*shapes)[op.parts.empty() ? op.x : op.parts[0]];
    MapShape y = x;
    if (op.kind == ProgramKind::kConv || op.kind == ProgramKind::kPool || op.kind == ProgramKind::kPatches) {
      const ProgramWindow& w = op.window;
      y.height = Output(x.height, w.height, w.stride_y, w.dilation_y, w.pad_y);
      y.width = Output(x.width, w.width, w.stride_x, w.dilation_x, w.pad_x);
    }
    if (op.kind == ProgramKind::kConv) {
      const std::vector<int64_t>& filter = program.constants[op.filter].extents;
      y.channels = filter[3];
      if (x.channels % filter[2] != 0 || y.channels % (x.channels / filter[2]) != 0) {
        return wrong("Filters must fit the channels. Instruction and its input:", number, x);
      }
      if (op.int8 && filter[2] != x.channels) {
        return wrong("A convolution in 8 bits must have one group. Instruction and its input:", number, x);
      }
      if ((op.gate >= 0 || op.scale >= 0) && filter[2] != x.channels) {
        return wrong("Gate and scale may not come before groups. Instruction and its input:", number, x);
      }
    }
    if (op.kind == ProgramKind::kMean) y.height = y.width = 1;
    if (op.kind == ProgramKind::kFlatten) {
      y = {1, 1, x.elements()};
    }
    if (op.kind == ProgramKind::kConcat) {
      y.channels = 0;
      for (int64_t part : op.parts) {
        const MapShape& p = (*shapes)[part];
        if (p.height != x.height || p.width != x.width) {
          return wrong("Maps must be of one size to be concatenated. Instruction and one of them:", number, p);
        }
        y.channels += p.channels;
      }
    }
    const std::string unfit = TokenShape(program, op, *shapes, number, &y);
    if (!unfit.empty()) return unfit;
    if (y.height < 1 || y.width < 1) return wrong("The window must fit into the map. Instruction and map:", number, x);
    if (!Fits({images_or_one, y.height, y.width, y.channels, 1 << 10})) {
      return wrong("A map must not be as large as that. Instruction and map:", number, y);
    }
    if (op.residual >= 0) {
      const MapShape& r = (*shapes)[op.residual];
      if (r.height != y.height || r.width != y.width || r.channels != y.channels) {
        return wrong("What is added must have the shape of what it is added to. Instruction and shape:", number, r);
      }
    }
    if (op.gate >= 0) {
      const MapShape& g = (*shapes)[op.gate];
      if (g.pixels() != 1 || g.channels != x.channels) {
        return wrong("A gate must be one number a channel. Instruction and shape:", number, g);
      }
    }
    const auto vector = [&](int64_t constant, int64_t channels) {
      return constant < 0 || program.constants[constant].elements == channels;
    };
    const int64_t bias = op.kind == ProgramKind::kAttention ? -1 : op.bias;  // that of scores was checked
    if (!vector(bias, y.channels) || !vector(op.scale, x.channels) || !vector(op.shift, x.channels)) {
      return wrong("Bias, scale and shift must have one number a channel. Instruction and map:", number, y);
    }
    shapes->push_back(y);
  }
  return "";
}

}  // namespace kerascnn
