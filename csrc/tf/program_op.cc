// TensorFlow op Kerascnn>InferenceProgram: a whole network in one op, for the CPU. The format of programs is in
// kernels/program.h.
//
// Filters are packed at the first run, and again where the constants are other ones; plans are kept by the shape of the
// images, and working memory, which is tens of megabytes of fresh pages otherwise, from run to run.
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "kernels/program_cpu.h"
#include "kernels/program_text.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/common.h"
#include "tsl/profiler/lib/traceme.h"
#include "tsl/profiler/lib/traceme_encode.h"

namespace kerascnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

template <typename Context>
absl::Status GetProgram(Context* context, Program* program, bool* flat) {
  std::vector<int64_t> numbers;
  TF_RETURN_IF_ERROR(context->GetAttr("program", &numbers));
  TF_RETURN_IF_ERROR(context->GetAttr("flat", flat));
  return Say(ProgramParse(numbers.data(), static_cast<int64_t>(numbers.size()), program));
}

absl::Status CheckFlat(const MapShape& result, bool flat) {
  if (!flat || result.pixels() == 1) return absl::OkStatus();
  return Invalid("A flat result must have one pixel an image. Received: ", result.height, " x ", result.width);
}

absl::Status InferShape(InferenceContext* context) {
  Program program;
  bool flat = false;
  TF_RETURN_IF_ERROR(GetProgram(context, &program, &flat));
  ShapeHandle images, constants;
  TF_RETURN_IF_ERROR(context->WithRank(context->input(0), 4, &images));
  TF_RETURN_IF_ERROR(context->WithRank(context->input(1), 1, &constants));
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(context->WithValue(context->Dim(constants, 0), program.constant_elements, &unused));
  const DimensionHandle batch = context->Dim(images, 0);
  int64_t extents[3];
  bool known = true;
  for (int i = 0; i < 3; ++i) {
    extents[i] = InferenceContext::Value(context->Dim(images, i + 1));
    known = known && extents[i] >= 0;
  }
  DimensionHandle height = context->UnknownDim(), width = height, channels = height;
  if (known) {
    std::vector<MapShape> shapes;
    TF_RETURN_IF_ERROR(Say(ProgramShapes(program, 1, {extents[0], extents[1], extents[2]}, &shapes)));
    TF_RETURN_IF_ERROR(CheckFlat(shapes.back(), flat));
    height = context->MakeDim(shapes.back().height), width = context->MakeDim(shapes.back().width);
    channels = context->MakeDim(shapes.back().channels);
  }
  context->set_output(
      0, flat ? context->MakeShape({batch, channels}) : context->MakeShape({batch, height, width, channels}));
  return absl::OkStatus();
}

REGISTER_OP("Kerascnn>InferenceProgram")
    .Input("images: float")
    .Input("constants: float")
    .Output("result: float")
    .Attr("program: list(int)")
    .Attr("flat: bool")
    .SetShapeFn(InferShape);

