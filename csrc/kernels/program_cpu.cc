// The interpreter of programs: each instruction becomes one call of a kernel.
#include "kernels/program_cpu.h"

#include <cstring>

#include "kernels/conv2d_plan.h"
#include "kernels/map_passes.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_conv2d.h"
#include "kernels/packed_depthwise2d.h"
#include "kernels/packed_int8.h"
#include "kernels/packed_winograd2d.h"
#include "kernels/token_passes.h"

namespace kerascnn {
namespace {

enum class Filters {
  kNone,
  kDense,
  kInt8,
  kWinograd,
  kDepthwise
};  // how they are packed; those of groups are used as they are

Filters FiltersOf(const Program& program, const ProgramInstruction& op, const MapShape& x) {
  if (op.kind != ProgramKind::kConv || IsGrouped(program, op, x)) return Filters::kNone;
  const std::vector<int64_t>& w = program.constants[op.filter].extents;
  if (w[2] != x.channels) return Filters::kDepthwise;
  if (op.int8) return Filters::kInt8;
  const ProgramWindow& window = op.window;
  return IsPackedWinograd2D(w[0], w[1], window.stride_y, window.stride_x, window.dilation_y, window.dilation_x, w[2],
                            w[3])
             ? Filters::kWinograd
             : Filters::kDense;
}

int64_t PackedElements(const Program& program, const ProgramInstruction& op, const MapShape& x) {
  const Filters filters = FiltersOf(program, op, x);
  if (filters == Filters::kNone) return 0;
  const std::vector<int64_t>& w = program.constants[op.filter].extents;
  const int64_t elements = filters == Filters::kDense      ? PackedFilterElements(w[0] * w[1] * w[2], w[3])
                           : filters == Filters::kInt8     ? Int8Layout{w[0] * w[1] * w[2]}.elements(w[3])
                           : filters == Filters::kWinograd ? PackedWinogradElements(w[2], w[3])
                                                           : PackedDepthwiseElements(w[0] * w[1], w[3]);
  return RoundUp(elements, 16);
}

Padding Resolved(Padding padding, int64_t size, int64_t window, int64_t stride, int64_t dilation) {
  return padding.before < 0 ? SamePadding(size, window, stride, dilation) : padding;
}

// Which images a run is about, and its memory.
struct Part {
  int64_t first, count;
  float* own_arena;
  void* scratch;
};

// Instructions on some of the images; values by their numbers.
class Run {
 public:
  Run(const Program& program, const ProgramPlan& plan, const ProgramMemory& memory, const float* images, float* result,
      const Part& part, const ParallelFor& parallel, const ProgramWatch* watch)
      : program_(program),
        plan_(plan),
        memory_(memory),
        images_(images),
        result_(result),
        part_(part),
        parallel_(parallel),
        watch_(watch) {}

  void Execute(int64_t number, const float* packed) {
    const int64_t begun = watch_ == nullptr ? 0 : watch_->Begin(number);
    Dispatch(number, packed);
    if (watch_ != nullptr) watch_->End(begun);
  }

  const float* At(int64_t v) const {
    const ProgramPlace& place = plan_.places[v];
    if (place.where == ProgramPlace::kOwnArena) return part_.own_arena + place.offset;
    return (place.where == ProgramPlace::kImages   ? images_
            : place.where == ProgramPlace::kResult ? result_
                                                   : memory_.arena) +
           place.offset + part_.first * place.image;
  }

