// conv2d on the CPU: hands blocks and strips to threads. The partition is in conv2d_plan.cc, the loops in
// conv2d_simd.inc.
#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d.h"
#include "kernels/conv2d_plan.h"
#include "kernels/depthwise2d.h"

#define KERASCNN_SIMD_FILE "kernels/conv2d_pack.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/conv2d_simd.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

int64_t VectorBytes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 64 : level == CpuLevel::kAvx2 ? 32 : 16;
}

// Elements of the computing type in each part of the working memory.
struct Layout {
  int64_t shared;  // packed weights, or partial sums
  int64_t slot;    // of one thread
  explicit Layout(const ConvPlan& plan, Conv2DKind kind) {
    const bool filter = kind == Conv2DKind::kFilterGradient;
    shared = ConvPlan::Round((filter ? plan.parts : 1) * plan.blocks * plan.block_weights());
    slot = plan.source_slot() + (filter ? plan.target_slot() : ConvPlan::Round(plan.x.rows() * plan.block));
  }
};

template <typename R>
struct Scratch {
  R* shared;
  R* slots;
  int64_t slot;
  ScratchSlots free;
  Scratch(const Layout& layout, void* memory, int threads) : slot(layout.slot), free(memory, threads) {
    shared = reinterpret_cast<R*>(static_cast<char*>(memory) + ScratchSlots::HeaderBytes(threads));
    slots = shared + layout.shared;
  }
};

template <typename T>
void Convolve(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* memory,
              const ParallelFor& parallel) {
  using R = Compute<T>;
  const ConvPlan plan = ConvPlan::Make(conv, kind, sizeof(T), VectorBytes());
  const Scratch<R> scratch(Layout(plan, kind), memory, parallel.threads());
  const int64_t block_weights = plan.block_weights();
  parallel.Run(plan.blocks, 4 * block_weights, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      KERASCNN_SIMD_CALL(PackWeights(plan, b, w, scratch.shared + b * block_weights));
    }
  });
  const int64_t work = plan.strip * plan.y.phases * plan.x.target_size * plan.chunk * (block_weights / plan.lanes + 8);
  const int64_t cost = work / (plan.y.phases * plan.x.phases);
  parallel.Run(conv.batch * plan.strips * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* packed = scratch.slots + slot * scratch.slot;
    R* line = packed + plan.source_slot();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t item = task / plan.chunks, image = item / plan.strips, q = item % plan.strips * plan.strip;
      const int64_t count = std::min(plan.strip, plan.y.rows() - q);
      const int64_t first = task % plan.chunks * plan.chunk, last = std::min(plan.blocks, first + plan.chunk);
      for (int64_t b = first; b < last; ++b) {
        if (b == first || b % plan.group_blocks == 0) {
          KERASCNN_SIMD_CALL(PackSource(plan, plan.Block(b), source, image, q, count, packed));
        }
        KERASCNN_SIMD_CALL(
            StripOfBlock(plan, b, scratch.shared + b * block_weights, packed, image, q, count, line, target));
      }
    }
    scratch.free.Release(slot);
  });
}

}  // namespace

int64_t Conv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads) {
  if (IsDepthwise2D(conv)) return Depthwise2DScratchBytes(conv, kind, element_bytes);
  const ConvPlan plan = ConvPlan::Make(conv, kind, element_bytes, VectorBytes());
  const double rows = plan.y.Packed(plan.strip), columns = plan.x.Packed(plan.x.rows());
  const double elements =
      rows * columns * plan.depth * (threads + 1) +
      double(plan.parts) * plan.blocks * conv.kernel_height * conv.kernel_width * plan.steps * plan.block +
      double(plan.strip) * plan.x.rows() * plan.block * (threads + 1);
  if (!(elements < 1e17)) return -1;
  const Layout layout(plan, kind);
  const int64_t bytes = element_bytes == 8 ? 8 : 4;
  return ScratchSlots::HeaderBytes(threads) + bytes * (layout.shared + layout.slot * ScratchSlots::Count(threads));
}

template <typename T>
void Conv2DForward(const Conv2D& conv, const T* x, const T* w, T* y, void* scratch, const ParallelFor& parallel) {
  if (conv.y_elements() == 0) return;
  const auto convolve = IsDepthwise2D(conv) ? Depthwise2D<T> : Convolve<T>;
  convolve(conv, Conv2DKind::kForward, x, w, y, scratch, parallel);
}

template <typename T>
void Conv2DInputGradient(const Conv2D& conv, const T* w, const T* dy, T* dx, void* scratch,
                         const ParallelFor& parallel) {
  if (conv.x_elements() == 0) return;
  const auto convolve = IsDepthwise2D(conv) ? Depthwise2D<T> : Convolve<T>;
  convolve(conv, Conv2DKind::kInputGradient, dy, w, dx, scratch, parallel);
}

template <typename T>
void Conv2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* memory,
                          const ParallelFor& parallel) {
  using R = Compute<T>;
  if (conv.y_elements() == 0 || conv.x_elements() == 0) {
    std::memset(dw, 0, conv.w_elements() * sizeof(T));
    return;
  }
  if (IsDepthwise2D(conv)) return Depthwise2DFilterGradient(conv, x, dy, dw, memory, parallel);
  const ConvPlan plan = ConvPlan::Make(conv, Conv2DKind::kFilterGradient, sizeof(T), VectorBytes());
  const Scratch<R> scratch(Layout(plan, Conv2DKind::kFilterGradient), memory, parallel.threads());
  const int64_t block_weights = plan.block_weights(), items = conv.batch * plan.strips, columns = plan.x.rows();
  const int64_t cost = items * plan.strip * columns * (block_weights / plan.lanes + 16) / plan.parts;
  parallel.Run(plan.parts * plan.blocks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* source = scratch.slots + slot * scratch.slot;
    R* target = source + plan.source_slot();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / plan.blocks;
      const ConvBlock block = plan.Block(task % plan.blocks);
      R* sums = scratch.shared + task * block_weights;
      std::fill(sums, sums + block_weights, R(0));
      for (int64_t item = items * part / plan.parts; item < items * (part + 1) / plan.parts; ++item) {
        const int64_t image = item / plan.strips, q = item % plan.strips * plan.strip;
        const int64_t count = std::min(plan.strip, plan.y.rows() - q);
        const T* rows = dy + (image * plan.y.target_size + q) * columns * conv.filters + block.target_first;
        KERASCNN_SIMD_CALL(PackSource(plan, block, x, image, q, count, source));
        KERASCNN_SIMD_CALL(PackPixels(rows, conv.filters, count * columns, block.target_count, plan.block, target));
        KERASCNN_SIMD_CALL(StripGradient(plan, source, target, q, count, sums));
      }
    }
    scratch.free.Release(slot);
  });
  parallel.Run(plan.blocks, plan.parts * block_weights, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) KERASCNN_SIMD_CALL(SumParts(plan, b, scratch.shared, dw));
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                           \
  template void Conv2DForward<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);       \
  template void Conv2DInputGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&); \
  template void Conv2DFilterGradient<T>(const Conv2D&, const T*, const T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)

}  // namespace kerascnn
