// Reading and checking of programs.
#include "kernels/program.h"

#include <cstring>

#include "common/check.h"

namespace kerascnn {
namespace {

constexpr int64_t kMost = 1 << 20;  // constants, instructions
constexpr int64_t kLargest = kProgramLargest;
constexpr int64_t kFloatBits = 0x7f7fffff;  // of the greatest number; those of the others >= 0 are less

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

float TakeFloat(Reader* reader) {
  const uint32_t bits = static_cast<uint32_t>(reader->Take(0, kFloatBits));
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}

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
    instruction.kind = static_cast<ProgramKind>(reader_.Take(1, kProgramKinds));
    const int64_t fields = reader_.Take(1, kMost);
    if (!reader_.Wrong().empty()) return reader_.Wrong();
    if (instruction.kind == ProgramKind::kConvInt8) instruction.kind = ProgramKind::kConv, instruction.int8 = true;
    const int64_t before = reader_.left();
    ProgramWindow& window = instruction.window;
    switch (instruction.kind) {
      case ProgramKind::kConv:
      case ProgramKind::kConvInt8:  // has become a kConv
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
      case ProgramKind::kNorm:
        instruction.x = value(0), instruction.scale = constant(-1), instruction.shift = constant(-1);
        instruction.number = TakeFloat(&reader_);
        break;
      case ProgramKind::kAttention:
        instruction.x = value(0), instruction.heads = reader_.Take(1, kLargest);
        instruction.number = TakeFloat(&reader_);
        instruction.side = reader_.Take(0, kMost), instruction.roll = reader_.Take(0, kMost);
        instruction.bias = constant(-1);
        break;
      case ProgramKind::kReshape:
        instruction.x = value(0);
        for (int64_t* extent :
             {&instruction.extents.height, &instruction.extents.width, &instruction.extents.channels}) {
          *extent = reader_.Take(1, kLargest);
        }
        break;
      case ProgramKind::kCrop:
        instruction.x = value(0);
        for (int64_t& side : instruction.cut) side = reader_.Take(0, kLargest);
        break;
      case ProgramKind::kStack:
        instruction.token = constant(-1), instruction.position = constant(-1);
        instruction.parts.push_back(value(0));
        for (int64_t i = 3; i < fields && reader_.Wrong().empty(); ++i) instruction.parts.push_back(value(0));
        break;
      case ProgramKind::kTranspose:
        instruction.x = value(0), instruction.residual = value(-1);
        break;
      case ProgramKind::kPatches:
        instruction.x = value(0), instruction.order = static_cast<PatchOrder>(reader_.Take(0, 2));
        window.height = reader_.Take(1, kLargest), window.width = reader_.Take(1, kLargest);
        TakeWindow(&reader_, false, &window);
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

}  // namespace

std::string ProgramParse(const int64_t* numbers, int64_t count, Program* program) {
  return Parser(numbers, count, program).Run();
}

}  // namespace kerascnn
