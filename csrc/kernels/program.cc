// Reading and checking of programs, and the shapes in them.
#include "kernels/program.h"

#include "common/check.h"

namespace kerascnn {
namespace {

constexpr int64_t kMost = 1 << 20;              // constants, instructions
constexpr int64_t kLargest = int64_t{1} << 31;  // extents, strides and such

// Takes numbers off the front of a list; past its end, and for numbers out of range, it remembers to have failed.
class Reader {
 public:
  Reader(const int64_t* numbers, int64_t count) : at_(numbers), end_(numbers + count) {}
  int64_t Take(int64_t low, int64_t high) {
    if (at_ == end_) return ended_ = true, low;
    const int64_t number = *at_++;
    if (number >= low && number <= high) return number;
    if (outside_.empty())
      outside_ = Say("A number of a program must be in its range, [low, high].", {number, low, high});
    return low;
  }
  int64_t left() const { return end_ - at_; }
  std::string Wrong() const {
    return !outside_.empty() ? outside_
           : ended_          ? "A program must have all its numbers. Received: one that ends early"
                             : "";
  }

 private:
  const int64_t *at_, *end_;
  bool ended_ = false;
  std::string outside_;
};

void TakeWindow(Reader* reader, bool dilated, ProgramWindow* window) {
  window->stride_y = reader->Take(1, kLargest), window->stride_x = reader->Take(1, kLargest);
  if (dilated) window->dilation_y = reader->Take(1, kLargest), window->dilation_x = reader->Take(1, kLargest);
  for (Padding* padding : {&window->pad_y, &window->pad_x}) {
    padding->before = reader->Take(-1, kLargest), padding->after = reader->Take(-1, kLargest);
  }
}

std::string CheckPadding(const ProgramWindow& window) {
  const int64_t sides[] = {window.pad_y.before, window.pad_y.after, window.pad_x.before, window.pad_x.after};
  int same = 0;
  for (int64_t side : sides) same += side < 0;
  if (same == 0 || same == 4) return "";
  return Say("Padding must be -1 on all sides or on none.", {sides[0], sides[1], sides[2], sides[3]});
}

class Parser {
 public:
  Parser(const int64_t* numbers, int64_t count, Program* program) : reader_(numbers, count), program_(*program) {}

  std::string Run() {
    program_ = Program();
    const int64_t version = reader_.Take(INT64_MIN, INT64_MAX);
    if (reader_.Wrong().empty() && version != kProgramVersion) {
      return Say("A program must be of version 1, the only one that this library knows.", {version});
    }
    const int64_t constants = reader_.Take(0, kMost);
    for (int64_t i = 0; i < constants && reader_.Wrong().empty(); ++i) TakeConstant();
    const int64_t instructions = reader_.Take(1, kMost);
    for (int64_t i = 0; i < instructions && reader_.Wrong().empty(); ++i) {
      const std::string wrong = TakeInstruction(i);
      if (!wrong.empty()) return wrong;
    }
    if (!reader_.Wrong().empty()) return reader_.Wrong();
    if (reader_.left() > 0) return Say("A program must end with its last instruction. Numbers left:", {reader_.left()});
    return "";
  }

 private:
  void TakeConstant() {
    ProgramConstant constant;
    constant.offset = program_.constant_elements, constant.elements = 1;
    const int64_t rank = reader_.Take(1, 4);
    for (int64_t axis = 0; axis < rank; ++axis) {
      constant.extents.push_back(reader_.Take(1, kLargest));
      // What does not fit is refused as a number out of range would be.
      if (!Fits({constant.elements, constant.extents.back(), 1 << 20})) reader_.Take(1, 0), constant.elements = 1;
      constant.elements *= constant.extents.back();
    }
    program_.constant_elements += constant.elements;
    program_.constants.push_back(constant);
  }

