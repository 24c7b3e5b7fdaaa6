// deform_conv2d on the CPU: working memory and threads. The partition is in deform_conv2d_plan.cc, the loops are in
// deform_conv2d_simd.inc and deform_conv2d_gradient.inc.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "common/gemm.h"
#include "common/simd.h"
#include "common/types.h"
#include "kernels/conv2d_plan.h"
#include "kernels/deform_conv2d.h"
#include "kernels/deform_conv2d_body.h"
#include "kernels/deform_conv2d_plan.h"

#define KERASCNN_SIMD_FILE "common/vector.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "common/gemm.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/deform_conv2d_simd.inc"
#include "common/simd_foreach.h"
#define KERASCNN_SIMD_FILE "kernels/deform_conv2d_gradient.inc"
#include "common/simd_foreach.h"

namespace kerascnn {
namespace {

// Bytes, in whole cache lines; adds up what is laid out, in a double too, which tells when that is too much.
class Layout {
 public:
  template <typename T>
  int64_t Add(int64_t count) {
    const int64_t at = bytes_;
    estimate_ += double(count) * sizeof(T) + 64;
    if (estimate_ < 1e17) bytes_ += (count * sizeof(T) + 63) / 64 * 64;
    return at;
  }
  int64_t bytes() const { return estimate_ < 1e17 ? bytes_ : -1; }

 private:
  int64_t bytes_ = 0;
  double estimate_ = 0;
};

template <typename T>
struct ForwardMemory {
  using R = Compute<T>;
  int64_t slots, zeros, packed, threads, reads, columns, sums, slot, bytes;
  ForwardMemory(const DeformPlan& plan, int count) {
    Layout all, one;
    reads = one.Add<DeformReads<T>>(plan.block * plan.offset_groups * plan.taps);
    columns = one.Add<R>(plan.block * kGemmRow<R>);
    sums = one.Add<R>(std::is_same_v<T, R> ? 0 : plan.block * plan.group_filters);
    slot = one.bytes();
    slots = all.Add<char>(ScratchSlots::HeaderBytes(count));
    zeros = all.Add<T>(plan.channels);
    packed = all.Add<R>(plan.groups * GemmPacked<R>(plan.depth, plan.group_filters));
    threads = all.bytes();
    for (int i = 0; i < ScratchSlots::Count(count) && slot >= 0; ++i) all.Add<char>(slot);
    bytes = slot < 0 ? -1 : all.bytes();
  }
};

template <typename T>
struct GradientMemory {
  using R = Compute<T>;
  int64_t slots, zeros, packed, sums, shares, tiles, threads, bytes;
  int64_t row, packed_slab, sums_slab, tile;                    // elements
  int64_t columns, gradient, rows, panels, lines, spare, slot;  // bytes
  GradientMemory(const DeformPlan& plan, int count) {
    Layout all, one;
    const int64_t channels = plan.slab_run * plan.slab_groups, most = plan.slab_columns();
    row = (most + 15) / 16 * 16 + 16;  // no power of two
    packed_slab = plan.slab_groups * GemmPacked<R>(plan.group_filters, plan.taps * plan.slab_run);
    sums_slab = plan.slab_groups * GemmPacked<R>(plan.taps * plan.slab_run, plan.group_filters);
    tile = plan.tile_rows * plan.deform->conv.width * channels;
    columns = one.Add<R>(plan.block * row);
    gradient = one.Add<R>(plan.block * row);
    rows = one.Add<R>(plan.block * kGemmRow<R>);
    panels = one.Add<R>(GemmPacked<R>(plan.block, plan.group_filters));
    lines = one.Add<R>(4 * channels);
    spare = one.Add<R>(channels);
    slot = one.bytes();
    slots = all.Add<char>(ScratchSlots::HeaderBytes(count));
    zeros = all.Add<T>(channels);
    packed = all.Add<R>(plan.slabs * packed_slab);
    sums = all.Add<R>(plan.parts * plan.slabs * sums_slab);
    shares = all.Add<R>(plan.slabs * plan.round_images * plan.round_pixels * plan.share());
    tiles = all.Add<R>(plan.tiles * tile);
    threads = all.bytes();
    for (int i = 0; i < ScratchSlots::Count(count) && slot >= 0; ++i) all.Add<char>(slot);
    bytes = slot < 0 ? -1 : all.bytes();
  }
};

template <typename R>
R* At(void* memory, int64_t offset) {
  return reinterpret_cast<R*>(static_cast<char*>(memory) + offset);
}

template <typename T>
int64_t ScratchBytes(const DeformConv2D& deform, bool gradient, int threads) {
  if (gradient) return GradientMemory<T>(DeformPlan::Gradient(deform, sizeof(T), threads), threads).bytes;
  return ForwardMemory<T>(DeformPlan::Forward(deform, sizeof(Compute<T>), threads), threads).bytes;
}

}  // namespace

int64_t DeformConv2DScratchBytes(const DeformConv2D& deform, bool gradient, int element_bytes, int threads) {
  if (deform.pixels() == 0) return 0;
  return element_bytes == 8   ? ScratchBytes<double>(deform, gradient, threads)
         : element_bytes == 4 ? ScratchBytes<float>(deform, gradient, threads)
                              : ScratchBytes<half>(deform, gradient, threads);
}

template <typename T>
void DeformConv2DForward(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask, T* y,
                         void* scratch, const ParallelFor& parallel) {
  using R = Compute<T>;
  if (deform.pixels() == 0) return;
  const DeformPlan plan = DeformPlan::Forward(deform, sizeof(R), parallel.threads());
  const ForwardMemory<T> memory(plan, parallel.threads());
  const ScratchSlots slots(At<char>(scratch, memory.slots), parallel.threads());
  T* zeros = At<T>(scratch, memory.zeros);
  R* packed = At<R>(scratch, memory.packed);
  std::memset(static_cast<void*>(zeros), 0, plan.channels * sizeof(T));
  const int64_t chunks = CeilDiv(plan.depth, kGemmDepth<R>), width = GemmPacked<R>(1, plan.group_filters);
  parallel.Run(plan.groups * chunks, kGemmDepth<R> * width, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t group = i / chunks, first = i % chunks * kGemmDepth<R>;
      const int64_t depth = std::min(kGemmDepth<R>, plan.depth - first);
      R* to = packed + (group * plan.depth + first) * width;
      KERASCNN_SIMD_CALL(DeformPackFilters(plan, group, first, depth, w, to));
    }
  });
  const int64_t cost = plan.block * plan.depth * plan.groups * (width / 16 + 2);
  parallel.Run(CeilDiv(plan.pixels, plan.block), cost, [&](int64_t begin, int64_t end) {
    const int index = slots.Acquire();
    void* slot = At<char>(scratch, memory.threads + index * memory.slot);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t pixel = i * plan.block, count = std::min(plan.block, plan.pixels - pixel);
      KERASCNN_SIMD_CALL(DeformForwardBlock(plan, x, offset, mask, packed, zeros, pixel, count,
                                            At<DeformReads<T>>(slot, memory.reads), At<R>(slot, memory.columns),
                                            At<R>(slot, memory.sums), y));
    }
    slots.Release(index);
  });
}