 private:
  void Dispatch(int64_t number, const float* packed) {
    const ProgramInstruction& op = program_.instructions[number];
    const int64_t y = number + 1;
    switch (op.kind) {
      case ProgramKind::kConv:
      case ProgramKind::kConvInt8:
        return Convolve(op, y, packed);
      case ProgramKind::kPool:
        return Pool(op, y);
      case ProgramKind::kMean:
        return RunMapMean(
            {part_.count, Shape(op.x).pixels(), Shape(op.x).channels, Step(op.x), Step(y), At(op.x), To(y)}, parallel_);
      case ProgramKind::kPass:
        return Pass(op, y);
      case ProgramKind::kConcat:
        return Concatenate(op, y);
      case ProgramKind::kSoftmax:
        return RunMapSoftmax({part_.count * Shape(y).pixels(), Shape(y).channels, Step(op.x), Step(y), At(op.x), To(y)},
                             parallel_);
      case ProgramKind::kFlatten:
      case ProgramKind::kReshape:
        return;  // the same memory
      case ProgramKind::kNorm:
        return Normalize(op, y);
      case ProgramKind::kAttention:
        return Attend(op, y);
      case ProgramKind::kCrop:
        return Crop(op, y);
      case ProgramKind::kStack:
        return Stack(op, y);
      case ProgramKind::kTranspose:
        return Transpose(op, y);
      case ProgramKind::kPatches:
        return Patches(op, y);
    }
  }

  const MapShape& Shape(int64_t v) const { return plan_.shapes[v]; }
  int64_t Step(int64_t v) const { return plan_.places[v].step; }
  float* To(int64_t v) const { return const_cast<float*>(At(v)); }  // never the images: no instruction makes them
  const float* Constant(int64_t c) const { return c < 0 ? nullptr : memory_.constants + program_.constants[c].offset; }

  void Convolve(const ProgramInstruction& op, int64_t y, const float* packed) {
    const MapShape &in = Shape(op.x), &out = Shape(y);
    const ProgramWindow& w = op.window;
    const int64_t top = Resolved(w.pad_y, in.height, w.height, w.stride_y, w.dilation_y).before;
    const int64_t left = Resolved(w.pad_x, in.width, w.width, w.stride_x, w.dilation_x).before;
    const Filters filters = FiltersOf(program_, op, in);
    if (filters == Filters::kNone) return ConvolveGroups(op, y);
    if (filters == Filters::kDepthwise) {
      PackedDepthwise2D conv;
      conv.batch = part_.count, conv.height = in.height, conv.width = in.width, conv.channels = in.channels;
      conv.kernel_height = w.height, conv.kernel_width = w.width;
      conv.stride_y = w.stride_y, conv.stride_x = w.stride_x;
      conv.dilation_y = w.dilation_y, conv.dilation_x = w.dilation_x;
      conv.top = top, conv.left = left, conv.output_height = out.height, conv.output_width = out.width;
      conv.x_step = Step(op.x), conv.y_step = Step(y);
      const bool more = op.residual >= 0 || op.gate >= 0 || op.scale >= 0;
      conv.activation = more ? Activation::kLinear : op.activation;
      conv.x = At(op.x), conv.filter = packed, conv.bias = Constant(op.bias), conv.y = To(y);
      RunPackedDepthwise2D(conv, parallel_);
      if (more) AddAndActivate(op, y);
      return;
    }
    PackedConv2D conv;
    conv.batch = part_.count, conv.height = in.height, conv.width = in.width, conv.channels = in.channels;
    conv.kernel_height = w.height, conv.kernel_width = w.width, conv.stride_y = w.stride_y, conv.stride_x = w.stride_x;
    conv.dilation_y = w.dilation_y, conv.dilation_x = w.dilation_x, conv.top = top, conv.left = left;
    conv.output_height = out.height, conv.output_width = out.width, conv.filters = out.channels;
    conv.x_step = Step(op.x), conv.y_step = Step(y), conv.activation = op.activation;
    conv.x = At(op.x), conv.filter = packed, conv.bias = Constant(op.bias), conv.y = To(y);
    conv.scale = Constant(op.scale), conv.shift = Constant(op.shift);
    if (op.gate >= 0) conv.gate = At(op.gate);
    if (op.residual >= 0) conv.residual = At(op.residual), conv.residual_step = Step(op.residual);
    conv.int8 = filters == Filters::kInt8;
    if (filters != Filters::kWinograd) return RunPackedConv2D(conv, parallel_);
    if (!IsClamp(op.activation)) conv.activation = Activation::kLinear;
    RunPackedWinograd2D(conv, part_.scratch, parallel_);
    if (!IsClamp(op.activation)) ActivateInPlace(op, y);
  }