  std::string TakeInstruction(int64_t number) {
    const int64_t last = static_cast<int64_t>(program_.constants.size()) - 1;
    const auto value = [&](int64_t low) { return reader_.Take(low, number); };
    const auto constant = [&](int64_t low) { return reader_.Take(low, last); };
    ProgramInstruction instruction;
    instruction.kind = static_cast<ProgramKind>(reader_.Take(1, 7));
    const int64_t fields = reader_.Take(1, kMost);
    if (!reader_.Wrong().empty()) return reader_.Wrong();
    const int64_t before = reader_.left();
    ProgramWindow& window = instruction.window;
    switch (instruction.kind) {
      case ProgramKind::kConv:
        instruction.x = value(0), instruction.filter = constant(0), instruction.bias = constant(-1);
        instruction.residual = value(-1), instruction.gate = value(-1);
        instruction.scale = constant(-1), instruction.shift = constant(-1);
        instruction.activation = static_cast<Activation>(reader_.Take(0, kActivations - 1));
        TakeWindow(&reader_, true, &window);
        break;
      case ProgramKind::kPool:
        instruction.x = value(0);
        instruction.mean = reader_.Take(0, 1) == 1, instruction.zeros = reader_.Take(0, 1) == 1;
        window.height = reader_.Take(1, kLargest), window.width = reader_.Take(1, kLargest);
        TakeWindow(&reader_, false, &window);
        break;
      case ProgramKind::kPass:
        instruction.x = value(0), instruction.residual = value(-1), instruction.gate = value(-1);
        instruction.scale = constant(-1), instruction.shift = constant(-1);
        instruction.activation = static_cast<Activation>(reader_.Take(0, kActivations - 1));
        break;
      case ProgramKind::kConcat:
        for (int64_t i = 0; i < fields && reader_.Wrong().empty(); ++i) instruction.parts.push_back(value(0));
        break;
      case ProgramKind::kMean:
      case ProgramKind::kSoftmax:
      case ProgramKind::kFlatten:
        instruction.x = value(0);
        break;
    }
    if (!reader_.Wrong().empty()) return reader_.Wrong();
    if (before - reader_.left() != fields) {
      return Say("An instruction must have the fields of its kind. Instruction, its fields, those expected:",
                 {number, fields, before - reader_.left()});
    }
    const std::string wrong = CheckPadding(window);
    if (!wrong.empty()) return wrong;
    if (instruction.kind == ProgramKind::kConv) {
      const std::vector<int64_t>& filter = program_.constants[instruction.filter].extents;
      if (filter.size() != 4) return Say("Filters must have four dimensions. Instruction:", {number});
      window.height = filter[0], window.width = filter[1];
      const bool simple = window.height == 1 && window.width == 1 && window.stride_y == 1 && window.stride_x == 1 &&
                          window.pad_y.before <= 0 && window.pad_y.after <= 0 && window.pad_x.before <= 0 &&
                          window.pad_x.after <= 0;
      const bool changed = instruction.gate >= 0 || instruction.scale >= 0;
      if (changed && (!simple || (instruction.gate >= 0 && instruction.scale >= 0))) {
        return Say("Either gate or scale may come before a convolution, 1x1 without stride or padding. Instruction:",
                   {number});
      }
      if ((instruction.scale >= 0) != (instruction.shift >= 0)) {
        return Say("Scale and shift must come together. Instruction:", {number});
      }
    }
    program_.instructions.push_back(instruction);
    return "";
  }

  Reader reader_;
  Program& program_;
};

// Sizes after a window along an axis; -1 where a number is too large.
int64_t Output(int64_t size, int64_t window, int64_t stride, int64_t dilation, Padding padding) {
  if (padding.before < 0) return (size + stride - 1) / stride;
  return OutputSize(size, window, stride, dilation, padding);
}

}  // namespace

std::string ProgramParse(const int64_t* numbers, int64_t count, Program* program) {
  return Parser(numbers, count, program).Run();
}

std::string ProgramShapes(const Program& program, int64_t batch, MapShape images, std::vector<MapShape>* shapes) {
  const auto wrong = [](const char* rule, int64_t instruction, MapShape x) {
    return Say(rule, {instruction, x.height, x.width, x.channels});
  };
  shapes->assign(1, images);
  if (images.height > kLargest || images.width > kLargest || images.channels > kLargest) {
    return Say("Images must have fewer than 2^31 rows, columns and channels.",
               {images.height, images.width, images.channels});
  }
  if (batch < 0 || images.height < 1 || images.width < 1 || images.channels < 1) {
    return Say("Images must have pixels.", {batch, images.height, images.width, images.channels});
  }
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const ProgramInstruction& op = program.instructions[i];
    const int64_t number = static_cast<int64_t>(i);
    const MapShape x = (*shapes)[op.kind == ProgramKind::kConcat ? op.parts[0] : op.x];
    MapShape y = x;
    if (op.kind == ProgramKind::kConv || op.kind == ProgramKind::kPool) {
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
      if ((op.gate >= 0 || op.scale >= 0) && filter[2] != x.channels) {
        return wrong("Gate and scale may not come before groups. Instruction and its input:", number, x);
      }
    }
    if (op.kind == ProgramKind::kMean) y.height = y.width = 1;
    if (op.kind == ProgramKind::kFlatten) {
      if (!Fits({x.height, x.width, x.channels})) return wrong("A map must not be as large as that.", number, x);
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
    if (y.height < 1 || y.width < 1) return wrong("The window must fit into the map. Instruction and map:", number, x);
    if (!Fits({batch, y.height, y.width, y.channels, 1 << 10})) {
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
    if (!vector(op.bias, y.channels) || !vector(op.scale, x.channels) || !vector(op.shift, x.channels)) {
      return wrong("Bias, scale and shift must have one number a channel. Instruction and map:", number, y);
    }
    shapes->push_back(y);
  }
  return "";
}

}  // namespace kerascnn
