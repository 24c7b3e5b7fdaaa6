// Convolution by its definition, for any window and any groups: the part of conv2d (kernels/conv2d.h) that neither
// depthwise2d.h nor winograd2d.h takes.
#ifndef KERASCNN_KERNELS_CONV2D_DIRECT_H_
#define KERASCNN_KERNELS_CONV2D_DIRECT_H_

#include <cstdint>

#include "common/parallel.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"

namespace kerascnn {

// As Conv2DScratchBytes().
int64_t Direct2DScratchBytes(const Conv2D& conv, Conv2DKind kind, int element_bytes, int threads);

// kind kForward: x, w -> y, and the epilogue; kInputGradient: dy, w -> dx. For results that are not empty.
template <typename T>
void Direct2D(const Conv2D& conv, Conv2DKind kind, const T* source, const T* w, T* target, void* scratch,
              const ParallelFor& parallel, const Conv2DEpilogue<T>& epilogue);

// x, dy -> dw, for x and dy that are not empty.
template <typename T>
void Direct2DFilterGradient(const Conv2D& conv, const T* x, const T* dy, T* dw, void* scratch,
                            const ParallelFor& parallel);

// Elements of the computing type in each part of the working memory.
struct DirectLayout {
  int64_t shared;               // partial sums of the filter gradient
  int64_t source, other, line;  // of one thread: packed source; weights, or packed rows of dy; ConvPlan::line()
  int64_t slot() const { return source + other + line; }
  DirectLayout(const ConvPlan& plan, Conv2DKind kind) {
    const bool filter = kind == Conv2DKind::kFilterGradient;
    shared = filter ? ConvPlan::Round(plan.parts * plan.blocks * plan.block_weights()) : 0;
    source = plan.source_slot();
    other = filter ? plan.target_slot() : ConvPlan::Round(plan.chunk * plan.block_weights());
    line = filter ? 0 : plan.line();
  }
};

template <typename R>
struct DirectScratch {
  R* shared;
  R* slots;
  int64_t slot;
  ScratchSlots free;
  DirectScratch(const DirectLayout& layout, void* memory, int threads) : slot(layout.slot()), free(memory, threads) {
    shared = reinterpret_cast<R*>(static_cast<char*>(memory) + ScratchSlots::HeaderBytes(threads));
    slots = shared + layout.shared;
  }
};

inline int64_t VectorBytes() {
  const CpuLevel level = BestCpuLevel();
  return level == CpuLevel::kAvx512 ? 64 : level == CpuLevel::kAvx2 ? 32 : 16;
}

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_CONV2D_DIRECT_H_