  void ConvolveGroups(const ProgramInstruction& op, int64_t y) {
    const Conv2D conv = GroupedConv2D(program_, op, part_.count, Shape(op.x));
    const bool relu = op.activation == Activation::kRelu && op.residual < 0;
    const Conv2DEpilogue<float> epilogue{Constant(op.bias), relu};
    Conv2DForward<float>(conv, At(op.x), Constant(op.filter), To(y), part_.scratch, parallel_, epilogue);
    if (!relu) AddAndActivate(op, y);
  }

  void ActivateInPlace(const ProgramInstruction& op, int64_t y) {
    MapPass pass = PassTo(y);
    pass.a = To(y), pass.a_step = Step(y), pass.activation = op.activation;
    RunMapPass(pass, parallel_);
  }

  void AddAndActivate(const ProgramInstruction& op, int64_t y) {
    if (op.residual < 0 && op.activation == Activation::kLinear) return;
    MapPass pass = PassTo(y);
    pass.a = To(y), pass.a_step = Step(y), pass.activation = op.activation;
    if (op.residual >= 0) pass.b = At(op.residual), pass.b_step = Step(op.residual);
    RunMapPass(pass, parallel_);
  }

  MapPass PassTo(int64_t y) const {
    MapPass pass;
    pass.rows = part_.count * Shape(y).pixels(), pass.channels = Shape(y).channels, pass.pixels = Shape(y).pixels();
    pass.y = To(y), pass.y_step = Step(y);
    return pass;
  }

  void Pass(const ProgramInstruction& op, int64_t y) {
    MapPass pass = PassTo(y);
    pass.a = At(op.x), pass.a_step = Step(op.x), pass.activation = op.activation;
    if (op.residual >= 0) pass.b = At(op.residual), pass.b_step = Step(op.residual);
    if (op.gate >= 0) pass.gate = At(op.gate);
    pass.scale = Constant(op.scale), pass.shift = Constant(op.shift);
    RunMapPass(pass, parallel_);
  }

  void Pool(const ProgramInstruction& op, int64_t y) {
    const MapShape &in = Shape(op.x), &out = Shape(y);
    const ProgramWindow& w = op.window;
    MapPool pool;
    pool.batch = part_.count, pool.height = in.height, pool.width = in.width, pool.channels = in.channels;
    pool.kernel_height = w.height, pool.kernel_width = w.width, pool.stride_y = w.stride_y, pool.stride_x = w.stride_x;
    pool.top = Resolved(w.pad_y, in.height, w.height, w.stride_y, 1).before;
    pool.left = Resolved(w.pad_x, in.width, w.width, w.stride_x, 1).before;
    pool.output_height = out.height, pool.output_width = out.width;
    pool.x_step = Step(op.x), pool.y_step = Step(y), pool.mean = op.mean, pool.zeros = op.zeros;
    pool.x = At(op.x), pool.y = To(y);
    RunMapPool(pool, parallel_);
  }

  void Concatenate(const ProgramInstruction& op, int64_t y) {
    int64_t channel = 0;
    for (size_t i = 0; i < op.parts.size(); channel += Shape(op.parts[i++]).channels) {
      const int64_t part = op.parts[i];
      const float* from = At(part);
      float* to = To(y) + channel;
      if (from == to) continue;  // it was written there
      MapPass pass;
      pass.rows = part_.count * Shape(y).pixels(), pass.channels = Shape(part).channels;
      pass.a = from, pass.a_step = Step(part), pass.y = to, pass.y_step = Step(y);
      RunMapPass(pass, parallel_);
    }
  }

  void Normalize(const ProgramInstruction& op, int64_t y) {
    TokenNorm norm;
    norm.rows = part_.count * Shape(y).pixels(), norm.channels = Shape(y).channels;
    norm.x_step = Step(op.x), norm.y_step = Step(y), norm.epsilon = op.number;
    norm.x = At(op.x), norm.scale = Constant(op.scale), norm.shift = Constant(op.shift), norm.y = To(y);
    RunTokenNorm(norm, parallel_);
  }