template <typename T>
void DeformConv2DGradient(const DeformConv2D& deform, const T* x, const T* w, const T* offset, const T* mask,
                          const T* dy, T* dx, T* dw, T* doffset, T* dmask, void* scratch, const ParallelFor& parallel) {
  using R = Compute<T>;
  const Conv2D& conv = deform.conv;
  if (deform.pixels() == 0) {
    std::fill_n(dx, conv.x_elements(), T{});  // not memset(), which refuses the null pointer of an empty array
    std::fill_n(dw, conv.w_elements(), T{});
    return;
  }
  const DeformPlan plan = DeformPlan::Gradient(deform, sizeof(T), parallel.threads());
  const GradientMemory<T> memory(plan, parallel.threads());
  const ScratchSlots slots(At<char>(scratch, memory.slots), parallel.threads());
  T* zeros = At<T>(scratch, memory.zeros);
  R *packed = At<R>(scratch, memory.packed), *sums = At<R>(scratch, memory.sums);
  R *shares = At<R>(scratch, memory.shares), *tiles = At<R>(scratch, memory.tiles);
  std::memset(static_cast<void*>(zeros), 0, plan.slab_run * plan.slab_groups * sizeof(T));
  parallel.Run(plan.slabs, 2 * memory.packed_slab, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      KERASCNN_SIMD_CALL(DeformPackTransposed(plan, plan.Slab(s), w, packed + s * memory.packed_slab));
    }
  });

  // One round: some images, or pixels [first, last) of one, scattering into rows [top, bottom) of dx.
  const auto round = [&](int64_t image, int64_t last_image, int64_t first, int64_t last, int64_t top, int64_t bottom) {
    const int64_t per_task = CeilDiv(last_image - image, plan.parts) * (last - first);
    const int64_t cost = per_task * plan.slab_columns() * (plan.group_filters / 8 + 4);
    parallel.Run(plan.parts * plan.slabs, cost, [&](int64_t begin, int64_t end) {
      const int index = slots.Acquire();
      void* slot = At<char>(scratch, memory.threads + index * memory.slot);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t s = i % plan.slabs, part = i / plan.slabs;
        DeformTask<T> task;
        task.slab = plan.Slab(s);
        task.x = x, task.offset = offset, task.mask = mask, task.dy = dy, task.zeros = zeros;
        task.packed = packed + s * memory.packed_slab, task.sums = sums + i * memory.sums_slab;
        task.first_window = top == 0;
        task.columns = At<R>(slot, memory.columns), task.gradient = At<R>(slot, memory.gradient);
        task.rows = At<R>(slot, memory.rows), task.panels = At<R>(slot, memory.panels);
        task.lines = At<R>(slot, memory.lines), task.spare = At<R>(slot, memory.spare);
        task.row = memory.row, task.from = top * conv.width, task.to = bottom * conv.width;
        const int64_t lead = (part - image % plan.parts + plan.parts) % plan.parts;
        for (int64_t n = image + lead; n < last_image; n += plan.parts) {
          T* target = dx + (n * conv.height + top) * conv.width * conv.channels + task.slab.first;
          if constexpr (std::is_same_v<T, R>) {
            task.dx = target, task.dx_step = conv.channels;
          } else {
            task.dx = tiles + (plan.round_pixels >= plan.image ? index : s) * memory.tile;
            task.dx_step = task.slab.count;
          }
          if (first == 0) {
            for (int64_t p = 0; p < task.to - task.from; ++p) {
              std::memset(task.dx + p * task.dx_step, 0, task.slab.count * sizeof(R));
            }
          }
          task.share = shares + (s * plan.round_images + n - image) * plan.round_pixels * plan.share();
          task.add = n >= plan.parts || first > 0;
          for (int64_t pixel = first; pixel < last; pixel += plan.block) {
            KERASCNN_SIMD_CALL(DeformGradientBlock(plan, task, n * plan.image + pixel,
                                                   std::min(plan.block, last - pixel), pixel - first));
          }
          if constexpr (!std::is_same_v<T, R>) {
            for (int64_t p = 0; last == plan.image && p < task.to - task.from; ++p) {
              const R* from = task.dx + p * task.dx_step;
              for (int64_t c = 0; c < task.slab.count; ++c) target[p * conv.channels + c] = FromCompute<T>(from[c]);
            }
          }
        }
      }
      slots.Release(index);
    });
  };
  // What the slabs' shares of these pixels add up to.
  const auto add_shares = [&](int64_t image, int64_t last_image, int64_t first, int64_t last) {
    const int64_t count = last - first;
    parallel.Run((last_image - image) * count, plan.share() * 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / count, pixel = i % count;
        for (int64_t d = 0; d < plan.offset_groups; ++d) {
          const int64_t low = plan.SlabOf(d * plan.offset_channels);
          const int64_t high = plan.SlabOf((d + 1) * plan.offset_channels - 1);
          const int64_t entry = (((image + n) * plan.image + first + pixel) * plan.offset_groups + d) * plan.taps;
          for (int64_t tap = 0; tap < plan.taps; ++tap) {
            R sum[3] = {};
            for (int64_t s = low; s <= high; ++s) {
              const int64_t local = d - plan.Slab(s).offset_group;
              const R* share = shares + ((s * plan.round_images + n) * plan.round_pixels + pixel) * plan.share() +
                               (local * plan.taps + tap) * 3;
              for (int j = 0; j < 3; ++j) sum[j] += share[j];
            }
            doffset[(entry + tap) * 2] = FromCompute<T>(sum[0]);
            doffset[(entry + tap) * 2 + 1] = FromCompute<T>(sum[1]);
            if (dmask != nullptr) dmask[entry + tap] = FromCompute<T>(sum[2]);
          }
        }
      }
    });
  };
  for (int64_t image = 0; image < conv.batch; image += plan.round_images) {
    const int64_t last_image = std::min(conv.batch, image + plan.round_images);
    int64_t top = 0;
    do {  // once, even where x has no rows
      const int64_t bottom = std::min(conv.height, top + plan.tile_rows);
      for (int64_t first = 0; first < plan.image; first += plan.round_pixels) {
        const int64_t last = std::min(plan.image, first + plan.round_pixels);
        round(image, last_image, first, last, top, bottom);
        if (top == 0) add_shares(image, last_image, first, last);
      }
      top = bottom;
    } while (top < conv.height);
  }
  parallel.Run(plan.slabs, plan.parts * memory.sums_slab, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      KERASCNN_SIMD_CALL(
          DeformSumParts(plan, plan.Slab(s), sums + s * memory.sums_slab, plan.slabs * memory.sums_slab, dw));
    }
  });
}

#define KERASCNN_INSTANTIATE(T)                                                                                        \
  template void DeformConv2DForward<T>(const DeformConv2D&, const T*, const T*, const T*, const T*, T*, void*,         \
                                       const ParallelFor&);                                                            \
  template void DeformConv2DGradient<T>(const DeformConv2D&, const T*, const T*, const T*, const T*, const T*, T*, T*, \
                                        T*, T*, void*, const ParallelFor&);
KERASCNN_INSTANTIATE(float)
KERASCNN_INSTANTIATE(double)
KERASCNN_INSTANTIATE(bfloat16)
KERASCNN_INSTANTIATE(half)

}  // namespace kerascnn
