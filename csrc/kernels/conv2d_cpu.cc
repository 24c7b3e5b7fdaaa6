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
#define KERASCNN_SIMD_FILE "kernels/conv2d_winograd.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/conv2d_filter.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

int64_t VectorBytes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 64 : level == CpuLevel::kAvx2 ? 32 : 16;
}

// Elements of the computing type in each part of the working memory.
struct Layout {
  int64_t shared;               // partial sums of the filter gradient
  int64_t source, other, line;  // of one thread: packed source; weights, or packed rows of dy; see ConvPlan::line()
  int64_t slot() const { return source + other + line; }
  explicit Layout(const ConvPlan& plan, Conv2DKind kind) {
    const bool filter = kind == Conv2DKind::kFilterGradient;
    shared = filter ? ConvPlan::Round(plan.parts * plan.blocks * plan.block_weights()) : 0;
    source = plan.source_slot();
    other = filter ? plan.target_slot() : ConvPlan::Round(plan.chunk * plan.block_weights());
    line = filter ? 0 : plan.line();
  }
};

template <typename R>
struct Scratch {
  R* shared;
  R* slots;
  int64_t slot;
  ScratchSlots free;
  Scratch(const Layout& layout, void* memory, int threads) : slot(layout.slot()), free(memory, threads) {
    shared = reinterpret_cast<R*>(static_cast<char*>(memory) + ScratchSlots::HeaderBytes(threads));
    slots = shared + layout.shared;
  }
};

// A task is one strip of one image and one chunk of channels. Tasks of a chunk follow each other, so that its weights
// are packed once for all tasks that a thread does in a row.
template <typename T>
void Convolve(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* memory,
              const ParallelFor& parallel) {
  using R = Compute<T>;
  const ConvPlan plan = ConvPlan::Make(conv, kind, sizeof(T), VectorBytes());
  const Layout layout(plan, kind);
  const Scratch<R> scratch(layout, memory, parallel.threads());
  const int64_t block_weights = plan.block_weights(), items = plan.items();
  const int64_t work = plan.strip * plan.y.phases * plan.x.target_size * plan.chunk * (block_weights / plan.lanes + 8);
  const int64_t cost = work / (plan.y.phases * plan.x.phases);
  parallel.Run(items * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* packed = scratch.slots + slot * scratch.slot;
    R* weights = packed + layout.source;
    R* line = weights + layout.other;
    int64_t chunk = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t item = task % items, image = item / plan.strips, q = item % plan.strips * plan.strip;
      const int64_t count = std::min(plan.strip, plan.y.rows() - q);
      const int64_t first = task / items * plan.chunk, last = std::min(plan.blocks, first + plan.chunk);
      if (task / items != chunk) {
        for (int64_t b = first; b < last; ++b) {
          R* to = weights + (b - first) * block_weights;
          if (plan.winograd) {
            KERASCNN_SIMD_CALL(WinogradWeights(plan, b, w, to));
          } else {
            KERASCNN_SIMD_CALL(PackWeights(plan, b, w, to));
          }
        }
        chunk = task / items;
      }
      KERASCNN_SIMD_CALL(PackSource(plan, first, last, source, image, q, count, packed));
      for (int64_t b = first; b < last; ++b) {
        const R* from = packed + plan.Plane(first, b) * plan.source_plane();
        const R* of_block = weights + (b - first) * block_weights;
        if constexpr (std::is_same_v<R, float>) {
          if (plan.winograd) {
            KERASCNN_SIMD_CALL(WinogradStrip(plan, b, of_block, from, image, q, count, line, target));
            continue;
          }
        }
        KERASCNN_SIMD_CALL(StripOfBlock(plan, b, of_block, from, image, q, count, line, target));
      }
    }
    scratch.free.Release(slot);
  });
}

}  // namespace

int64_t Conv2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads) {
  if (IsDepthwise2D(conv)) return Depthwise2DScratchBytes(conv, kind, element_bytes);
  const ConvPlan plan = ConvPlan::Make(conv, kind, element_bytes, VectorBytes());
  const double rows = plan.packed_rows(plan.strip), columns = plan.packed_columns(), targets = plan.x.target_size + 1.0;
  const double weights = (double(conv.kernel_height) * conv.kernel_width + 16) * plan.steps * plan.block;
  const double elements = weights * plan.parts * plan.blocks +
                          (threads + 1.0) * (rows * columns * plan.depth * plan.planes + weights * plan.chunk +
                                             targets * plan.strip * (plan.chunk * plan.block + 8.0 * plan.steps));
  if (!(elements < 1e17)) return -1;
  const Layout layout(plan, kind);
  const int64_t bytes = element_bytes == 8 ? 8 : 4;
  return ScratchSlots::HeaderBytes(threads) + bytes * (layout.shared + layout.slot() * ScratchSlots::Count(threads));
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
  const Layout layout(plan, Conv2DKind::kFilterGradient);
  const Scratch<R> scratch(layout, memory, parallel.threads());
  const int64_t block_weights = plan.block_weights(), items = plan.items(), columns = plan.x.rows();
  const int64_t cost = items * plan.strip * columns * plan.chunk * (block_weights / plan.lanes + 16) / plan.parts;
  // A task is one chunk of channels and one part of the strips of all images.
  parallel.Run(plan.parts * plan.chunks, cost, [&](int64_t begin, int64_t end) {
    const int slot = scratch.free.Acquire();
    R* source = scratch.slots + slot * scratch.slot;
    R* target = source + layout.source;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / plan.chunks, first = task % plan.chunks * plan.chunk;
      const int64_t last = std::min(plan.blocks, first + plan.chunk);
      R* sums = scratch.shared + part * plan.blocks * block_weights;
      std::fill(sums + first * block_weights, sums + last * block_weights, R(0));
      for (int64_t item = items * part / plan.parts; item < items * (part + 1) / plan.parts; ++item) {
        const int64_t image = item / plan.strips, q = item % plan.strips * plan.strip;
        const int64_t count = std::min(plan.strip, plan.y.rows() - q);
        const T* rows = dy + (image * plan.y.target_size + q) * columns * conv.filters;
        KERASCNN_SIMD_CALL(PackSource(plan, first, last, x, image, q, count, source));
        KERASCNN_SIMD_CALL(PackTargets(plan, first, last, rows, count * columns, target));
        for (int64_t b = first; b < last; ++b) {
          const R* from = source + plan.Plane(first, b) * plan.source_plane();
          const R* to = target + (b - first) * plan.target_plane();
          KERASCNN_SIMD_CALL(StripGradient(plan, from, to, q, count, sums + b * block_weights));
        }
      }
    }
    scratch.free.Release(slot);
  });
  parallel.Run(plan.blocks, plan.parts * block_weights / plan.lanes, [&](int64_t begin, int64_t end) {
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