  void Attend(const ProgramInstruction& op, int64_t y) {
    PackedAttention attention;
    attention.batch = part_.count, attention.height = Shape(y).height, attention.width = Shape(y).width;
    attention.heads = op.heads, attention.size = Shape(y).channels / op.heads;
    attention.side = op.side, attention.roll = op.roll, attention.scale = op.number;
    attention.x_step = Step(op.x), attention.y_step = Step(y);
    attention.x = At(op.x), attention.bias = Constant(op.bias), attention.y = To(y);
    RunPackedAttention(attention, part_.scratch, parallel_);
  }

  // What steps from one image, row and pixel of a value to the next.
  TokenCopy::Steps StepsOf(int64_t v) const {
    const MapShape& map = Shape(v);
    return {map.pixels() * Step(v), map.width * Step(v), Step(v)};
  }

  void Crop(const ProgramInstruction& op, int64_t y) {
    TokenCopy copy;
    copy.batch = part_.count, copy.height = Shape(y).height, copy.width = Shape(y).width;
    copy.channels = Shape(y).channels, copy.from = StepsOf(op.x), copy.to = StepsOf(y);
    copy.x = At(op.x) + op.cut[0] * copy.from.row + op.cut[2] * copy.from.pixel + op.cut[4], copy.y = To(y);
    RunTokenCopy(copy, parallel_);
  }

  void Stack(const ProgramInstruction& op, int64_t y) {
    const int64_t row = Shape(y).width * Shape(y).channels;
    TokenCopy copy;
    copy.batch = part_.count, copy.width = Shape(y).width, copy.channels = Shape(y).channels;
    copy.to = StepsOf(y), copy.added = Constant(op.position), copy.y = To(y);
    const auto add = [&](int64_t height) {
      copy.height = height;
      RunTokenCopy(copy, parallel_);
      copy.y += height * copy.to.row;
      if (copy.added != nullptr) copy.added += height * row;
    };
    if (op.token >= 0) {
      copy.from = {0, row, copy.channels}, copy.x = Constant(op.token);
      add(program_.constants[op.token].elements / row);
    }
    for (int64_t part : op.parts) {
      copy.from = StepsOf(part), copy.x = At(part);
      add(Shape(part).height);
    }
  }

  void Transpose(const ProgramInstruction& op, int64_t y) {
    TokenTranspose transpose;
    transpose.batch = part_.count, transpose.pixels = Shape(op.x).pixels(), transpose.channels = Shape(op.x).channels;
    transpose.x_step = Step(op.x), transpose.y_step = Step(y), transpose.x = At(op.x), transpose.y = To(y);
    if (op.residual >= 0) {
      transpose.residual = At(op.residual), transpose.residual_step = Step(op.residual);
    }
    RunTokenTranspose(transpose, parallel_);
  }

  void Patches(const ProgramInstruction& op, int64_t y) {
    const MapShape &in = Shape(op.x), &out = Shape(y);
    const ProgramWindow& w = op.window;
    TokenPatches patches;
    patches.batch = part_.count, patches.height = in.height, patches.width = in.width, patches.channels = in.channels;
    patches.kernel_height = w.height, patches.kernel_width = w.width;
    patches.stride_y = w.stride_y, patches.stride_x = w.stride_x;
    patches.top = Resolved(w.pad_y, in.height, w.height, w.stride_y, 1).before;
    patches.left = Resolved(w.pad_x, in.width, w.width, w.stride_x, 1).before;
    patches.output_height = out.height, patches.output_width = out.width;
    patches.x_step = Step(op.x), patches.y_step = Step(y), patches.x = At(op.x), patches.y = To(y);
    const bool channels_first = op.order == PatchOrder::kChannels;
    const int64_t unit = channels_first ? 1 : in.channels;
    patches.channel_step = channels_first ? w.height * w.width : 1;
    patches.row_step = op.order == PatchOrder::kColumns ? unit : unit * w.width;
    patches.column_step = op.order == PatchOrder::kColumns ? unit * w.height : unit;
    RunTokenPatches(patches, parallel_);
  }