// Memory that begins on a cache line; where it is large, in large pages, which a walk through filters and maps needs
// fewer of.
class Buffer {
 public:
  explicit Buffer(int64_t bytes) {
    constexpr size_t kPage = 2 << 20;
    const size_t size = std::max<size_t>(64, static_cast<size_t>(bytes)), unit = size < kPage ? 64 : kPage;
    bytes_ = (size + unit - 1) / unit * unit;
    memory_ = std::aligned_alloc(unit, bytes_);
#ifdef __linux__
    if (memory_ != nullptr && unit == kPage) madvise(memory_, bytes_, MADV_HUGEPAGE);
#endif
  }
  ~Buffer() { std::free(memory_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* get() const { return memory_; }
  int64_t bytes() const { return memory_ == nullptr ? 0 : static_cast<int64_t>(bytes_); }

 private:
  void* memory_;
  size_t bytes_;
};

struct Packed {
  tf::Tensor constants;  // kept, so that no other tensor gets its memory
  int64_t channels;      // of the images
  Buffer filters;
  Packed(const tf::Tensor& constants, int64_t channels, int64_t bytes)
      : constants(constants), channels(channels), filters(bytes) {}
};

// Each instruction as an event of its own in TensorFlow's profiler, while that records.
class Traced final : public ProgramWatch {
 public:
  Traced(const Program& program, const std::vector<MapShape>& shapes) : program_(program), shapes_(shapes) {}
  int64_t Begin(int64_t instruction) const override {
    return tsl::profiler::TraceMe::ActivityStart([&] {
      return tsl::profiler::TraceMeEncode(
          ProgramText(program_, shapes_, instruction),
          {{"instruction", instruction}, {"multiply_adds", ProgramMultiplyAdds(program_, shapes_, instruction)}});
    });
  }
  void End(int64_t begun) const override { tsl::profiler::TraceMe::ActivityEnd(begun); }

 private:
  const Program& program_;
  const std::vector<MapShape>& shapes_;
};

class InferenceProgramKernel final : public tf::OpKernel {
 public:
  explicit InferenceProgramKernel(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, GetProgram(context, &program_, &flat_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &images = context->input(0), &constants = context->input(1);
    OP_REQUIRES(context, images.dims() == 4,
                Invalid("images must have 4 dimensions. Received: ", images.shape().DebugString()));
    OP_REQUIRES(context, constants.dims() == 1 && constants.NumElements() == program_.constant_elements,
                Invalid("constants must be one list of ", program_.constant_elements,
                        " numbers. Received: ", constants.shape().DebugString()));
    const TensorFlowFor parallel(context);
    std::shared_ptr<const ProgramPlan> plan;
    OP_REQUIRES_OK(context, PlanFor(images, parallel.threads(), &plan));
    const MapShape& last = plan->shapes.back();
    OP_REQUIRES_OK(context, CheckFlat(last, flat_));
    tf::TensorShape shape({images.dim_size(0)});
    if (!flat_) shape.AddDim(last.height), shape.AddDim(last.width);
    shape.AddDim(last.channels);
    tf::Tensor* result = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &result));
    if (result->NumElements() == 0) return;
    const std::shared_ptr<const Packed> packed = PackedFor(constants, *plan);
    const int64_t arena_bytes = (plan->memory_elements() + 15) / 16 * 64;
    std::unique_ptr<Buffer> memory = TakeMemory(arena_bytes + plan->memory_scratch_bytes());
    OP_REQUIRES(context, packed != nullptr && memory->get() != nullptr,
                absl::ResourceExhaustedError("There is not enough memory for the maps of an inference program."));
    char* const arena = static_cast<char*>(memory->get());
    const Traced traced(program_, plan->shapes);
    ProgramRun(program_, *plan,
               {Data<float>(constants), static_cast<const float*>(packed->filters.get()),
                reinterpret_cast<float*>(arena), arena + arena_bytes},
               Data<float>(images), MutableData<float>(result), parallel,
               tsl::profiler::TraceMe::Active() ? &traced : nullptr);
    const std::lock_guard<std::mutex> lock(mutex_);
    memories_.push_back(std::move(memory));
  }

 private:
  absl::Status PlanFor(const tf::Tensor& images, int threads, std::shared_ptr<const ProgramPlan>* plan) {
    constexpr size_t kMost = 64;  // plans; who asks for more shapes in turn may wait for them
    const auto size = [&](int axis) { return images.dim_size(axis); };
    const auto key = std::make_tuple(size(0), size(1), size(2), size(3), threads);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (plans_.size() >= kMost) plans_.clear();
    std::shared_ptr<const ProgramPlan>& kept = plans_[key];
    if (kept == nullptr) {
      auto made = std::make_shared<ProgramPlan>();
      const std::string wrong = ProgramPlan::Make(program_, size(0), {size(1), size(2), size(3)}, threads, made.get());
      if (!wrong.empty()) return plans_.erase(key), Invalid(wrong);
      kept = made;
    }
    *plan = kept;
    return absl::OkStatus();
  }

  // Null where there is no memory for them.
  std::shared_ptr<const Packed> PackedFor(const tf::Tensor& constants, const ProgramPlan& plan) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int64_t channels = plan.shapes[0].channels;
    if (packed_ == nullptr || packed_->constants.data() != constants.data() || packed_->channels != channels) {
      const int64_t bytes = ProgramPackedElements(program_, plan.shapes) * static_cast<int64_t>(sizeof(float));
      packed_ = nullptr;
      const auto made = std::make_shared<Packed>(constants, channels, bytes);
      if (made->filters.get() == nullptr) return nullptr;
      ProgramPack(program_, plan.shapes, Data<float>(constants), static_cast<float*>(made->filters.get()));
      packed_ = made;
    }
    return packed_;
  }

  std::unique_ptr<Buffer> TakeMemory(int64_t bytes) {
    std::unique_ptr<Buffer> memory;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!memories_.empty()) memory = std::move(memories_.back()), memories_.pop_back();
    }
    if (memory == nullptr || memory->bytes() < bytes) {
      memory = nullptr;  // first, so that never both are there
      memory = std::make_unique<Buffer>(bytes);
    }
    return memory;
  }

  Program program_;
  bool flat_ = false;
  std::mutex mutex_;
  std::map<std::tuple<int64_t, int64_t, int64_t, int64_t, int>, std::shared_ptr<const ProgramPlan>> plans_;
  std::shared_ptr<const Packed> packed_;
  std::vector<std::unique_ptr<Buffer>> memories_;  // as many as there were runs at the same time
};

REGISTER_KERNEL_BUILDER(Name("Kerascnn>InferenceProgram").Device(tf::DEVICE_CPU), InferenceProgramKernel);

}  // namespace
}  // namespace kerascnn