  const Program& program_;
  const ProgramPlan& plan_;
  const ProgramMemory& memory_;
  const float* images_;
  float* result_;
  const Part part_;
  const ParallelFor& parallel_;
  const ProgramWatch* const watch_;
};

}  // namespace

int64_t ProgramPackedElements(const Program& program, const std::vector<MapShape>& shapes) {
  int64_t elements = 0;
  for (const ProgramInstruction& op : program.instructions) {
    if (op.kind == ProgramKind::kConv) elements += PackedElements(program, op, shapes[op.x]);
  }
  return elements;
}

void ProgramPack(const Program& program, const std::vector<MapShape>& shapes, const float* constants, float* packed) {
  for (const ProgramInstruction& op : program.instructions) {
    if (op.kind != ProgramKind::kConv) continue;
    const Filters filters = FiltersOf(program, op, shapes[op.x]);
    const ProgramConstant& filter = program.constants[op.filter];
    const std::vector<int64_t>& w = filter.extents;
    if (filters == Filters::kDense) PackFilter(w[0] * w[1] * w[2], w[3], constants + filter.offset, packed);
    if (filters == Filters::kInt8) PackFilterInt8(w[0] * w[1] * w[2], w[3], constants + filter.offset, packed);
    if (filters == Filters::kWinograd) PackWinogradFilter(w[2], w[3], constants + filter.offset, packed);
    if (filters == Filters::kDepthwise) PackDepthwiseFilter(w[0] * w[1], w[3], constants + filter.offset, packed);
    packed += PackedElements(program, op, shapes[op.x]);
  }
}

void ProgramRun(const Program& program, const ProgramPlan& plan, const ProgramMemory& memory, const float* images,
                float* result, const ParallelFor& parallel, const ProgramWatch* watch) {
  if (plan.batch == 0) return;
  const int64_t count = static_cast<int64_t>(program.instructions.size());
  std::vector<const float*> packed(count);
  const float* next = memory.packed;
  for (int64_t i = 0; i < count; ++i) {
    const ProgramInstruction& op = program.instructions[i];
    packed[i] = next;
    if (op.kind == ProgramKind::kConv) next += PackedElements(program, op, plan.shapes[op.x]);
  }
  char* scratch = static_cast<char*>(memory.scratch);
  if (plan.alone > 0) {
    const ScratchSlots free(scratch, plan.threads);
    scratch += ScratchSlots::HeaderBytes(plan.threads);
    char* const own_scratch = scratch + RoundUp(plan.scratch_bytes, 64);
    float* const own_arena = memory.arena + RoundUp(plan.arena_elements, 16);
    const SerialFor serial;
    constexpr int64_t kCycles = 1 << 24;  // an image is worth a thread
    parallel.Run(plan.batch, kCycles, [&](int64_t begin, int64_t end) {
      const int slot = free.Acquire();
      float* const arena = own_arena + slot * RoundUp(plan.own_arena_elements, 16);
      char* const working = own_scratch + slot * RoundUp(plan.own_scratch_bytes, 64);
      for (int64_t image = begin; image < end; ++image) {
        Run run(program, plan, memory, images, result, {image, 1, arena, working}, serial, watch);
        for (int64_t i = 0; i < plan.alone; ++i) run.Execute(i, packed[i]);
      }
      free.Release(slot);
    });
  }
  Run run(program, plan, memory, images, result, {0, plan.batch, nullptr, scratch}, parallel, watch);
  for (int64_t i = plan.alone; i < count; ++i) run.Execute(i, packed[i]);
  const float* last = run.At(count);
  if (last != result) std::memcpy(result, last, plan.batch * plan.shapes[count].elements() * sizeof(float));
}

}  // namespace kerascnn
